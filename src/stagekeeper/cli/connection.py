"""Which account, Region and endpoint a command talks to, as a change of the process's environment, which botocore reads.

As the AWS CLI has it: options before variables before the profile. Must not know what is then done there. Imports no boto3.
"""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stagekeeper.cli.endings import CommandFailed, Exit, misuse
from stagekeeper.embedded import instance
from stagekeeper.embedded.server import IDENTITY_PATH, LOOPBACK

#: Where `stagekeeper local start` serves unless it is told otherwise; an installed copy knows of no other.
USUAL_ENDPOINT = f"http://{LOOPBACK}:4566"

#: Access key and secret key of the embedded AWS's root.
EMBEDDED_KEY = "test"

#: What botocore looks at before, or beside, the profile of AWS_PROFILE.
_OTHER_CREDENTIALS = (
    "AWS_DEFAULT_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
)

#: What the control plane would say, if it knew of embedded AWSs.
_REFUSED = "InvalidRequest"

START = "Start one with `stagekeeper local start` in a checkout of Stagekeeper"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the options said. ``region_of_project`` is what the project file says, which variables override."""

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    local: bool = False
    region_of_project: str | None = None


#: Variables to set, and (None) to take away.
Change = Mapping[str, str | None]


def change_for(wanted: Wanted, environ: Mapping[str, str], root: Path | None, usual: str = USUAL_ENDPOINT) -> Change:
    """What has to become of the environment. ``root`` is the checkout whose embedded AWS may be meant, None without one;
    ``usual`` is where one is looked for otherwise.

    Raises CommandFailed where the embedded AWS is asked for and none runs, or it is not clear which.
    """
    if wanted.local:
        return _embedded(wanted, environ, root, usual)
    change: dict[str, str | None] = {}
    if wanted.profile is not None:
        change["AWS_PROFILE"] = wanted.profile
        # A profile that is asked for by name comes before keys in variables, as in the AWS CLI.
        change |= dict.fromkeys(_OTHER_CREDENTIALS)
    if wanted.endpoint_url is not None:
        if urllib.parse.urlsplit(wanted.endpoint_url).scheme not in ("http", "https"):
            raise misuse(f"--endpoint-url takes an address that begins with http:// or https://, not {wanted.endpoint_url!r}.")
        change["AWS_ENDPOINT_URL"] = wanted.endpoint_url
        change |= _without_endpoints(environ)
    # botocore itself reads AWS_DEFAULT_REGION only.
    region = wanted.region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or wanted.region_of_project
    if region is not None:
        change |= {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
    return change


def _embedded(wanted: Wanted, environ: Mapping[str, str], root: Path | None, usual: str) -> Change:
    if wanted.profile is not None:
        raise CommandFailed(
            f"Stage local and --local mean the embedded AWS on this machine, and profile {wanted.profile} means an account. "
            "Leave --profile out, or name another stage.",
            code=_REFUSED,
            exit_code=Exit.REFUSED,
        )
    running = [] if root is None else instance.running(root)
    endpoint = wanted.endpoint_url or environ.get("AWS_ENDPOINT_URL")
    # A Region in variables is the account's that the person works with otherwise; here the control plane is in one only.
    if endpoint is not None:
        if not is_embedded(endpoint):
            raise CommandFailed(
                f"Stage local and --local mean the embedded AWS on this machine, and no embedded AWS answers at {endpoint}. "
                f"{START}, or name another stage.",
                code=_REFUSED,
                exit_code=Exit.REFUSED,
            )
        at_it = next((each.region for each in running if each.endpoint == endpoint.rstrip("/")), instance.REGION)
        return _keys(endpoint, wanted.region or at_it, environ)
    found = [each for each in running if each.users]
    if not found and is_embedded(usual):
        return _keys(usual, wanted.region or instance.REGION, environ)
    if not found:
        raise CommandFailed(f"No embedded AWS runs, and stage local and --local mean one. {START}, or name another stage.")
    if len(found) > 1:
        ports = ", ".join(str(each.port) for each in found)
        raise CommandFailed(
            f"Several embedded AWS run, on the ports {ports}. Say which: --endpoint-url http://{LOOPBACK}:{found[0].port}"
        )
    return _keys(found[0].endpoint, wanted.region or found[0].region, environ)


def _keys(endpoint: str, region: str, environ: Mapping[str, str]) -> Change:
    return {
        **dict.fromkeys(_OTHER_CREDENTIALS),
        "AWS_PROFILE": None,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": EMBEDDED_KEY,
        "AWS_SECRET_ACCESS_KEY": EMBEDDED_KEY,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        **_past_the_proxy(environ),
        **_without_endpoints(environ),
    }


def _past_the_proxy(environ: Mapping[str, str]) -> Change:
    """A proxy of the environment neither reaches this machine's loopback nor should see what goes there."""
    known = environ.get("no_proxy") or environ.get("NO_PROXY")
    spared = LOOPBACK if known is None else f"{known},{LOOPBACK}"
    return {"NO_PROXY": spared, "no_proxy": spared}


def _without_endpoints(environ: Mapping[str, str]) -> Change:
    """An endpoint that is named now is meant for every service."""
    return {name: None for name in environ if name.startswith("AWS_ENDPOINT_URL_")} | {
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": None
    }


def is_embedded(endpoint: str) -> bool:
    """Whether an embedded AWS answers there. Asks it: a loopback address may as well be a tunnel to an account."""
    if urllib.parse.urlsplit(endpoint).hostname not in ("127.0.0.1", "localhost", "::1"):
        return False
    # No proxy: an HTTP_PROXY of the environment must not get to see loopback requests.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(endpoint.rstrip("/") + IDENTITY_PATH, timeout=2) as answer:
            identity = json.load(answer)
    except (OSError, ValueError):
        return False
    return isinstance(identity, dict) and "token" in identity
