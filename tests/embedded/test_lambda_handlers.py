"""How handlers run: what they can import and see, what becomes of their exceptions and of a replaced environment."""

from __future__ import annotations

import concurrent.futures

import pytest

from stagekeeper.embedded import instance

from .conftest import ROOT, Account, client, zipped


def test_an_exception_arrives_under_its_classs_name(account: Account) -> None:
    name = account.function("class NotReady(Exception): pass\ndef handler(event, context): raise NotReady('come back')")

    failure = account.invoke(name)

    assert failure.keys() == {"errorMessage", "errorType", "requestId", "stackTrace"}
    assert (failure["errorType"], failure["errorMessage"]) == ("NotReady", "come back")
    assert "in handler" in failure["stackTrace"][0]


def test_an_exception_does_not_end_the_environment(account: Account) -> None:
    name = account.function(
        "calls = []\n"
        "def handler(event, context):\n"
        "    calls.append(1)\n"
        "    if event == 'fail': raise ValueError()\n"
        "    return len(calls)\n"
    )

    account.invoke(name)
    account.invoke(name, "fail")

    assert account.invoke(name) == 3


def test_a_module_that_cannot_be_imported_is_the_runtimes_own_error(account: Account) -> None:
    failure = account.invoke(account.function("import not_in_the_zip"))

    assert failure["errorType"] == "Runtime.ImportModuleError"
    assert failure["errorMessage"] == "Unable to import module 'app': No module named 'not_in_the_zip'"


def test_a_handler_that_is_not_there_is_the_runtimes_own_error(account: Account) -> None:
    assert account.invoke(account.function("x = 1"))["errorType"] == "Runtime.HandlerNotFound"


def test_an_answer_that_json_cannot_hold_is_the_runtimes_own_error(account: Account) -> None:
    name = account.function("def handler(event, context): return {1, 2}")

    assert account.invoke(name)["errorType"] == "Runtime.MarshalError"


def test_a_handler_that_exits_is_the_runtimes_own_error(account: Account) -> None:
    name = account.function("import sys\ndef handler(event, context): sys.exit(1)")

    assert account.invoke(name)["errorType"] == "Runtime.ExitError"


def test_a_handler_imports_boto3_but_neither_this_checkout_nor_the_servers_packages(account: Account) -> None:
    name = account.function(
        "import importlib.util, sys\n"
        "def handler(event, context):\n"
        "    found = [m for m in event if importlib.util.find_spec(m) is not None]\n"
        "    return [found, sys.path]\n"
    )

    found, path = account.invoke(name, ["boto3", "botocore", "stagekeeper", "ministack", "pydantic", "hypercorn"])

    assert found == ["boto3", "botocore"]
    assert not [entry for entry in path if entry.startswith(str(ROOT / "src"))]


def test_a_handler_sees_its_own_variables_and_not_the_servers(account: Account) -> None:
    name = account.function(
        "import os\ndef handler(event, context): return dict(os.environ)",
        Environment={"Variables": {"LOG_LEVEL": "DEBUG", "MINE": "1"}},
    )

    seen = account.invoke(name)

    assert (seen["MINE"], seen["LOG_LEVEL"]) == ("1", "DEBUG")
    assert not {"AUTH", "STATE_DIR", "GATEWAY_PORT", "PERSIST_STATE", "PYTHONPATH"} & seen.keys()
    assert seen["AWS_ENDPOINT_URL"] == account.instance.endpoint


def test_an_update_lets_the_invocation_that_is_running_finish(account: Account) -> None:
    source = "import time\ndef handler(event, context):\n    time.sleep(event)\n    return 'old'"
    name = account.function(source, Timeout=10)
    account.invoke(name, 0)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        running = pool.submit(account.invoke, name, 1)
        concurrent.futures.wait([running], timeout=0.3)
        account.client("lambda").update_function_code(FunctionName=name, ZipFile=zipped(source.replace("old", "new")))

        assert running.result() == "old"
    assert account.invoke(name, 0) == "new"


def test_a_function_that_is_not_active_yet_cannot_be_invoked() -> None:
    slow = instance.start(None, ROOT, in_progress_seconds=60)
    try:
        role = client(slow, "iam").create_role(
            RoleName="any", AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}'
        )
        lambda_ = client(slow, "lambda")
        lambda_.create_function(
            FunctionName="pending",
            Runtime="python3.13",
            Role=role["Role"]["Arn"],
            Handler="app.handler",
            Code={"ZipFile": zipped("def handler(event, context): return 1")},
        )

        with pytest.raises(lambda_.exceptions.ResourceConflictException, match="following state: Pending"):
            lambda_.invoke(FunctionName="pending")
    finally:
        instance.stop(slow)
