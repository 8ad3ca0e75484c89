"""Which account, Region and endpoint a command talks to: options before variables before the project file."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import botocore.session
import pytest

from stagekeeper.cli.connection import Wanted, _past_the_proxy, change_for, is_embedded
from stagekeeper.cli.endings import CommandFailed, Exit
from stagekeeper.embedded.server import IDENTITY_PATH


def environment(wanted: Wanted, **environ: str) -> Mapping[str, str]:
    """The environment afterwards."""
    after = dict(environ)
    for name, value in change_for(wanted, environ, None).items():
        if value is None:
            after.pop(name, None)
        else:
            after[name] = value
    return after


def test_nothing_said_changes_nothing() -> None:
    assert environment(Wanted(), AWS_PROFILE="acme") == {"AWS_PROFILE": "acme"}


@pytest.mark.parametrize(
    ("wanted", "environ", "region"),
    [
        (Wanted(region="eu-west-1", region_of_project="c"), {"AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"}, "eu-west-1"),
        (Wanted(region_of_project="c"), {"AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"}, "a"),
        (Wanted(region_of_project="c"), {"AWS_DEFAULT_REGION": "b"}, "b"),
        (Wanted(region_of_project="c"), {}, "c"),
    ],
)
def test_the_region_is_the_options_then_the_variables_then_the_projects(
    wanted: Wanted, environ: dict[str, str], region: str
) -> None:
    """Under both names, since botocore reads only one of them."""
    after = environment(wanted, **environ)

    assert (after["AWS_REGION"], after["AWS_DEFAULT_REGION"]) == (region, region)


def test_a_profile_that_is_named_comes_before_keys_in_variables() -> None:
    after = environment(Wanted(profile="acme"), AWS_ACCESS_KEY_ID="k", AWS_SECRET_ACCESS_KEY="s", AWS_SESSION_TOKEN="t")

    assert after == {"AWS_PROFILE": "acme"}


def test_an_endpoint_that_is_named_is_every_services() -> None:
    after = environment(Wanted(endpoint_url="http://127.0.0.1:1"), AWS_ENDPOINT_URL="http://x", AWS_ENDPOINT_URL_S3="http://y")

    assert after == {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}


def test_the_embedded_aws_and_a_profile_contradict_each_other() -> None:
    with pytest.raises(CommandFailed, match="profile acme means an account") as refused:
        change_for(Wanted(profile="acme", local=True), {}, None)

    assert refused.value.exit_code is Exit.REFUSED


@pytest.mark.enable_socket
def test_where_no_embedded_aws_runs_it_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="stagekeeper local start"):
        change_for(Wanted(local=True), {}, tmp_path, usual="http://127.0.0.1:1")


@pytest.mark.enable_socket
@pytest.mark.parametrize("endpoint", ["https://lambda.eu-west-1.amazonaws.com", "http://10.0.0.1:4566", "http://127.0.0.1:1"])
def test_local_is_refused_where_no_embedded_aws_answers(endpoint: str) -> None:
    with pytest.raises(CommandFailed, match=f"no embedded AWS answers at {endpoint}") as refused:
        change_for(Wanted(local=True), {"AWS_ENDPOINT_URL": endpoint}, None)

    assert refused.value.exit_code is Exit.REFUSED


class Answers(BaseHTTPRequestHandler):
    """A server that says who it is, as the embedded AWS does, or (at another path's sake) nothing of the kind."""

    body: bytes = b""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == IDENTITY_PATH else 404)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Not into the tests' output."""


@pytest.fixture
def server() -> Iterator[str]:
    listening = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}"
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    ("body", "embedded"),
    [(json.dumps({"token": "t", "pid": 1}).encode(), True), (b"{}", False), (b"<html>", False), (b"[1]", False)],
)
def test_an_embedded_aws_is_known_by_its_answer(
    server: str, body: bytes, embedded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Answers, "body", body)

    assert is_embedded(server) is embedded


@pytest.mark.enable_socket
def test_local_at_an_embedded_aws_takes_its_keys_and_forgets_the_accounts(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Answers, "body", b'{"token": "t"}')

    after = environment(
        Wanted(local=True, region_of_project="eu-west-1"),
        AWS_ENDPOINT_URL=server,
        AWS_REGION="eu-west-2",
        AWS_DEFAULT_REGION="eu-west-2",
        AWS_PROFILE="acme",
        AWS_ACCESS_KEY_ID="k",
        AWS_SESSION_TOKEN="t",
        AWS_ENDPOINT_URL_S3="http://y",
    )

    assert after == {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def test_what_a_proxy_is_not_asked_for_stays_so_beside_the_embedded_aws() -> None:
    """botocore asks the environment's proxy even for loopback."""
    assert _past_the_proxy({"NO_PROXY": "corp.example"}) == {
        "NO_PROXY": "corp.example,127.0.0.1",
        "no_proxy": "corp.example,127.0.0.1",
    }


def test_botocore_takes_the_profile_that_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment has beside: botocore looks at AWS_DEFAULT_PROFILE first, and at a role's token before the file."""
    keys = "[{0}]\naws_access_key_id = of-{0}\naws_secret_access_key = s\n"
    (tmp_path / "credentials").write_text(keys.format("acme") + keys.format("other"))
    environ = {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_PROFILE": "other",
        "AWS_DEFAULT_PROFILE": "other",
        "AWS_ACCESS_KEY_ID": "of-variables",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/r",
    }
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in environment(Wanted(profile="acme"), **environ).items():
        monkeypatch.setenv(name, value)

    credentials = botocore.session.Session().get_credentials()

    assert credentials is not None
    assert credentials.access_key == "of-acme"


@pytest.mark.parametrize("endpoint", ["foo", "", "127.0.0.1:4566", "ftp://x"])
def test_what_is_no_endpoint_is_wrong_usage(endpoint: str) -> None:
    with pytest.raises(CommandFailed) as refused:
        change_for(Wanted(endpoint_url=endpoint), {}, None)

    assert refused.value.exit_code is Exit.USAGE


@pytest.mark.enable_socket
def test_an_installed_copy_finds_the_embedded_aws_where_it_usually_is(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Answers, "body", b'{"token": "t"}')

    assert change_for(Wanted(local=True), {}, None, usual=server)["AWS_ENDPOINT_URL"] == server
