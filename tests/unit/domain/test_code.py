"""How a request names code: digests in two spellings, images by digest. The forms of images are in test_request_functions.py."""

from __future__ import annotations

import base64
import hashlib

import pytest

from stagekeeper.domain.code import ImageAddress, sha256_base64, sha256_spelled_like

DIGEST = hashlib.sha256(b"code").digest()
HEX, BASE64 = DIGEST.hex(), base64.b64encode(DIGEST).decode()
OTHER = hashlib.sha256(b"other").digest()


@pytest.mark.parametrize("text", [HEX, HEX.upper(), BASE64])
def test_a_sha256_is_taken_in_hex_and_in_base64(text: str) -> None:
    assert sha256_base64(text) == BASE64


@pytest.mark.parametrize("text", ["", "abc", "g" * 64, "ab" * 31, "ab" * 33, BASE64[:-1], BASE64 + "\n", "AAAA"])
def test_anything_else_is_no_sha256(text: str) -> None:
    assert sha256_base64(text) is None


@pytest.mark.parametrize("example", [HEX, HEX.upper()])
def test_a_digest_is_spelled_in_hex_beside_one_in_hex(example: str) -> None:
    assert sha256_spelled_like(example, base64.b64encode(OTHER).decode()) == OTHER.hex()


def test_a_digest_is_spelled_in_base64_beside_one_in_base64() -> None:
    assert sha256_spelled_like(BASE64, base64.b64encode(OTHER).decode()) == base64.b64encode(OTHER).decode()


def test_an_image_is_spelled_as_it_was_given_but_for_its_tag() -> None:
    given = f"111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/team/orders.api:v1.2@sha256:{HEX}"
    address = ImageAddress.parse(given)
    assert address == ImageAddress("111122223333", "cn-north-1", "amazonaws.com.cn", "team/orders.api", HEX)
    assert address.uri == given.replace(":v1.2", "")


@pytest.mark.parametrize("text", ["", "orders:latest", f"orders@sha256:{HEX}"])
def test_what_is_wrong_with_an_image_is_told_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"ACCOUNT\.dkr\.ecr\.REGION") as wrong:
        ImageAddress.parse(text)
    assert not text or text not in str(wrong.value)
