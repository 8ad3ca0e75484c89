"""Which operation a request asks for."""

from __future__ import annotations

import pytest

from stagekeeper.domain.model import ReleaseNumber, StageName
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.request import (
    AdoptRequest,
    CloneRequest,
    Common,
    ConfigureRequest,
    DeployRequest,
    RecoverRequest,
    Request,
    ResetRequest,
    RollbackRequest,
    SweepRequest,
    TeardownRequest,
    VerifyRequest,
    kind_of,
)
from tests.unit.domain.builders import DEV, SERVICE

ALL = Common()


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (DeployRequest(ALL, SERVICE, DEV, {}), OperationKind.DEPLOY),
        (RollbackRequest(ALL, SERVICE, DEV), OperationKind.ROLLBACK),
        (ResetRequest(ALL, SERVICE, DEV, ReleaseNumber(1)), OperationKind.RESET),
        (CloneRequest(ALL, SERVICE, DEV, StageName("prod")), OperationKind.CLONE),
        (ConfigureRequest(ALL, SERVICE, DEV), OperationKind.CONFIGURE),
        (VerifyRequest(ALL, SERVICE), OperationKind.VERIFY),
        (TeardownRequest(ALL, SERVICE), OperationKind.TEARDOWN),
        (SweepRequest(ALL, None), OperationKind.SWEEP),
        (AdoptRequest(ALL, SERVICE), OperationKind.ADOPT),
        (RecoverRequest(ALL), OperationKind.RECOVER),
    ],
    ids=lambda value: value.value if isinstance(value, OperationKind) else "",
)
def test_every_request_is_one_operation(request_: Request, kind: OperationKind) -> None:
    assert kind_of(request_) is kind
