"""Counts by the clock what the stage has packed."""

import json
import os
from typing import Any

import boto3
from edition import EDITION
from stage_values import stage_of

PACKED = boto3.client("dynamodb").get_paginator("query")


def handler(_event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Count; what the schedule sends does not matter."""
    stage = stage_of(context)
    pages = PACKED.paginate(
        TableName=os.environ["TABLE"],
        KeyConditionExpression="stage = :stage",
        ExpressionAttributeValues={":stage": {"S": stage}},
        Select="COUNT",
    )
    packed = sum(page["Count"] for page in pages)
    report = {"stage": stage, "version": context.function_version, "edition": EDITION, "packed": packed}
    print(json.dumps(report))
    return report
