"""Functions made of container images, on the deployed system under enforced IAM: by digest, from Amazon ECR."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from .evidence import changed_by_refusal, look
from .plane import ControlPlane, unique
from .service import ROLE, settled


class Shop:
    """A service of one image function, ``a``, and a repository of its own."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.name = unique("shop")
        self.repository = unique("team/shop")
        plane.client("ecr").create_repository(repositoryName=self.repository)
        self.function = unique("image")
        plane.client("lambda").create_function(
            FunctionName=self.function,
            PackageType="Image",
            Code={"ImageUri": self.push("made")},
            Role=f"arn:aws:iam::{plane.account}:role/{ROLE}",
        )
        settled(plane, self.function)

    def push(self, text: str) -> str:
        """Another image for every text; its address by digest."""
        kind = "application/vnd.oci.image.manifest.v1+json"
        config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": f"sha256:{digest_of(text)}", "size": 1}
        manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": []})
        pushed = self.plane.client("ecr").put_image(repositoryName=self.repository, imageManifest=manifest, imageTag=text)
        return self.address(pushed["image"]["imageId"]["imageDigest"])

    def address(self, digest: str) -> str:
        return f"{self.plane.account}.dkr.ecr.{self.plane.region}.amazonaws.com/{self.repository}@{digest}"

    def deploy(self, uri: str, **more: Any) -> dict[str, Any]:
        function = {"function_name": self.function, "code": {"image_uri": uri}}
        return {"operation": "deploy", "service": self.name, "stage": "dev", "functions": {"a": function}, **more}

    def served(self) -> str:
        """The digest of the image that dev really serves."""
        shown = self.plane.client("lambda").get_function(FunctionName=self.function, Qualifier="dev")
        return str(shown["Configuration"]["CodeSha256"])


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture(scope="module")
def shop(plane: ControlPlane) -> Shop:
    return Shop(plane)


def test_an_image_is_deployed_by_digest_and_rolled_back(shop: Shop) -> None:
    one, two = shop.push("one"), shop.push("two")
    for uri in (one, two):
        ended = shop.plane.run(shop.deploy(uri))
        assert ended.output.get("outcome") == "succeeded", ended.cause
        assert shop.served() == uri.rpartition(":")[2]

    back = shop.plane.run({"operation": "rollback", "service": shop.name, "stage": "dev"})

    assert back.output.get("outcome") == "succeeded", back.cause
    assert shop.served() == one.rpartition(":")[2]
    assert shop.plane.run(shop.deploy(one)).output["outcome"] == "unchanged"


@pytest.mark.parametrize("dry_run", [False, True], ids=["", "dry run"])
def test_an_image_that_is_not_there_is_refused_and_changes_nothing(shop: Shop, dry_run: bool) -> None:
    missing = shop.address(f"sha256:{'0' * 64}")
    before = look(shop.plane, shop.name, [shop.function])

    ended = shop.plane.run(shop.deploy(missing, dry_run=dry_run))

    assert (ended.error, missing in ended.cause["message"]) == ("ArtifactMissing", True), ended.cause
    assert changed_by_refusal(before, look(shop.plane, shop.name, [shop.function]), ended, shop.name) == set()


def test_a_tag_is_not_enough(shop: Shop) -> None:
    shop.push("three")

    ended = shop.plane.run(shop.deploy(f"{shop.address('').removesuffix('@')}:three"))

    assert ended.error == "InvalidRequest"
    assert "an image is given by its digest" in ended.cause["message"]


def test_a_role_is_refused_where_the_stack_passes_none(shop: Shop) -> None:
    request = shop.deploy(shop.push("four"))
    request["functions"]["a"]["configuration"] = {"Role": f"arn:aws:iam::{shop.plane.account}:role/{ROLE}"}
    before = look(shop.plane, shop.name, [shop.function])

    ended = shop.plane.run(request)

    assert ended.error == "InvalidRequest", ended.cause
    assert "PassRolePattern" in ended.cause["message"]
    assert changed_by_refusal(before, look(shop.plane, shop.name, [shop.function]), ended, shop.name) == set()
