"""`stop`: stop an operation's execution; a recovery puts back what it had done, and that is what is followed then.

Must not put anything back itself.
"""

from __future__ import annotations

from botocore.exceptions import ClientError

from stagekeeper.aws.errors import CallFailed, error_code
from stagekeeper.cli import live
from stagekeeper.cli.endings import CommandFailed
from stagekeeper.cli.executing import Executions, executions_of, unknown
from stagekeeper.cli.session import Session
from stagekeeper.domain.model import OperationId
from stagekeeper.domain.operation import OperationKind

_DENIED = ("AccessDenied", "AccessDeniedException")

RECOVERY = "A recovery begins within seconds: it puts back what was changed, or ends what can only go forward."


def run(session: Session, operation_id: str, reason: str | None, *, wait: bool) -> None:
    """Stop it, and follow it to its end. Raises typer.Exit with the exit code that says how it ended."""
    executions = executions_of(session)
    said = _stop(session, executions, operation_id, reason)
    session.note(said)
    if wait:
        live.come_back(session, operation_id)
    arn = executions.plane.execution_arn(operation_id)
    back = session.again("follow", operation_id)
    session.show(
        {"operation_id": operation_id, "execution_arn": arn},
        lambda console: console.print(f"Follow it with: {back}", highlight=False, markup=False, soft_wrap=True),
    )


def _stop(session: Session, executions: Executions, operation_id: str, reason: str | None) -> str:
    """Stop the execution if it runs; what there is to say of that."""
    now = session.store.operation_now(OperationId(operation_id))
    if now is not None and now.has_ended:
        return f"Operation {operation_id} has ended already: there is nothing to stop."
    if now is not None and now.execution != operation_id:
        return f"Operation {operation_id} lost its execution before: {now.execution} recovers it, and is left to do so."
    execution = executions.look(operation_id, patiently=True)
    if execution is None and now is None:
        raise unknown(operation_id)
    if execution is None or execution.ended is not None:
        return f"The execution of operation {operation_id} does not run: there is nothing to stop."
    try:
        executions.stop(operation_id, reason)
    except CallFailed as error:
        if isinstance(error.__cause__, ClientError) and error_code(error.__cause__) in _DENIED:
            raise CommandFailed(
                f"You may not stop executions: {error.why}. OperatorPolicyArn leaves states:StopExecution out on purpose. Ask "
                "somebody who may, or wait for the operation's end."
            ) from error
        raise
    changes_nothing = now is None and execution.request.get("operation") in (
        OperationKind.VERIFY.value,
        OperationKind.RECOVER.value,
    )
    if changes_nothing or execution.request.get("dry_run") is True:
        return f"Stopped operation {operation_id}."
    return f"Stopped operation {operation_id}. {RECOVERY}"
