"""Functions made of container images: deployed by digest, put back, and refused before anything happens."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from .conftest import MakeWorld
from .world import World, deploy_of, lambda_name

REPOSITORY = "team/orders"
LOOK = "ecr.BatchGetImage"


@dataclass
class Shop:
    """A service of the image functions ``a`` and ``b``, and a repository with images by what they hold."""

    world: World
    registry: Any
    uris: dict[str, str] = field(default_factory=dict)

    def image(self, text: str) -> str:
        """The address by digest of an image that is pushed."""
        if text not in self.uris:
            kind = "application/vnd.oci.image.manifest.v1+json"
            manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": {"digest": f"sha256:{text}"}, "layers": []})
            # moto does not work the digest out.
            digest = f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
            self.registry.put_image(repositoryName=REPOSITORY, imageManifest=manifest, imageTag=text, imageDigest=digest)
            self.uris[text] = f"{self.world.fake.account}.dkr.ecr.{self.world.fake.region}.amazonaws.com/{REPOSITORY}@{digest}"
        return self.uris[text]

    def digest(self, text: str) -> str:
        return self.image(text).rpartition(":")[2]

    def wishes(self, text: str, **configuration: Any) -> dict[str, dict[str, Any]]:
        more = {"configuration": configuration} if configuration else {}
        return {
            name: {"function_name": lambda_name(name), "code": {"image_uri": self.image(text)}, **more}
            for name in self.world.names
        }


@pytest.fixture(scope="module", autouse=True)
def moto() -> Iterator[None]:
    """Its registry of images."""
    with mock_aws():
        yield


@pytest.fixture
def shop(make_world: MakeWorld) -> Iterator[Shop]:
    """Prod has been put on r1 (image one)."""
    world = make_world("z")
    registry: Any = boto3.client("ecr", region_name=world.fake.region)
    registry.create_repository(repositoryName=REPOSITORY)
    shop = Shop(world, registry)
    world.names = ("a", "b")
    for name in world.names:
        world.fake.create(lambda_name(name), image=shop.image("made"))
    done = world.deploy("prod", shop.wishes("one"))
    assert done.outcome == "succeeded", done.cause
    yield shop
    registry.delete_repository(repositoryName=REPOSITORY, force=True)


def test_images_are_deployed_by_their_digest(shop: Shop) -> None:
    assert shop.world.code() == dict.fromkeys("ab", shop.digest("one"))
    assert shop.world.aliases() == shop.world.recorded() == {"a": "1", "b": "1"}


def test_a_rollback_puts_the_image_before_back_and_publishes_nothing(shop: Shop) -> None:
    assert shop.world.deploy("prod", shop.wishes("two")).outcome == "succeeded"
    assert shop.world.code() == dict.fromkeys("ab", shop.digest("two"))
    shop.world.fake.reset_calls()

    done = shop.world.rollback()

    assert done.outcome == "succeeded"
    assert shop.world.code() == dict.fromkeys("ab", shop.digest("one"))
    assert shop.world.fake.count("UpdateFunctionCode") == 0


def test_the_same_digest_again_is_unchanged_whatever_tag_stands_beside_it(shop: Shop) -> None:
    functions = shop.wishes("one")
    for wish in functions.values():
        wish["code"]["image_uri"] = wish["code"]["image_uri"].replace("@", ":newest@")

    assert shop.world.deploy("prod", functions).outcome == "unchanged"


def test_an_image_that_all_functions_share_is_looked_for_once(shop: Shop) -> None:
    shop.world.wire.clear()

    shop.world.deploy("prod", shop.wishes("two"))

    assert [sent.name for sent in shop.world.wire.sent].count(LOOK) == 1


def test_an_images_settings_and_architectures_are_part_of_its_content(shop: Shop) -> None:
    functions = shop.wishes("one", ImageConfig={"Command": ["serve"]})
    for wish in functions.values():
        wish["code"]["architectures"] = ["arm64"]

    done = shop.world.deploy("prod", functions)

    assert done.outcome == "succeeded", done.cause
    frozen = shop.world.fake.state()[lambda_name("a")]["versions"][2]
    assert (frozen["ImageConfigResponse"], frozen["Architectures"]) == ({"ImageConfig": {"Command": ["serve"]}}, ["arm64"])
    assert shop.world.deploy("prod", functions).outcome == "unchanged"


def test_without_code_an_image_function_is_published_as_it_is(shop: Shop) -> None:
    functions = {name: {"function_name": lambda_name(name), "configuration": {"Timeout": 9}} for name in shop.world.names}

    assert shop.world.deploy("prod", functions).outcome == "succeeded"
    assert shop.world.code() == dict.fromkeys("ab", shop.digest("one"))


def test_an_image_that_aws_refuses_midway_is_put_back(shop: Shop) -> None:
    shop.world.fake.fail("UpdateFunctionCode", on_call=2, error="InvalidParameterValueException", times=None)

    failed = shop.world.deploy("prod", shop.wishes("two"))

    assert failed.outcome == "Compensated"
    assert shop.world.code() == dict.fromkeys("ab", shop.digest("one"))


def missing(shop: Shop) -> dict[str, Any]:
    return {"code": {"image_uri": shop.image("one").replace(shop.digest("one"), "0" * 64)}}


def zipped(shop: Shop) -> dict[str, Any]:
    return {"code": shop.world.upload("a", "zip")}


def of_a_zip(shop: Shop) -> dict[str, Any]:
    return {"function_name": lambda_name("z"), "code": {"image_uri": shop.image("one")}}


def with_handler(shop: Shop) -> dict[str, Any]:
    return {"code": {"image_uri": shop.image("one")}, "configuration": {"Handler": "app.handler"}}


def of_another_account(shop: Shop) -> dict[str, Any]:
    return {"code": {"image_uri": shop.image("one").replace(shop.world.fake.account, "444455556666")}}


def of_another_region(shop: Shop) -> dict[str, Any]:
    return {"code": {"image_uri": shop.image("one").replace("eu-central-1", "us-east-1")}}


def with_role(shop: Shop) -> dict[str, Any]:
    return {"configuration": {"Role": f"arn:aws:iam::{shop.world.fake.account}:role/orders"}}


def in_another_region(shop: Shop) -> dict[str, Any]:
    return {"function_name": shop.world.arn("a").replace("eu-central-1", "us-east-1")}


@pytest.mark.parametrize(
    ("change", "code", "names"),
    [
        (missing, "ArtifactMissing", "does not exist. Push it"),
        (zipped, "InvalidRequest", "give code.image_uri"),
        (of_a_zip, "InvalidRequest", "give code in S3"),
        (with_handler, "InvalidRequest", "configuration.Handler"),
        (of_another_account, "InvalidRequest", "account 444455556666"),
        (of_another_region, "InvalidRequest", "Region us-east-1"),
        (with_role, "InvalidRequest", "PassRolePattern"),
        (in_another_region, "FunctionNotFound", "is in Region us-east-1, and this Stagekeeper is in eu-central-1"),
    ],
)
def test_what_cannot_be_is_refused_before_any_effect(
    shop: Shop, change: Callable[[Shop], dict[str, Any]], code: str, names: str
) -> None:
    functions = shop.wishes("one")
    functions["a"] |= change(shop)
    aws = shop.world.fake.state(revisions=True)

    for dry in (True, False):
        asked = shop.world.begin(deploy_of("prod", functions, dry_run=dry))
        lasting = shop.world.lasting(asked.name)
        refused = asked.run()
        assert refused.outcome == code, refused.cause or refused.output
        assert names in refused.message
        assert shop.world.lasting(asked.name) == lasting
        assert shop.world.fake.state(revisions=True) == aws


def test_an_image_that_the_function_could_not_have_is_not_looked_for(shop: Shop) -> None:
    functions = shop.wishes("one")
    functions["a"] |= of_another_account(shop)
    functions["b"] |= of_another_region(shop)
    shop.world.wire.clear()

    shop.world.deploy("prod", functions)

    assert LOOK not in [sent.name for sent in shop.world.wire.sent]


def test_a_registry_that_cannot_be_read_is_no_missing_image(shop: Shop) -> None:
    shop.world.wire.fail(lambda sent: sent.name == LOOK, "AccessDeniedException", 400)

    refused = shop.world.deploy("prod", shop.wishes("two"))

    assert refused.outcome == "Unreadable"
    assert shop.image("two") in refused.message


def test_a_role_that_the_stack_may_pass_is_given_and_rolled_back(shop: Shop) -> None:
    world = shop.world
    before = world.fake.state()[lambda_name("a")]["latest"]["Role"]
    role = f"arn:aws:iam::{world.fake.account}:role/orders-api"
    world.deps = replace(world.deps, pass_roles=f"arn:aws:iam::{world.fake.account}:role/orders-*")

    done = world.deploy("prod", shop.wishes("one", Role=role))

    assert done.outcome == "succeeded", done.cause
    versions = world.fake.state()[lambda_name("a")]["versions"]
    assert (versions[1]["Role"], versions[2]["Role"], world.aliases()) == (before, role, {"a": "2", "b": "2"})
    world.rollback()
    assert world.aliases() == {"a": "1", "b": "1"}
