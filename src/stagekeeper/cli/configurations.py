"""What differs within the configurations of functions, which the record knows by their digests alone: both are read from AWS.

Only where they are known to differ, and with GetFunction, which has a budget of its own: deploys are not held up.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from stagekeeper.domain.comparison import Compared, Comparison, ConfigurationDifference, Difference, Part, differing
from stagekeeper.domain.facts import Absent, Unreadable
from stagekeeper.domain.model import FunctionArn

if TYPE_CHECKING:
    from stagekeeper.aws.lambda_api import LambdaApi
    from stagekeeper.aws.store import Store

_AT_ONCE = 8
_DIFFER = (Difference.CONFIGURATION, Difference.CODE_AND_CONFIGURATION)

#: By function: what differs, or a sentence why that is not known.
Differences = Mapping[FunctionArn, ConfigurationDifference | str]


def read(store: Store, api: LambdaApi, comparison: Comparison) -> Differences:
    """Raises CallFailed, MalformedItem where the record cannot be read."""
    wanted = [each for each in comparison.functions if each.difference in _DIFFER]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda each: _difference(store, api, each), wanted)
        return {each.arn: told for each, told in zip(wanted, found, strict=True)}


def _difference(store: Store, api: LambdaApi, compared: Compared) -> ConfigurationDifference | str:
    found = []
    for part in (compared.a, compared.b):
        configuration = "one side has no such function" if part is None else _frozen(store, api, part)
        if isinstance(configuration, str):
            return configuration
        found.append(configuration)
    return differing(*found)


def _frozen(store: Store, api: LambdaApi, part: Part) -> Mapping[str, Any] | str:
    version = part.version
    if version is None and part.content is not None:
        version = store.realisation(part.arn, part.content)
    if version is None:
        return "the version that carried it was swept"
    match api.frozen(part.arn, version):
        case Absent():
            return f"version {version} is not there any more"
        case Unreadable(what=what, why=why):
            return f"{what} could not be read: {why}"
        case configuration:
            return configuration
