"""What a stage has of its own, for code that all stages share: read at run time, by the alias that was called."""

import os
from typing import Any

from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError


def stage_of(context: Any) -> str:
    """The alias at the end of the ARN that was called; the template's default stage where there is none."""
    qualifier = "".join(context.invoked_function_arn.split(":")[7:])
    return os.environ["DEFAULT_STAGE"] if qualifier in ("", "$LATEST") or qualifier.isdigit() else qualifier


def stage_value(context: Any, name: str, default: str | None = None) -> str:
    """The stage's value of that name, kept for some seconds. The stage is in the path: several may share this process."""
    try:
        return parameters.get_parameter(f"/stagekeeper/{os.environ['SERVICE']}/{stage_of(context)}/{name}", max_age=5)
    except GetParameterError as error:
        if default is None or "ParameterNotFound" not in str(error):
            raise
        return default
