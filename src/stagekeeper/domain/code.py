"""How a request names code: SHA-256 digests in their two spellings, and container images by digest. Pure."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

_IMAGE = re.compile(
    r"(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.(?P<domain>amazonaws\.com(?:\.cn)?)"
    r"/(?P<repository>(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*)"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
    r"@sha256:(?P<digest>[0-9a-f]{64})"
)

_FORM = "ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY@sha256:DIGEST"


@dataclass(frozen=True, slots=True)
class ImageAddress:
    """A container image in ECR by its digest (64 hex digits), which is also what Lambda shows as the code's CodeSha256.

    A tag beside the digest says nothing more, so it is not kept.
    """

    account: str
    region: str
    domain: str
    repository: str
    digest: str

    @property
    def uri(self) -> str:
        return f"{self.account}.dkr.ecr.{self.region}.{self.domain}/{self.repository}@sha256:{self.digest}"

    @classmethod
    def parse(cls, text: str) -> ImageAddress:
        """Raises ValueError, with a sentence that does not repeat ``text``, for anything that is not such an address."""
        if "@sha256:" not in text:
            raise ValueError(f"an image is given by its digest, since a tag may be put on another image: {_FORM}")
        found = _IMAGE.fullmatch(text)
        if found is None:
            raise ValueError(f"an image of a private repository in Amazon ECR is given as {_FORM}, the digest with 64 hex digits")
        return cls(**found.groupdict())


def sha256_base64(text: str) -> str | None:
    """A SHA-256 given as 64 hex digits or as base64, in Lambda's form (base64); None if it is neither."""
    try:
        raw = bytes.fromhex(text) if len(text) == 64 else base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return base64.b64encode(raw).decode() if len(raw) == 32 else None


def sha256_spelled_like(example: str, found: str) -> str:
    """The digest ``found`` (base64) in the spelling of ``example``, so that two can be compared by eye."""
    return base64.b64decode(found).hex() if len(example) == 64 else found
