"""The configuration a version freezes: what an update replaces, and how AWS shows it afterwards."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from .support import EMBEDDED, FAKE, Double, recorded, reference, refused, source, unique, wrong_on, zip_of


@reference("UpdateFunctionConfiguration")
def test_a_member_that_is_not_given_keeps_its_value(double: Double) -> None:
    name = double.function(Timeout=9, Environment={"Variables": {"MODE": "1"}})

    double.client.update_function_configuration(FunctionName=name, MemorySize=256)

    settled = double.settled(name)
    assert (settled["Timeout"], settled["MemorySize"]) == (9, 256)
    assert settled["Environment"] == {"Variables": {"MODE": "1"}}


@reference("UpdateFunctionConfiguration")
def test_a_given_environment_replaces_the_whole_one(double: Double) -> None:
    name = double.function(Environment={"Variables": {"MODE": "1", "LEVEL": "2"}})

    double.client.update_function_configuration(FunctionName=name, Environment={"Variables": {"LEVEL": "3"}})

    assert double.settled(name)["Environment"] == {"Variables": {"LEVEL": "3"}}


@reference("FunctionConfiguration")
def test_aws_answers_with_defaults_for_what_nobody_gave(double: Double) -> None:
    name = double.function()

    shown = double.settled(name)

    assert (shown["Timeout"], shown["MemorySize"], shown["Description"]) == (3, 128, "")
    assert shown["TracingConfig"] == {"Mode": "PassThrough"}
    assert shown["Architectures"] == ["x86_64"]
    assert shown["EphemeralStorage"] == {"Size": 512}
    assert shown["SnapStart"] == {"ApplyOn": "None", "OptimizationStatus": "Off"}
    assert shown["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"}
    assert shown["PackageType"] == "Zip"


@reference("FunctionConfiguration")
@pytest.mark.parametrize("member", ["VpcConfig", "DeadLetterConfig", "Layers", "KMSKeyArn", "FileSystemConfigs"])
def test_a_member_that_was_never_set_is_not_in_the_answer(double: Double, member: str) -> None:
    assert member not in double.settled(double.function())


@reference("LoggingConfig")
def test_json_logging_gets_its_levels_by_default(double: Double) -> None:
    name = double.function()

    double.client.update_function_configuration(FunctionName=name, LoggingConfig={"LogFormat": "JSON"})

    assert double.settled(name)["LoggingConfig"] == {
        "LogFormat": "JSON",
        "LogGroup": f"/aws/lambda/{name}",
        "ApplicationLogLevel": "INFO",
        "SystemLogLevel": "INFO",
    }


@reference("UpdateFunctionConfiguration")
def test_an_empty_target_removes_the_dead_letter_queue(double: Double) -> None:
    queue = f"arn:aws:sqs:{double.region}:{double.account}:lost"
    name = double.function(DeadLetterConfig={"TargetArn": queue})
    assert double.settled(name)["DeadLetterConfig"] == {"TargetArn": queue}

    double.client.update_function_configuration(FunctionName=name, DeadLetterConfig={"TargetArn": ""})

    assert "DeadLetterConfig" not in double.settled(name)


@reference("UpdateFunctionConfiguration")
def test_an_empty_environment_stays_an_empty_one(double: Double) -> None:
    name = double.function(Environment={"Variables": {"MODE": "1"}})

    double.client.update_function_configuration(FunctionName=name, Environment={"Variables": {}})

    assert double.settled(name).get("Environment", {"Variables": {}}) == {"Variables": {}}


@reference("FunctionConfiguration")
def test_a_layer_is_shown_with_its_arn_and_size(double: Double) -> None:
    layer = double.layer()
    name = double.function(Layers=[layer])

    (shown,) = double.settled(name)["Layers"]

    assert shown["Arn"] == layer
    assert "CodeSize" in shown


@reference("UpdateFunctionConfiguration")
def test_an_empty_list_removes_the_layers(double: Double) -> None:
    name = double.function(Layers=[double.layer()])

    double.client.update_function_configuration(FunctionName=name, Layers=[])

    assert not double.settled(name).get("Layers")


@reference("VpcConfigResponse")
def test_a_network_is_shown_with_the_vpc_of_its_subnets(double: Double) -> None:
    subnet, group = double.network()
    name = double.function(VpcConfig={"SubnetIds": [subnet], "SecurityGroupIds": [group]})

    shown = double.settled(name)["VpcConfig"]

    assert (shown["SubnetIds"], shown["SecurityGroupIds"]) == ([subnet], [group])
    assert shown["VpcId"].startswith("vpc-")


@source("AWS Lambda API reference, SnapStartResponse: only a published version is optimised")
def test_snapstart_is_optimised_on_a_version_and_not_on_latest(double: Double) -> None:
    name = double.function(SnapStart={"ApplyOn": "PublishedVersions"})
    number = double.publish(name)

    assert double.settled(name)["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}
    assert double.settled(name, number)["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}


@reference("UpdateFunctionCode")
def test_the_architecture_comes_with_the_code(double: Double) -> None:
    name = double.function()

    double.client.update_function_code(FunctionName=name, ZipFile=zip_of("other"), Architectures=["arm64"])

    assert double.settled(name)["Architectures"] == ["arm64"]


@recorded("TestLambdaFunction::test_update_lambda_exceptions", "2026-01-12")
def test_an_unknown_runtime_is_refused(double: Double) -> None:
    name = double.function()

    with refused("InvalidParameterValueException", 400) as refusal:
        double.client.update_function_configuration(FunctionName=name, Runtime="non-existent-runtime")  # type: ignore[arg-type]

    assert refusal.message.startswith("Value non-existent-runtime at 'runtime' failed to satisfy constraint")


@recorded("TestLambdaFunction::test_update_lambda_exceptions", "2026-01-12")
def test_a_role_that_is_no_arn_is_refused(double: Double) -> None:
    name = double.function()

    with refused("ValidationException", 400):
        double.client.update_function_configuration(FunctionName=name, Role="r1")


@recorded("TestLambdaSizeLimits::test_large_environment_variables_fails")
def test_an_environment_has_at_most_4_kb(double: Double) -> None:
    name = double.function()

    with refused("InvalidParameterValueException", 400) as refusal:
        double.client.update_function_configuration(FunctionName=name, Environment={"Variables": {"BIG": "x" * 4096}})

    assert "exceeded the 4KB limit" in refusal.message


@source("AWS Lambda developer guide, Defined runtime environment variables: those Lambda reserves cannot be set")
@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_LAMBDA_LOG_STREAM_NAME", "LAMBDA_TASK_ROOT"])
def test_a_variable_that_lambda_reserves_is_refused(double: Double, name: str) -> None:
    function = double.function()

    with refused("InvalidParameterValueException", 400) as refusal:
        double.client.update_function_configuration(FunctionName=function, Environment={"Variables": {name: "x"}})

    assert refusal.message.endswith(f"Reserved keys used in this request: {name}")


# Images.


def image_of(double: Double, text: str) -> str:
    """An image by digest."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{double.account}.dkr.ecr.{double.region}.amazonaws.com/orders@sha256:{digest}"


def image_function(double: Double, image: str) -> str:
    """A settled function of a container image."""
    members: dict[str, Any] = {"PackageType": "Image", "Code": {"ImageUri": image}, "Role": double.role()}
    name = unique()
    double.made.append(name)
    double.client.create_function(FunctionName=name, **members)
    double.settled(name)
    return name


@reference("FunctionConfiguration")
def test_the_code_digest_of_an_image_is_the_images(double: Double) -> None:
    image = image_of(double, "one")

    shown = double.settled(image_function(double, image))

    assert shown["CodeSha256"] == image.rpartition(":")[2]
    assert shown["PackageType"] == "Image"


@reference("FunctionCodeLocation")
def test_an_images_code_lies_in_ecr(double: Double) -> None:
    image = image_of(double, "one")

    code = double.client.get_function(FunctionName=image_function(double, image))["Code"]

    assert (code["RepositoryType"], code["ImageUri"], code["ResolvedImageUri"]) == ("ECR", image, image)


@source("umihico/pythonista-chromeless#19, AWS's own answer")
def test_a_package_does_not_become_an_image(double: Double) -> None:
    name = double.function()

    with refused(
        "InvalidParameterValueException",
        400,
        "Please don't provide ImageUri when updating a function with packageType Zip.",
    ):
        double.client.update_function_code(FunctionName=name, ImageUri=image_of(double, "one"))


@source("appleboy/lambda-action#28, AWS's own answer")
def test_an_image_does_not_become_a_package(double: Double) -> None:
    name = image_function(double, image_of(double, "one"))

    with refused(
        "InvalidParameterValueException",
        400,
        "Please provide ImageUri when updating a function with packageType Image.",
    ):
        double.client.update_function_code(FunctionName=name, ZipFile=zip_of("one"))


@source("aws-samples/bedrock-access-gateway#205 and binxio/cfn-ses-provider#27, AWS's own answer")
@wrong_on(FAKE, "knows no registry: takes any image")
@wrong_on(EMBEDDED, "knows no registry: takes any image")
def test_an_image_that_is_in_no_registry_is_refused(double: Double) -> None:
    with refused("InvalidParameterValueException", 400) as refusal:
        image_function(double, image_of(double, "missing"))

    assert refusal.message.endswith("Provide a valid source image.")
