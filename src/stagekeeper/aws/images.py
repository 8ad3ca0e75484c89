"""Amazon ECR: whether a container image is there. Must not know functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from stagekeeper.aws.errors import error_code, spelled
from stagekeeper.aws.lazily import Lazily
from stagekeeper.domain.code import ImageAddress
from stagekeeper.domain.facts import Absent, Image, Unreadable


class EcrClient(Protocol):
    """The one call of ECR that is made."""

    def batch_get_image(self, **request: Any) -> Mapping[str, Any]: ...


def ecr_client() -> EcrClient:
    client: EcrClient = boto3.client(
        "ecr", config=Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4})
    )
    return client


class Images:
    """The client is made when the first image is looked for: most services have none, and making one takes a while."""

    def __init__(self, make_client: Callable[[], EcrClient] = ecr_client) -> None:
        self._client = Lazily(make_client)

    def look(self, address: ImageAddress) -> Image | Absent | Unreadable:
        """The image, by its manifest: BatchGetImage reads no layer. Absent: there is no such image, or no such repository."""
        try:
            answer = self._client().batch_get_image(
                registryId=address.account,
                repositoryName=address.repository,
                imageIds=[{"imageDigest": f"sha256:{address.digest}"}],
            )
        except ClientError as error:
            return Absent() if error_code(error) == "RepositoryNotFoundException" else Unreadable(address.uri, spelled(error))
        except BotoCoreError as error:
            return Unreadable(address.uri, spelled(error))
        if answer["images"]:
            return Image(address.uri, address.digest)
        failure = answer["failures"][0]
        if failure["failureCode"] == "ImageNotFound":
            return Absent()
        return Unreadable(address.uri, f"{failure['failureCode']}: {failure.get('failureReason', 'no reason given')}".rstrip("."))
