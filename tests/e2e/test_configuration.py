"""Members of a function's configuration for which AWS asks more of Stagekeeper than the right to update functions."""

from __future__ import annotations

import io
import zipfile

import pytest

from .conftest import NewService
from .plane import unique
from .service import Service


@pytest.fixture(scope="module")
def service(new_service: NewService) -> Service:
    service = new_service("a")
    service.deploy("dev")
    return service


def layer(service: Service) -> str:
    """A layer's version that somebody published."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as package:
        package.writestr("python/tools.py", "")
    made = service.plane.client("lambda").publish_layer_version(
        LayerName=unique("tools"), Content={"ZipFile": content.getvalue()}
    )
    return str(made["LayerVersionArn"])


def test_layers_networks_and_dead_letters_may_be_given_and_are_rolled_back(service: Service) -> None:
    queue = f"arn:aws:sqs:{service.plane.region}:{service.plane.account}:dead"
    given = {
        "DeadLetterConfig": {"TargetArn": queue},
        "Layers": [layer(service)],
        "VpcConfig": {"SubnetIds": ["subnet-2", "subnet-1"], "SecurityGroupIds": ["sg-1"]},
    }

    service.deploy("dev", service.wishes(a={"configuration": given}))

    shown = service.plane.client("lambda").get_function(FunctionName=service.functions["a"], Qualifier="dev")["Configuration"]
    assert shown["DeadLetterConfig"] == given["DeadLetterConfig"]
    assert [each["Arn"] for each in shown["Layers"]] == given["Layers"]
    assert set(shown["VpcConfig"]["SubnetIds"]) == {"subnet-1", "subnet-2"}
    assert service.run("deploy", "dev", functions=service.wishes(a={"configuration": given})).output["outcome"] == "unchanged"
    service.rollback("dev")
    service.assert_agreement("dev")


@pytest.mark.parametrize("grant", ["lambda:GetLayerVersion", "ec2:DescribeSubnets"])
def test_without_its_grant_a_deploy_is_put_back(service: Service, grant: str) -> None:
    """So the grants of the state Publish are what makes the above work."""
    version = service.alias("a", "dev")
    given = {
        "DeadLetterConfig": {"TargetArn": ""},
        "Layers": [layer(service)],
        "VpcConfig": {"SubnetIds": ["subnet-3"], "SecurityGroupIds": ["sg-1"]},
    }

    with service.plane.denied("PublishRole", grant, "*"):
        ended = service.run("deploy", "dev", functions=service.wishes(a={"configuration": given}))

    assert ended.error == "Compensated", ended.output
    assert version is not None
    assert (service.alias("a", "dev") or {})["FunctionVersion"] == version["FunctionVersion"]
