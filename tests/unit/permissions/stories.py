"""What the recorder listens to: every operation, its dry run, and the ways in which it goes wrong and is put back.

Each story runs in an account of its own and says what came of it, so that one which does not get where it is to get fails.
Must not know any policy; what is missing here shows as a grant that nothing used.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import boto3

from stagekeeper.domain.orphans import SweepSettings
from stagekeeper.handlers.orphaned_versions import Answer
from tests.fake.s3 import Bucket
from tests.unit.engine.execution import Execution
from tests.unit.engine.faults import fail_after_the_others, of
from tests.unit.engine.templated import Templated
from tests.unit.engine.world import REGION, Saved, World, deploy_of, lambda_name

from .recorder import Call, RecordedWorld
from .template import ACCOUNT

#: The parameters of the stack whose handlers run here. Patterns that end otherwise than in ``*``, so that a function's own ARN
#: and its qualified ones do not match the same pattern.
PARAMETERS: Final[Mapping[str, str]] = {
    "FunctionNamePattern": "orders-?",
    "CodeBucketPattern": "team-code-?",
    "PassRolePattern": "app/orders-?",
}
ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/app/orders-1"
_TEAM_BUCKET: Final = "team-code-1"
_NO, _DENIED = "InvalidParameterValueException", "AccessDeniedException"
_LAYER: Final = f"arn:aws:lambda:{REGION}:580247275435:layer:LambdaInsightsExtension:14"
_LIKE_PROD: Final[Mapping[str, Any]] = {"from": {"stage": "prod"}}
_NETWORK: Final = {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}

Play = Callable[[RecordedWorld], None]


@dataclass(frozen=True, slots=True)
class Story:
    """``served``: the codes that stage prod has been put on when it begins, one release each."""

    name: str
    play: Play
    served: str


STORIES: Final[list[Story]] = []


def story(served: str = "") -> Callable[[Play], Play]:
    """Make a story of a function, in a world of the functions ``a`` and ``b``."""

    def tell(play: Play) -> Play:
        STORIES.append(Story(play.__name__.replace("_", " "), play, served))
        return play

    return tell


def told(done: Execution, outcome: str = "succeeded") -> None:
    """The operation ended as the story wants it to."""
    if done.outcome != outcome:
        raise AssertionError(f"{done.name} ended {done.outcome}, not {outcome}: {done.cause}")


def deployed(world: RecordedWorld, text: str, stage: str = "prod") -> None:
    told(world.deploy(stage, world.wishes(text)))


def ask(world: RecordedWorld, operation: str, stage: str | None = "prod", outcome: str = "succeeded", **more: Any) -> Execution:
    """An operation up to its end, after its dry run, which meets the same refusal."""
    request = {"operation": operation, **({} if stage is None else {"stage": stage}), **more}
    dry = world.begin({**request, "dry_run": True}).run()
    told(dry, "planned" if outcome in ("succeeded", "planned", "unchanged") else outcome)
    done = world.begin(request).run()
    told(done, outcome)
    return done


# Moving stages.


@story()
def move_a_stage_in_every_way(world: RecordedWorld) -> None:
    ask(world, "deploy", functions=world.wishes("one"))
    ask(world, "deploy", functions=world.wishes("two"))
    ask(world, "deploy", stage=None, functions=world.wishes("three"))
    ask(world, "rollback")
    ask(world, "reset", to={"release": 3})
    ask(world, "clone", stage="qa", **_LIKE_PROD)
    ask(world, "configure", settings={"protected": True})
    ask(world, "deploy", functions=world.wishes("three"), outcome="unchanged")
    ask(world, "verify", outcome="unchanged")
    world.fake.alias(lambda_name("a"), "prod", "3", weights={"1": 0.5})
    ask(world, "verify", outcome="Drifted")
    world.fake.alias(lambda_name("a"), "prod", "1")
    ask(world, "verify", outcome="Drifted")
    ask(world, "rollback", outcome="Drifted")
    world.fake.quietly("DeleteAlias", FunctionName=lambda_name("a"), Name="prod")
    ask(world, "verify", outcome="Drifted")


@story("one")
def deliver_every_state_twice(world: RecordedWorld) -> None:
    running = world.begin(deploy_of("prod", world.wishes("two", "a")))
    running.deliveries = 2
    told(running.run())


@story("one")
def let_functions_come_and_go(world: RecordedWorld) -> None:
    ask(world, "deploy", functions=world.wishes("two", "a"))
    ask(world, "rollback")
    ask(world, "deploy", functions=world.wishes("three", "b"), partial=True)
    world.fake.quietly("DeleteFunction", FunctionName=lambda_name("b"))
    ask(world, "rollback", outcome="FunctionNotFound")
    ask(world, "rollback", allow_missing=True)
    world.create("c")
    world.permit("c")
    ask(world, "deploy", functions=world.wishes("one", "c"), partial=True, outcome="UnqualifiedCallers")


@story("one")
def put_back_a_function_that_had_left(world: RecordedWorld) -> None:
    """A rollback claims it again; another service is faster."""
    told(world.deploy("prod", world.wishes("two", "a")))
    _long_after(world)
    told(world.begin({"operation": "sweep", "mode": "delete", "rollback_depth": 0, "keep": 9}).run())
    running = world.begin({"operation": "rollback", "stage": "prod"}).run_to("Move")
    told(world.begin({"service": "billing", **deploy_of("live", world.wishes("theirs", "b"))}).run())
    told(running.run(), "FunctionOwnedElsewhere")


@story()
def adopt_what_is_there(world: RecordedWorld) -> None:
    """Of a stack with many resources, twice, and in vain since another service is faster."""
    for name in world.names:
        world.fake.publish(lambda_name(name), b"by hand")
        world.fake.alias(lambda_name(name), "live", "1")
    world.stacks.put("shop").resources.update({str(number): f"arn:{number}" for number in range(150)})
    world.stacks.stacks["shop"].resources["Alias"] = f"{world.arn('a')}:live"
    named = {name: {"function_name": lambda_name(name)} for name in world.names}
    running = world.begin({"operation": "adopt", "functions": named}).run_to("Commit")
    told(world.begin({"service": "billing", **deploy_of("live-b", world.wishes("theirs", "b"))}).run())
    told(running.run(), "FunctionOwnedElsewhere")
    ask(world, "adopt", stage=None, functions={"a": named["a"]})
    ask(world, "adopt", stage=None, outcome="unchanged")
    told(world.begin({"operation": "clone", "stage": "qa", "from": {"stage": "live"}}).run())
    world.fake.alias(lambda_name("a"), "old", "1")
    ask(world, "adopt", stage="old")
    (recovery,) = world.notice(_die(world, {"operation": "adopt"}, "Plan").name)
    told(recovery, "Internal")
    world.fake.alias(lambda_name("a"), "older", "1")
    told(_noticed(world, {"operation": "adopt"}, "Commit"))


# Code and configuration.


@story()
def take_code_and_documents_from_everywhere(world: RecordedWorld) -> None:
    ask(world, "deploy", functions=world.put_document(world.wishes("one")))
    ask(world, "deploy", functions={"s3_bucket": world.bucket, "s3_key": "code/none.json"}, outcome="ArtifactMissing")
    ask(world, "deploy", functions=_team_document(world, {"a": _team_wish(world, "a", "two"), "b": world.wish("b")}))
    world.keep_object_versions(bucket=_TEAM_BUCKET)
    ask(world, "deploy", functions={"a": _team_wish(world, "a", "three"), "b": world.wish("b")})
    for name in world.names:
        world.upload(name, "unsummed", checksum=False)
    unsummed = {name: {"s3_bucket": world.bucket, "s3_key": f"code/{name}/unsummed.zip"} for name in world.names}
    ask(world, "deploy", functions={name: {**world.wish(name), "code": code} for name, code in unsummed.items()})
    missing = {**world.wish("a"), "code": {"s3_bucket": world.bucket, "s3_key": "code/none.zip"}}
    ask(world, "deploy", functions={"a": missing}, partial=True, outcome="ArtifactMissing")


@story("one")
def take_code_from_an_artifact_bucket_that_keeps_no_versions_any_more(world: RecordedWorld) -> None:
    """Somebody suspended its versioning: what is uploaded from then on has no version to name."""
    world.keep_object_versions("Suspended")
    ask(world, "deploy", functions=world.wishes("two"))


@story()
def take_images(world: RecordedWorld) -> None:
    registry: Any = boto3.client("ecr", region_name=REGION)
    registry.create_repository(repositoryName="team/orders")
    world.create("z", image=_image(registry, "made"))
    wish = {"function_name": lambda_name("z"), "code": {"image_uri": _image(registry, "one")}}
    ask(world, "deploy", functions={"z": wish})
    ask(world, "deploy", functions={"z": {**wish, "code": {"image_uri": _image(registry, None)}}}, outcome="ArtifactMissing")
    registry.delete_repository(repositoryName="team/orders", force=True)


@story("one")
def set_every_member_that_needs_more(world: RecordedWorld) -> None:
    given = {"Role": ROLE, "Layers": [_LAYER], "VpcConfig": _NETWORK, "MemorySize": 512}
    ask(world, "deploy", functions=world.wishes(None, **given))
    ask(world, "deploy", functions=world.wishes("two", **{**given, "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []}}))


# What goes wrong while versions are made.


@story()
def fail_to_publish(world: RecordedWorld) -> None:
    """The first deploy of a service, so that claims are freed again; later ones find what was left in $LATEST."""
    fail_after_the_others(world, "UpdateFunctionCode", "b", _NO)
    told(world.deploy("prod", world.wishes("one")), "Compensated")
    world.fake.heal()
    told(world.deploy("prod", world.wishes(None)), "FunctionNotReady")
    deployed(world, "two")
    world.fake.next_update_fails(lambda_name("b"))
    told(world.deploy("prod", world.wishes(None, MemorySize=512)), "Compensated")


@story()
def lose_the_worker_that_publishes(world: RecordedWorld) -> None:
    world.wire.kill("lambda.PublishVersion", after=True)
    told(world.deploy("prod", world.wishes(None, "a")), "Compensated")


@story()
def lose_a_function_to_another_service_while_planning(world: RecordedWorld) -> None:
    running = world.begin(deploy_of("prod", world.wishes("one"))).run_to("Publish")
    told(world.begin({"service": "billing", **deploy_of("live", world.wishes("theirs", "b"))}).run())
    told(running.run(), "FunctionOwnedElsewhere")


# What goes wrong while aliases move.


@story("one")
def fail_to_move(world: RecordedWorld) -> None:
    fail_after_the_others(world, "UpdateAlias", "b", _NO, "2")
    told(world.deploy("prod", world.wishes("two")), "Compensated")
    world.fake.heal()
    for outcome in ("Compensated", "NeedsAttention"):
        fail_after_the_others(world, "CreateAlias", "b", _NO)
        if outcome == "NeedsAttention":
            world.fake.fail("DeleteAlias", error=_DENIED, times=None)
        told(world.deploy("qa", world.wishes("two")), outcome)
        world.fake.heal()
    fail_after_the_others(world, "UpdateAlias", "b", _NO, "2")
    world.fake.fail("UpdateAlias", error=_DENIED, times=None, where=of("a", "1"))
    told(world.deploy("prod", world.wishes("two")), "NeedsAttention")
    world.fake.heal()
    told(world.rollback())


@story("one two three")
def meet_others_while_moving(world: RecordedWorld) -> None:
    """An alias that was touched, one that was moved, and one that somebody made."""
    for outcome in ("succeeded", "Drifted"):
        world.wire.on("lambda.UpdateAlias", functools.partial(world.fake.alias, lambda_name("a"), "prod", "3"))
        told(world.rollback(), outcome)
    running = world.begin(deploy_of("qa", world.wishes("one"))).run_to("Move")
    world.fake.alias(lambda_name("b"), "qa", "2")
    told(running.run(), "AliasOwnedElsewhere")


@story("one two")
def move_provisioned_concurrency(world: RecordedWorld) -> None:
    """A move that nobody answered: it is tried again, and meets the weights that AWS sets while it goes on."""
    _provision(world, "a", "prod")
    world.wire.fail(lambda sent: sent.name == "lambda.UpdateAlias" and lambda_name("a") in sent.path, None, applied=True)
    told(world.rollback())


@story("one two")
def lose_the_worker_that_moves(world: RecordedWorld) -> None:
    _provision(world, "a", "prod")
    world.wire.kill("lambda.UpdateAlias", on_call=2, after=True)
    told(world.deploy("prod", world.wishes("three")), "Compensated")


@story("one two")
def fail_to_commit(world: RecordedWorld) -> None:
    for request in ({"operation": "rollback"}, {"operation": "configure", "settings": {"protected": True}}):
        running = world.begin({"stage": "prod", **request}).run_to("Commit")
        world.wire.fail(lambda sent: '"committed"' in sent.body, _DENIED)
        told(running.run(), "Compensated")
        world.wire.mend()


@story("one")
def fail_to_clean_up(world: RecordedWorld) -> None:
    world.fake.fail("DeleteAlias", error=_DENIED, times=None)
    told(world.deploy("prod", world.wishes("two", "a")), "NeedsAttention")


# The lock.


@story("one two")
def wait_for_the_lock_in_vain(world: RecordedWorld) -> None:
    holder = world.begin({"operation": "rollback", "stage": "prod"}).run_to("Move")
    told(world.begin({"operation": "rollback", "stage": "prod", "lock_wait_seconds": 5}).run(), "Locked")
    told(world.begin({"operation": "sweep", "mode": "delete", "lock_wait_seconds": 5}).run(), "Locked")
    told(holder.run())


@story()
def die_before_there_is_a_plan(world: RecordedWorld) -> None:
    world.wire.kill("dynamodb.BatchGetItem")
    told(world.deploy("prod", world.wishes("one")), "Internal")


# Sweeps and teardowns.


@story("one two three")
def sweep_what_nothing_needs(world: RecordedWorld) -> None:
    world.owned_by(world.stacks.put("orders-app"), *world.names)
    told(world.deploy("prod", world.wishes("four", "a")))
    _long_after(world)
    for mode in ("report", "delete"):
        ask(world, "sweep", stage=None, mode=mode, outcome="planned" if mode == "report" else "succeeded")
    ask(world, "sweep", stage=None, service="nobody", outcome="ServiceNotFound")
    everything = world.begin({"operation": "sweep", "mode": "delete", "rollback_depth": 0})
    del everything.request["service"]
    told(everything.run())


@story("one two three")
def sweep_beside_an_operation_under_way(world: RecordedWorld) -> None:
    _long_after(world)
    running = world.begin({"operation": "rollback", "stage": "prod"}).run_to("Move")
    ask(world, "sweep", stage=None, mode="report", outcome="planned")
    told(running.run())


@story("one two three")
def fail_to_sweep(world: RecordedWorld) -> None:
    _long_after(world)
    world.fake.fail("DeleteFunction", error="ServiceException", times=None, where=of("b"))
    told(world.begin({"operation": "sweep", "mode": "delete"}).run(), "NeedsAttention")
    world.fake.heal()
    world.fake.fail("ListAliases", error=_DENIED, times=None)
    ask(world, "sweep", stage=None, outcome="Unreadable")


@story("one two")
def tear_a_stage_and_the_service_down(world: RecordedWorld) -> None:
    world.owned_by(world.stacks.put("orders-app"), *world.names)
    deployed(world, "three", stage="qa")
    ask(world, "teardown", stage="qa")
    ask(world, "teardown", stage=None, confirm="wrong", outcome="ConfirmationRequired")
    ask(world, "teardown", stage=None, confirm="orders")
    deployed(world, "one")


@story("one two")
def fail_to_tear_down(world: RecordedWorld) -> None:
    world.fake.fail("DeleteAlias", error=_DENIED, times=None, where=of("b"))
    told(world.begin({"operation": "teardown", "stage": "prod"}).run(), "NeedsAttention")


# Services from templates.


def _template(world: RecordedWorld) -> Templated:
    """Of functions that are not there yet."""
    for name in world.names:
        world.fake.quietly("DeleteFunction", FunctionName=lambda_name(name))
    return Templated(world)


def _go(templated: Templated, stage: str | None = "prod", outcome: str = "succeeded", **more: Any) -> None:
    told(templated.deploy(stage, dry_run=True, **more), "planned" if outcome in ("succeeded", "Compensated") else outcome)
    told(templated.deploy(stage, **more), outcome)


def _ask(templated: Templated, operation: str, stage: str | None = "prod", outcome: str = "succeeded", **more: Any) -> None:
    told(templated.ask(operation, stage, dry_run=True, **more), "planned")
    told(templated.ask(operation, stage, **more), outcome)


@story()
def deploy_from_a_template(world: RecordedWorld) -> None:
    """To two stages, beside one without a template; a resource leaves, once for all and once beside an operation under way."""
    templated = _template(world)
    _go(templated, None)
    _go(templated, variables={"LEVEL": "info"})
    _go(templated, "dev")
    templated.say("two")
    templated.resources["Work"]["Properties"]["VisibilityTimeout"] = 90
    _go(templated)
    _ask(templated, "rollback")
    _ask(templated, "reset", "dev", to={"release": 2})
    _ask(templated, "clone", "qa", **_LIKE_PROD)
    _ask(templated, "teardown", "qa")
    _ask(templated, "teardown", "dev")
    # A stage that no template made, which calls a function otherwise.
    told(world.begin(deploy_of("old", {"worker": world.wish("b", "one")})).run())
    kept = templated.resources.pop("Table")
    _go(templated)
    templated.resources["Table"] = kept
    _go(templated)
    del templated.resources["Table"]
    running = templated.begin("prod", lock_wait_seconds=0).run_to("CleanUp")
    running.step()
    other = templated.begin("dev").run_to("Plan")
    told(running.run())
    told(other.run())
    _ask(templated, "teardown", None, confirm="orders")


@story()
def fail_to_change_stacks(world: RecordedWorld) -> None:
    templated = _template(world)
    world.wire.kill("cloudformation.CreateChangeSet", after=True)
    told(templated.deploy(), "Compensated")
    templated.resources["Work"]["Properties"]["VisibilityTimeout"] = 1
    world.stacks.fail("Work", "CREATE", times=None)
    told(templated.deploy(), "Compensated")
    world.stacks.heal()
    told(templated.deploy())
    # Somebody changed it by hand, and back.
    world.stacks.stack("orders").updated_at = world.clock.now()
    templated.say("two")
    told(templated.deploy())
    world.stacks.stack("orders").updated_at = world.clock.now()
    told(templated.deploy(), "unchanged")
    templated.resources["Table"]["Properties"]["BillingMode"] = "PROVISIONED"
    for phase in ("UPDATE", "ROLLBACK"):
        world.stacks.fail("Table", phase, times=None)
    told(templated.deploy(), "NeedsAttention")
    world.stacks.heal()
    told(templated.deploy())
    templated.resources["Work"]["Properties"]["VisibilityTimeout"] = 2
    told(templated.deploy())
    world.stacks.fail("Work", "UPDATE", times=None)
    told(templated.ask("rollback"), "NeedsAttention")
    world.stacks.heal()
    world.stacks.fail("Work", "DELETE", times=None)
    told(templated.ask("teardown"), "NeedsAttention")
    world.stacks.heal()
    told(templated.ask("teardown"))
    told(templated.deploy())
    world.stacks.fail("Table", "DELETE", times=None)
    told(templated.ask("teardown", None, confirm="orders"), "NeedsAttention")
    world.stacks.heal()
    told(templated.ask("teardown", None, confirm="orders"))


# The custom resource of other templates.


@story("one two three")
def sweep_for_a_template(world: RecordedWorld) -> None:
    """Functions of a service and of none; a second request beside a rollback under way."""
    _long_after(world)
    world.create("d")
    for body in (b"1", b"2", b"3"):
        world.fake.publish(lambda_name("d"), body)
    running = world.begin({"operation": "rollback", "stage": "prod"}).run_to("Move")
    swept(world.template_sends("Update", Service="orders"), "Locked")
    told(running.run())
    swept(world.template_sends("Update", FunctionNames=["orders-d", "orders-a"], Keep="1"))
    swept(world.template_sends("Delete", Service="orders"))


def swept(answer: Answer, word: str = "Swept") -> None:
    """The sweep for a template ended as the story wants it to."""
    if answer.word != word:
        raise AssertionError(f"a sweep for a template ended {answer.word}, not {word}: {answer.detail}")


# Executions that die.


@story("one two")
def notice_that_executions_died(world: RecordedWorld) -> None:
    """At every point of a deploy; one ended properly, and of one the first recovery dies as well."""
    for state, outcome in (("Plan", "Internal"), ("Publish", "Compensated"), ("Move", "Compensated"), ("Commit", "succeeded")):
        told(_noticed(world, deploy_of("prod", world.wishes(f"until {state}")), state), outcome)
    told(_noticed(world, deploy_of("prod", world.wishes("dropping", "a")), "CleanUp"))
    back = _die(world, {"operation": "rollback", "stage": "prod"}, "Move")
    world.begin_recoveries(back.name)
    world.begun()[0].stop()
    told(world.notice(back.name)[0], "Compensated")
    if world.notice(back.name):
        raise AssertionError("an operation that had ended was recovered")


@story("one two")
def find_dead_operations_in_the_way(world: RecordedWorld) -> None:
    """Of one there is nothing left but its place in the lock."""
    back = {"operation": "rollback", "stage": "prod"}
    _die(world, back, "Move")
    told(world.begin({"operation": "sweep", "mode": "delete"}).run())
    _die(world, back, "Move")
    told(world.begin({**back, "lock_wait_seconds": 0}).run(), "Locked")
    told(world.run_started()[0], "Compensated")
    forgotten = _die(world, back, "Move")
    world.forget_operation(forgotten.name)
    told(world.begin(back).run())


@story("one two")
def recover_by_hand(world: RecordedWorld) -> None:
    _die(world, {"operation": "rollback", "stage": "prod"}, "Move")
    ask(world, "recover", stage=None)
    one = _die(world, {"operation": "rollback", "stage": "prod"}, "Move")
    ask(world, "recover", stage=None, operation_id=one.name)
    forgotten = _die(world, {"operation": "rollback", "stage": "prod"}, "Move")
    world.forget_operation(forgotten.name)
    ask(world, "recover", stage=None, service="orders", outcome="unchanged")
    ask(world, "recover", stage=None, service="nobody", outcome="ServiceNotFound")


def _die(world: RecordedWorld, request: Mapping[str, Any], state: str) -> Execution:
    running = world.begin(request).run_to(state)
    running.stop()
    return running


def _noticed(world: RecordedWorld, request: Mapping[str, Any], state: str) -> Execution:
    (recovery,) = world.notice(_die(world, request, state).name)
    return recovery


# What stories arrange.


def _long_after(world: RecordedWorld) -> None:
    """Nothing is kept any more but what something needs."""
    world.clock.sleep(30 * 24 * 3600.0)
    world.sweeping = SweepSettings(keep=0, rollback_depth=0, grace_seconds=3600.0)


def _team_bucket(world: RecordedWorld) -> None:
    """Another bucket, which keeps no versions unless it is told to."""
    if _TEAM_BUCKET not in world.objects.buckets:
        world.objects.hold(_TEAM_BUCKET, Bucket())


def _team_wish(world: RecordedWorld, name: str, text: str) -> dict[str, Any]:
    """A function with code that lies in the team's bucket, by its object's version if the bucket keeps any."""
    _team_bucket(world)
    put = world.objects.put(_TEAM_BUCKET, f"{name}.zip", f"{name}: {text}".encode())
    version = {} if put is None else {"s3_object_version": put}
    return {**world.wish(name), "code": {"s3_bucket": _TEAM_BUCKET, "s3_key": f"{name}.zip", **version}}


def _team_document(world: RecordedWorld, functions: Mapping[str, Any]) -> dict[str, Any]:
    _team_bucket(world)
    world.objects.put(_TEAM_BUCKET, "functions.json", json.dumps(functions).encode())
    return {"s3_bucket": _TEAM_BUCKET, "s3_key": "functions.json"}


def _image(registry: Any, text: str | None) -> str:
    """The address of an image that is pushed; None: of one that is not there."""
    digest = f"sha256:{'0' * 64}"
    if text is not None:
        kind = "application/vnd.oci.image.manifest.v1+json"
        manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": {"digest": f"sha256:{text}"}, "layers": []})
        digest = f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
        registry.put_image(repositoryName="team/orders", imageManifest=manifest, imageTag=text, imageDigest=digest)
    return f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/team/orders@{digest}"


def _provision(world: RecordedWorld, name: str, alias: str) -> None:
    """The alias has provisioned concurrency, which takes its time to follow when the alias moves."""
    world.fake.quietly(
        "PutProvisionedConcurrencyConfig", FunctionName=lambda_name(name), Qualifier=alias, ProvisionedConcurrentExecutions=1
    )
    world.fake._aliases.shift_seconds = 30.0


# Telling them.


def needed() -> list[Call]:
    """What all stories together needed. Expects moto to be running."""
    return [call for each in STORIES for call in _tell(each)]


def _tell(each: Story) -> set[Call]:
    world = RecordedWorld(each.name, pass_roles=ROLE.replace("-1", "-?"), saved=_begun(each.served))
    each.play(world)
    if world.wire.unmet():
        raise AssertionError(f"{each.name}: a fault that was arranged never happened")
    return world.recorder.calls


@functools.cache
def _begun(served: str) -> Saved:
    """What stories begin with is made once."""
    world = World(("a", "b"))
    for text in served.split():
        told(world.deploy("prod", world.wishes(text)))
    return world.save()
