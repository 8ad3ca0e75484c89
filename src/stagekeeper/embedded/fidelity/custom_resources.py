"""Custom resources: an answer over 4,096 bytes fails (CloudFormation user guide, custom resource response objects)."""

from __future__ import annotations

import json
from typing import Any

from stagekeeper.embedded.fidelity.patching import wrap

_LARGEST = 4096


def install(custom_resource: Any) -> None:
    def delivering(original: Any) -> Any:
        def deliver_response(token: str, response: dict[str, Any]) -> bool:
            if len(json.dumps(response).encode()) > _LARGEST:
                response = {**response, "Status": "FAILED", "Reason": "Response object is too long.", "Data": {}}
            delivered: bool = original(token, response)
            return delivered

        return deliver_response

    wrap(custom_resource, "deliver_response", delivering)
