"""The API handler. Like the other functions it says which code and which configuration answered."""

import json
import os
from typing import Any

TEXT = "Your order is taken"


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer a request as API Gateway passes it on."""
    answer = {"text": TEXT, "setting": os.environ["CURRENCY"], "version": context.function_version, "path": event["path"]}
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(answer)}
