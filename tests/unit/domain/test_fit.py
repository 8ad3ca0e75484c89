"""What a request wants of a function and the function cannot have: refused before anything happens."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stagekeeper.domain.model import Claim, LogicalName, ServiceName
from stagekeeper.domain.refusal import Code, Refusal
from tests.unit.domain.builders import (
    arn,
    decide_deploy,
    deploy_facts,
    deploy_wish,
    planned,
    refused,
    wanted,
)

ROLES = "arn:aws:iam::111122223333:role/"
LAYER = "arn:aws:lambda:eu-central-1:017000801446:layer:Tools:7"


def misfit(refusal: Refusal, blocker: str, *parts: str) -> None:
    assert (refusal.code, refusal.blockers) == (Code.INVALID_REQUEST, (blocker,))
    for part in (f"Function api ({arn('api')})", *parts):
        assert part in refusal.message, refusal.message


# Packages.


def test_an_image_does_not_become_a_zip() -> None:
    facts = deploy_facts(wanted("api", "B", package="Image"))
    misfit(refused(decide_deploy(deploy_wish(), facts)), "api.code", "is a container image", "give code.image_uri")


def test_a_zip_does_not_become_an_image() -> None:
    facts = deploy_facts(wanted("api", "B", image=True))
    misfit(refused(decide_deploy(deploy_wish(), facts)), "api.code", "is a zip", "give code in S3")


@pytest.mark.parametrize(("package", "image"), [("Zip", False), ("Image", True)])
def test_code_of_the_functions_own_kind_is_published(package: str, image: bool) -> None:
    facts = deploy_facts(wanted("api", "B", package=package, image=image))
    (publish,) = planned(decide_deploy(deploy_wish(), facts)).publishes
    assert publish.update_code


@pytest.mark.parametrize("package", ["Zip", "Image"])
def test_without_code_both_kinds_are_published_as_they_are(package: str) -> None:
    planned(decide_deploy(deploy_wish(), deploy_facts(wanted("api", package=package))))


@pytest.mark.parametrize(("package", "members"), [("Image", "Handler"), ("Image", "Layers, Runtime"), ("Zip", "ImageConfig")])
def test_members_of_the_other_kind_of_package_are_refused(package: str, members: str) -> None:
    facts = deploy_facts(wanted("api", package=package, given=(*members.split(", "), "Timeout")))
    kinds = {
        "Image": "is a container image, and only functions with a zip have",
        "Zip": "is a zip, and only container images have",
    }
    named = ", ".join(f"configuration.{member}" for member in members.split(", "))
    misfit(
        refused(decide_deploy(deploy_wish(), facts)), f"api.configuration: {members}", f"{kinds[package]} {named}. Leave that out"
    )


@pytest.mark.parametrize(("package", "members"), [("Zip", ("Handler", "Runtime", "Layers")), ("Image", ("ImageConfig",))])
def test_a_member_of_its_own_kind_of_package_is_taken(package: str, members: tuple[str, ...]) -> None:
    planned(decide_deploy(deploy_wish(), deploy_facts(wanted("api", package=package, given=members))))


# Layers.


def test_a_layer_of_another_region_is_refused() -> None:
    distant = LAYER.replace("eu-central-1", "us-east-1")
    facts = deploy_facts(wanted("api", given=("Layers",), layers=(LAYER, distant, f"{distant}1")))
    blocker = f"api.configuration.Layers: {distant}, {distant}1"
    misfit(refused(decide_deploy(deploy_wish(), facts)), blocker, "Region eu-central-1", distant)


def test_a_layer_of_another_account_is_taken() -> None:
    planned(decide_deploy(deploy_wish(), deploy_facts(wanted("api", given=("Layers",), layers=(LAYER,)))))


# Roles.


@pytest.mark.parametrize(
    ("pattern", "role"),
    [
        (f"{ROLES}orders-*", f"{ROLES}orders-api"),
        (f"{ROLES}*", f"{ROLES}team/orders-api"),
        (f"{ROLES}orders-ap?", f"{ROLES}orders-api"),
        (f"{ROLES}a+b.c", f"{ROLES}a+b.c"),
    ],
)
def test_a_role_that_the_stack_may_pass_is_taken(pattern: str, role: str) -> None:
    facts = deploy_facts(wanted("api", given=("Role",), role=role), pass_roles=pattern)
    planned(decide_deploy(deploy_wish(), facts))


@pytest.mark.parametrize(
    ("pattern", "role"),
    [
        (f"{ROLES}orders-*", f"{ROLES}admin"),
        (f"{ROLES}orders-*", f"{ROLES}Orders-api"),
        (f"{ROLES}orders-*", f"{ROLES}team/orders-api"),
        (f"{ROLES}orders-ap?", f"{ROLES}orders-ap"),
        (f"{ROLES}orders-api", f"{ROLES}orders-api-admin"),
        (f"{ROLES}a.b", f"{ROLES}axb"),
        (f"{ROLES}*", "arn:aws:iam::444455556666:role/orders-api"),
    ],
)
def test_a_role_that_the_stack_may_not_pass_is_refused_with_the_parameter(pattern: str, role: str) -> None:
    facts = deploy_facts(wanted("api", given=("Role",), role=role), pass_roles=pattern)
    refusal = refused(decide_deploy(deploy_wish(), facts))
    misfit(refusal, f"api.configuration.Role: {role}", f"only roles that match {pattern}", "PassRolePattern")


def test_without_the_parameter_no_role_can_be_given() -> None:
    facts = deploy_facts(wanted("api", given=("Role",), role=f"{ROLES}orders-api"))
    refusal = refused(decide_deploy(deploy_wish(), facts))
    misfit(refusal, f"api.configuration.Role: {ROLES}orders-api", "no roles, since it is empty", "PassRolePattern")


def test_a_function_of_another_service_is_that_first() -> None:
    theirs = Claim(ServiceName("billing"), LogicalName("api"))
    facts = deploy_facts(wanted("api", "B", image=True), claims={"api": theirs})
    assert refused(decide_deploy(deploy_wish(), facts)).code is Code.FUNCTION_OWNED_ELSEWHERE


def test_every_function_that_does_not_fit_is_named() -> None:
    facts = deploy_facts(*(replace(wanted(name, "B", image=True), function=LogicalName(name)) for name in ("api", "worker")))
    assert refused(decide_deploy(deploy_wish(), facts)).blockers == ("api.code", "worker.code")
