"""Functions may share one package in S3: it is looked at once and, without a stored digest, hashed once."""

from __future__ import annotations

from .conftest import MakeWorld
from .world import deploy_of, lambda_name


def test_an_object_that_many_functions_share_is_hashed_and_remembered_once(make_world: MakeWorld) -> None:
    world = make_world(*"abcdefgh")
    code = world.upload("shared", "one", checksum=False)
    functions = {name: {"function_name": lambda_name(name), "code": code} for name in world.names}
    world.wire.clear()

    done = world.begin(deploy_of("prod", functions)).run()

    assert done.outcome == "succeeded", done.cause
    names = [sent.name for sent in world.wire.sent]
    assert names.count("s3.HeadObject") == 1
    assert names.count("dynamodb.PutItem") == 1
