"""GetAccountSettings: the code that is stored counts once per version, not per function (recorded:
test_account_settings_total_code_size_config_update). An image lies in its registry and counts nothing."""

from __future__ import annotations

from typing import Any

from stagekeeper.embedded.fidelity import answers
from stagekeeper.embedded.fidelity.door import Call, Door
from stagekeeper.embedded.fidelity.patching import Answer


def install(door: Door, lambda_svc: Any) -> None:
    def count(_call: Call, answered: Answer) -> Answer:
        records = [record for function in lambda_svc._functions.values() for record in (function, *function["versions"].values())]
        stored = sum(len(record.get("code_zip") or b"") for record in records)
        stored += sum(len(layer.get("_zip_data") or b"") for layer in _layer_versions(lambda_svc))
        return answers.edited(answered, lambda body: {**body, "AccountUsage": {**body["AccountUsage"], "TotalCodeSize": stored}})

    door.amend(count, "GetAccountSettings")


def _layer_versions(lambda_svc: Any) -> list[dict[str, Any]]:
    return [version for layer in lambda_svc._layers.values() for version in layer.get("versions", [])]
