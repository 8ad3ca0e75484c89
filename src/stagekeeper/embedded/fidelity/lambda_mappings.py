"""Event source mappings: the list of the whole Region, and the time that deleting one takes.

AWS's rules (API reference, ListEventSourceMappings, DeleteEventSourceMapping; recorded:
TestLambdaEventSourceMappings):
- at most 100 at a time, "even if you set the number higher";
- a mapping belongs to the ARN it names: the list of a function's name has none of its aliases' mappings;
- a new one is Creating in its own answer; a deleted one is listed as Deleting until it is gone, and cannot be deleted
  twice meanwhile.
"""

from __future__ import annotations

from typing import Any

from stagekeeper.embedded.fidelity import answers, lambda_model, paging
from stagekeeper.embedded.fidelity.door import Call, Door
from stagekeeper.embedded.fidelity.patching import Answer, later

_PAGE = 100


def install(door: Door, lambda_svc: Any, deleting_seconds: float) -> None:
    rules = _Mappings(lambda_svc, deleting_seconds)
    door.answer(rules.list, "ListEventSourceMappings")
    door.amend(rules.show_created, "CreateEventSourceMapping")
    door.refuse(rules.refuse_delete, "DeleteEventSourceMapping", "UpdateEventSourceMapping")
    door.amend(rules.linger, "DeleteEventSourceMapping")


class _Mappings:
    def __init__(self, lambda_svc: Any, deleting_seconds: float) -> None:
        self._lambda = lambda_svc
        self._seconds = deleting_seconds

    def list(self, call: Call) -> Answer:
        found = {esm["UUID"]: esm for esm in self._lambda._esms.values()}
        source = call.request.parameter("EventSourceArn")
        if source is not None:
            found = {uuid: esm for uuid, esm in found.items() if esm["EventSourceArn"] == source}
        function = call.request.parameter("FunctionName")
        if function is not None:
            name, qualifier = lambda_model.split_reference(function)
            arn = self._lambda._func_arn(name) + (f":{qualifier}" if qualifier else "")
            found = {uuid: esm for uuid, esm in found.items() if esm["FunctionArn"] == arn}
        shown = {uuid: self._lambda._esm_response(esm) for uuid, esm in found.items()}
        return paging.answer(call, "EventSourceMappings", shown, _PAGE)

    def show_created(self, _call: Call, answered: Answer) -> Answer:
        return answers.edited(answered, lambda body: {**body, "State": "Creating"})

    def refuse_delete(self, call: Call) -> Answer | None:
        esm = self._lambda._esms.get(call.request.path["UUID"])
        if esm is None:
            return answers.not_found("The resource you requested does not exist.")
        if esm["State"] == "Deleting":
            return answers.error(400, "ResourceInUseException", "Cannot delete the event source mapping because it is in use.")
        return None

    def linger(self, call: Call, answered: Answer) -> Answer:
        """ministack has removed it: put it back, with nothing reading from its source, until its time is over."""
        esms, uuid = self._lambda._esms, call.request.path["UUID"]
        if answered[0] >= 300 or uuid in esms:
            return answered
        removed = answers.parsed(answered)
        name, qualifier = lambda_model.split_reference(removed["FunctionArn"])
        esms[uuid] = {**removed, "FunctionName": name, "Qualifier": qualifier, "Enabled": False, "State": "Deleting"}
        later(self._seconds, lambda: esms.pop(uuid, None))
        return answered
