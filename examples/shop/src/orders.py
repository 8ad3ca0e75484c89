"""The API: `POST /orders` hands an order to the stage's queue, `GET /orders/{id}` tells what became of it."""

import json
import os
import uuid
from typing import Any

import boto3
from edition import EDITION
from stage_values import stage_of, stage_value

QUEUES = boto3.client("sqs")
TABLE = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer a request as API Gateway passes it on; every answer tells who gave it."""
    who = {
        "stage": stage_of(context),
        "version": context.function_version,
        "edition": EDITION,
        "log_level": stage_value(context, "LOG_LEVEL", "info"),
    }
    if event["httpMethod"] == "POST":
        order = {"id": str(uuid.uuid4()), "article": json.loads(event["body"])["article"]}
        QUEUES.send_message(QueueUrl=stage_value(context, "QUEUE_URL"), MessageBody=json.dumps(order))
        return answer(202, {"id": order["id"], "answered_by": who})
    key = {"stage": who["stage"], "id": event["pathParameters"]["id"]}
    found = TABLE.get_item(Key=key, ConsistentRead=True).get("Item")
    return answer(200 if found else 404, {"order": found, "answered_by": who})


def answer(status: int, body: dict[str, Any]) -> dict[str, Any]:
    """As API Gateway wants it."""
    return {"statusCode": status, "headers": {"Content-Type": "application/json"}, "body": json.dumps(body)}
