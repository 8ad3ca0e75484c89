"""Packs the orders of the stage's queue: writes each into the table that all stages share, under the stage's own key."""

import json
import os
from typing import Any

import boto3
from edition import EDITION
from stage_values import stage_of

TABLE = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def handler(event: dict[str, Any], context: Any) -> None:
    """Work off a batch of messages as SQS delivers it."""
    who = {"stage": stage_of(context), "version": context.function_version, "edition": EDITION}
    for record in event["Records"]:
        order = json.loads(record["body"])
        TABLE.put_item(Item={"stage": who["stage"], "id": order["id"], "article": order["article"], "packed_by": who})
