"""Whether a container image is there: what ECR says, and what that means."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from stagekeeper.aws.images import EcrClient, Images, ecr_client
from stagekeeper.domain.code import ImageAddress
from stagekeeper.domain.facts import Absent, Image, Unreadable

from .conftest import ONCE, REGION, patience

#: moto's own account.
ACCOUNT: Final = "123456789012"


def registry() -> Any:
    return boto3.client("ecr", region_name=REGION, config=ONCE)


@pytest.fixture
def pushed() -> Iterator[ImageAddress]:
    """An image that is in a repository."""
    client = registry()
    client.create_repository(repositoryName="team/orders")
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": {"digest": "sha256:0"}, "layers": []})
    image = client.put_image(repositoryName="team/orders", imageManifest=manifest, imageTag="v1")["image"]
    digest = image["imageId"]["imageDigest"].removeprefix("sha256:")
    yield ImageAddress(ACCOUNT, REGION, "amazonaws.com", "team/orders", digest)
    client.delete_repository(repositoryName="team/orders", force=True)


@dataclass
class Answering:
    """A client with one answer."""

    answer: Mapping[str, Any] | Exception
    asked: list[dict[str, Any]] = field(default_factory=list)

    def batch_get_image(self, **request: Any) -> Mapping[str, Any]:
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def answering(answer: Mapping[str, Any] | Exception, address: ImageAddress) -> Image | Absent | Unreadable:
    return Images(lambda: Answering(answer)).look(address)


SOME = ImageAddress(ACCOUNT, REGION, "amazonaws.com", "orders", "a" * 64)


def test_an_image_is_told_by_its_address_and_digest(pushed: ImageAddress) -> None:
    assert Images(registry).look(pushed) == Image(pushed.uri, pushed.digest)


def test_no_such_image_and_no_such_repository_are_absent(pushed: ImageAddress) -> None:
    images = Images(registry)

    assert images.look(replace(pushed, digest="a" * 64)) == Absent()
    assert images.look(replace(pushed, repository="nowhere")) == Absent()


def test_the_registry_is_asked_for_that_one_digest() -> None:
    client = Answering({"images": [{}], "failures": []})

    Images(lambda: client).look(SOME)

    assert client.asked == [
        {"registryId": ACCOUNT, "repositoryName": "orders", "imageIds": [{"imageDigest": f"sha256:{'a' * 64}"}]}
    ]


@pytest.mark.parametrize(
    "answer",
    [
        ClientError({"Error": {"Code": "AccessDeniedException", "Message": "No."}}, "BatchGetImage"),
        ClientError({"Error": {"Code": "ServerException", "Message": "Later."}}, "BatchGetImage"),
        ReadTimeoutError(endpoint_url="https://ecr"),
        {"images": [], "failures": [{"failureCode": "KmsError", "failureReason": "The key is gone."}]},
    ],
    ids=["denied", "server", "no answer", "unreadable image"],
)
def test_every_other_answer_is_unreadable_and_never_absent(answer: Mapping[str, Any] | Exception) -> None:
    found = answering(answer, SOME)

    assert isinstance(found, Unreadable)
    assert found.what == SOME.uri
    assert not found.why.endswith(".")


def test_the_client_is_made_at_the_first_look_and_once() -> None:
    made: list[EcrClient] = []

    def make() -> EcrClient:
        made.append(Answering({"images": [{}], "failures": []}))
        return made[-1]

    images = Images(make)
    assert made == []

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(images.look, [SOME] * 16))
    assert len(made) == 1


@pytest.mark.usefixtures("environment")
def test_the_clients_patience_is_bounded() -> None:
    assert patience(ecr_client()) == (5, 10, {"mode": "standard", "total_max_attempts": 4})  # type: ignore[arg-type]  # a real one
