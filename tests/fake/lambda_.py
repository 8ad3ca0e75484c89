"""The strict in-memory fake of AWS Lambda's control plane.

`FakeLambda.client()` is a real boto3 client whose requests are answered from memory just before they would be sent, so
botocore's own checks, serialisation, retries and error classes all run and no socket is used. The fake knows nothing of
the product; its rules are AWS's, each kept by a case of the contract suite.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary, ref

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.model import OperationModel, ServiceModel

from . import validation
from .aliases import Aliases
from .clock import FakeClock
from .concurrency import InvokeConfigs, ProvisionedConcurrency, ReservedConcurrency
from .direct import direct_client
from .errors import AwsError, throttled
from .faults import Call, Faults, Predicate, When
from .functions import Functions, Objects
from .permissions import Permissions
from .store import LATEST, Function, Store, Version
from .throttle import Quotas, is_shared
from .triggers import EventSourceMappings, Urls
from .wire import Answer, Params, client_of, read_request, write_answer, write_error

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

#: What becomes of an answer and of an error on their way.
A = TypeVar("A")
E = TypeVar("E")

ROLE = "arn:aws:iam::{account}:role/fake"


def _no_objects(_bucket: str, _key: str, _version: str | None) -> bytes | None:
    return None


class FakeLambda:
    """One account's Lambda in one Region.

    `clock` gives seconds since the epoch (default: a `FakeClock`, found at `.clock`). `*_seconds` are how long things
    take on that clock: an update of $LATEST, a published version's way to Active, provisioned concurrency, the
    transient weights of a provisioned alias that moves, and the end of a deleted event source mapping. With the default
    of 0 all is settled by the next call.
    `objects` gives the bytes of an S3 object, or None. `throttle=True` switches on AWS's request quotas.
    """

    def __init__(
        self,
        region: str = "eu-central-1",
        account: str = "123456789012",
        clock: Callable[[], float] | None = None,
        *,
        objects: Objects = _no_objects,
        update_seconds: float = 0.0,
        version_seconds: float = 0.0,
        provisioned_seconds: float = 0.0,
        shift_seconds: float = 0.0,
        mapping_seconds: float = 0.0,
        alias_limit: int | None = None,
        throttle: bool = False,
    ) -> None:
        self.region, self.account = region, account
        self.clock: Callable[[], float] = clock if clock is not None else FakeClock()
        self.calls: list[Call] = []
        self._lock = threading.RLock()
        self._faults = Faults()
        self._quotas = Quotas(self.clock) if throttle else None
        self._requests = 0
        self._store = Store(region, account, self.clock)
        self._functions = Functions(self._store, objects, update_seconds, version_seconds)
        self._aliases = Aliases(self._store, alias_limit, shift_seconds)
        self._provisioned = ProvisionedConcurrency(self._store, provisioned_seconds)
        self._mappings = EventSourceMappings(self._store, mapping_seconds)
        self._operations = self._table()
        self._model: ServiceModel | None = None

    def _table(self) -> dict[str, Callable[[Params], Answer]]:
        functions, aliases, provisioned = self._functions, self._aliases, self._provisioned
        permissions, urls = Permissions(self._store), Urls(self._store)
        mappings, reserved = self._mappings, ReservedConcurrency(self._store)
        invoke_configs = InvokeConfigs(self._store)
        return {
            "CreateFunction": functions.create,
            "GetFunction": functions.get,
            "GetFunctionConfiguration": functions.get_configuration,
            "UpdateFunctionCode": functions.update_code,
            "UpdateFunctionConfiguration": functions.update_configuration,
            "PublishVersion": functions.publish,
            "ListVersionsByFunction": functions.list_versions,
            "ListFunctions": functions.list_functions,
            "DeleteFunction": functions.delete,
            "GetAccountSettings": functions.account,
            "CreateAlias": aliases.create,
            "UpdateAlias": aliases.update,
            "GetAlias": aliases.get,
            "ListAliases": aliases.list,
            "DeleteAlias": aliases.delete,
            "AddPermission": permissions.add,
            "RemovePermission": permissions.remove,
            "GetPolicy": permissions.get,
            "CreateEventSourceMapping": mappings.create,
            "GetEventSourceMapping": mappings.get,
            "ListEventSourceMappings": mappings.list,
            "DeleteEventSourceMapping": mappings.delete,
            "CreateFunctionUrlConfig": urls.create,
            "GetFunctionUrlConfig": urls.get,
            "ListFunctionUrlConfigs": urls.list,
            "DeleteFunctionUrlConfig": urls.delete,
            "PutProvisionedConcurrencyConfig": provisioned.put,
            "GetProvisionedConcurrencyConfig": provisioned.get,
            "ListProvisionedConcurrencyConfigs": provisioned.list,
            "DeleteProvisionedConcurrencyConfig": provisioned.delete,
            "PutFunctionConcurrency": reserved.put,
            "GetFunctionConcurrency": reserved.get,
            "DeleteFunctionConcurrency": reserved.delete,
            "PutFunctionEventInvokeConfig": invoke_configs.put,
            "GetFunctionEventInvokeConfig": invoke_configs.get,
            "ListFunctionEventInvokeConfigs": invoke_configs.list,
            "DeleteFunctionEventInvokeConfig": invoke_configs.delete,
        }

    # The client and what it sends.

    def client(self, config: Config | None = None) -> LambdaClient:
        """A real boto3 client of this fake. Without a `config` it retries nothing."""
        client: LambdaClient = client_of("lambda", self.region, config, self._answer)
        return self._known(client)

    def direct_client(self, config: Config | None = None) -> LambdaClient:
        """The same without HTTP (see `direct`)."""
        client: LambdaClient = direct_client("lambda", self.region, config, self._answer_directly)
        return self._known(client)

    def _known(self, client: LambdaClient) -> LambdaClient:
        self._model = client.meta.service_model
        _fakes[client] = ref(self)
        return client

    def _answer(self, operation: OperationModel, request: AWSPreparedRequest) -> AWSResponse:
        return self._served(
            operation,
            read_request(operation, request),
            lambda answer, request_id: write_answer(operation, answer, request, request_id),
            lambda error, request_id: write_error(operation, error, request, request_id),
        )

    def _answer_directly(self, operation: OperationModel, params: Params, written: Callable[[Answer], Answer]) -> Answer:
        served = self._served(operation, params, lambda answer, _: written(answer), lambda error, _: error)
        if isinstance(served, AwsError):
            raise served
        return served

    def _served(
        self,
        operation: OperationModel,
        params: Params,
        write_answer: Callable[[Answer, str], A],
        write_error: Callable[[AwsError, str], E],
    ) -> A | E:
        call = Call(operation.name, params)
        with self._lock:
            self.calls.append(call)
            self._requests += 1
            request_id = f"00000000-0000-4000-8000-{self._requests:012x}"
            hooks, fault = self._faults.hooks_for(call), self._faults.fault_for(call)
            admitted = self._quotas is None or self._quotas.admits(operation.name)
        # Hooks run without the lock: a test may use another thread or another client in one.
        for callback, when in hooks:
            if when == "before":
                callback(call)
        try:
            if not admitted:
                raise throttled()
            if fault is not None and not fault.applied:
                raise fault.error
            if fault is not None:
                # Nobody hears the answer, whether it is a success or a refusal.
                with suppress(AwsError):
                    self._do(operation, call.params)
                raise fault.error
            answer = self._do(operation, call.params)
        except AwsError as error:
            response: A | E = write_error(error, request_id)
        else:
            response = write_answer(answer, request_id)
        for callback, when in hooks:
            if when == "after":
                callback(call)
        return response

    def _do(self, operation: OperationModel, params: Params) -> Answer:
        if operation.name not in self._operations:
            raise NotImplementedError(f"the fake has no {operation.name}")
        with self._lock:
            self._store.settle()
            validation.check(operation, params)
            return self._operations[operation.name](params)

    # What tests arrange.

    def fail(
        self,
        operation: str,
        on_call: int = 1,
        error: str | BaseException | None = None,
        *,
        applied: bool = False,
        times: int | None = 1,
        where: Predicate | None = None,
    ) -> None:
        """Fail the `on_call`-th call of an operation from now on, and `times` in all (None: every later one too).

        `error` is an error code (`TooManyRequestsException`, `ServiceException`, …), `ReadTimeout`, `ConnectTimeout`,
        or an exception to raise out of the client. With `applied=True` the effect happens first: by default the caller
        then gets a read timeout, the call nobody answered. `where` sees the parameters; only calls it accepts count.
        """
        if error is None:
            error = "ReadTimeout" if applied else "ServiceException"
        self._faults.fail(operation, on_call, times, error, applied, where)

    def on(
        self,
        operation: str,
        callback: Callable[[Call], object],
        *,
        when: When = "before",
        on_call: int | None = None,
        where: Predicate | None = None,
    ) -> None:
        """Run `callback` just before (or after) every call of an operation ("*": of any), or only the `on_call`-th.

        What it raises comes out of the client: an `Exception` as a failed call, a `BaseException` as a dead worker.
        """
        self._faults.on(operation, callback, when, on_call, where)

    def heal(self) -> None:
        """Forget all faults and hooks."""
        self._faults.clear()

    def quietly(self, operation: str, **params: Any) -> Answer:
        """Do one operation behind the product's back: not recorded, not throttled, never failed on purpose.

        The answer is AWS's as it travels (dates of event source mappings are numbers). Raises `AwsError`.
        """
        if self._model is None:
            self.client()
        assert self._model is not None
        return self._do(self._model.operation_model(operation), params)

    def create(
        self, name: str, code: bytes = b"code", *, image: str | None = None, publish: bool = False, **configuration: Any
    ) -> str:
        """A new function, Active at once. Returns its ARN. `configuration` is as for CreateFunction.

        With `image` (a URI) it is a container image's function and has no `code`.
        """
        wanted: dict[str, Any] = {"Role": ROLE.format(account=self.account)}
        if image is None:
            wanted |= {"Runtime": "python3.13", "Handler": "app.handler", "Code": {"ZipFile": code}}
        else:
            wanted |= {"PackageType": "Image", "Code": {"ImageUri": image}}
        answer = self.quietly("CreateFunction", FunctionName=name, **(wanted | configuration))
        self.settle_now(name)
        if publish:
            self.publish(name)
        return str(answer["FunctionArn"])

    def update(self, name: str, code: bytes | None = None, **configuration: Any) -> None:
        """Change $LATEST and let the update finish."""
        if code is not None:
            self.quietly("UpdateFunctionCode", FunctionName=name, ZipFile=code)
            self.settle_now(name)
        if configuration:
            self.quietly("UpdateFunctionConfiguration", FunctionName=name, **configuration)
            self.settle_now(name)

    def publish(self, name: str, code: bytes | None = None, **configuration: Any) -> str:
        """Change $LATEST if asked to and publish it. Returns the version's number; the version is Active."""
        self.update(name, code, **configuration)
        number = str(self.quietly("PublishVersion", FunctionName=name)["Version"])
        self.settle_now(name)
        return number

    def alias(self, name: str, alias: str, version: str, weights: dict[str, float] | None = None) -> str:
        """Point an alias at a version, making it if need be. Returns its RevisionId."""
        exists = alias in self._store.functions[name].aliases
        answer = self.quietly(
            "UpdateAlias" if exists else "CreateAlias",
            FunctionName=name,
            Name=alias,
            FunctionVersion=version,
            RoutingConfig={"AdditionalVersionWeights": weights or {}},
        )
        return str(answer["RevisionId"])

    def set_state(self, name: str, qualifier: str, state: str, reason: str = "Set by the test.") -> None:
        """Put a version (or $LATEST) into `Inactive`, `Failed`, `Pending` (until set again) or `Active`."""
        version = self._version(name, qualifier)
        version.state, version.state_reason, version.settles_at = state, reason, None

    def set_update(self, name: str, status: str, reason: str = "Set by the test.") -> None:
        """Set $LATEST's LastUpdateStatus: `InProgress` (until set again), `Failed` or `Successful`."""
        latest = self._version(name, LATEST)
        latest.update, latest.update_reason, latest.settles_at = status, reason, None

    def tag(self, name: str, tags: dict[str, str]) -> None:
        """Put tags on a function, as CloudFormation does on those it makes."""
        self._store.functions[name].tags.update(tags)

    def hide_tags(self, name: str, code: str, message: str) -> None:
        """GetFunction says why it shows no tags, as it does to a caller that may not list them."""
        self._store.functions[name].tags_error = {"ErrorCode": code, "Message": message}

    def next_update_fails(self, name: str, reason: str = "Set by the test.") -> None:
        """The next update of $LATEST is accepted and then ends with LastUpdateStatus Failed."""
        self._store.functions[name].update_fails = reason

    def next_publish_fails(self, name: str, reason: str = "Set by the test.") -> None:
        """The next version published is Pending and then Failed."""
        self._store.functions[name].publish_fails = reason

    @property
    def mapping_seconds(self) -> float:
        """How long an event source mapping is Deleting once it was deleted."""
        return self._mappings.deleting_seconds

    @mapping_seconds.setter
    def mapping_seconds(self, seconds: float) -> None:
        self._mappings.deleting_seconds = seconds

    def replicate(self, name: str, number: str) -> None:
        """Let a CloudFront distribution run a version, so that AWS refuses to delete it (Lambda@Edge)."""
        self._store.functions[name].replicated.add(int(number))

    def _version(self, name: str, qualifier: str) -> Version:
        version = self._store.functions[name].version(qualifier)
        assert version is not None, f"{name} has no {qualifier}"
        return version

    def settle_now(self, name: str) -> None:
        """Let everything that is under way for a function be done, as who waits for it finds it."""
        function: Function = self._store.functions[name]
        for version in function.all_versions():
            if version.settles_at is not None:
                version.settles_at = self.clock()
        self._store.settle()

    # What tests look at.

    def shared_calls(self) -> int:
        """How many of `calls` count on the 15 requests/s that all control-plane calls share."""
        return sum(is_shared(call.operation) for call in self.calls)

    def count(self, operation: str) -> int:
        return sum(call.operation == operation for call in self.calls)

    def reset_calls(self) -> None:
        self.calls.clear()

    def versions(self, name: str) -> dict[str, str]:
        """Published version -> CodeSha256."""
        function = self._store.functions[name]
        return {str(n): function.versions[n].settings["CodeSha256"] for n in sorted(function.versions)}

    def aliases(self, name: str) -> dict[str, str]:
        """Alias -> version it points at."""
        return {alias.name: alias.version for _, alias in sorted(self._store.functions[name].aliases.items())}

    def held(self) -> Store:
        """Everything there is, for `hold` of this fake or of another. The clock is not in it: it is each one's own."""
        return replace(self._store, clock=float)

    def hold(self, store: Store) -> None:
        """Have everything that `held` gave, and nothing else."""
        for part in fields(store):
            if part.name not in ("region", "account", "clock"):
                setattr(self._store, part.name, getattr(store, part.name))

    def state(self, *, revisions: bool = False) -> dict[str, Any]:
        """A snapshot to compare: per function its versions, what $LATEST holds, aliases, policies and triggers.

        RevisionIds are left out unless asked for: putting an alias back gives it another one.
        """
        with self._lock:
            self._store.settle()
            snapshot = {name: _snapshot(f, revisions) for name, f in sorted(self._store.functions.items())}
            snapshot["event-source-mappings"] = {u: m["FunctionArn"] for u, m in self._store.mappings.items()}
            return snapshot


#: The fake behind each client, for tests that are handed a client of whichever double it is. The client holds its fake; a fake
#: whose objects or hooks know the client must not be held here as well, or neither would ever go.
_fakes: WeakKeyDictionary[LambdaClient, ref[FakeLambda]] = WeakKeyDictionary()


def fake_of(client: LambdaClient) -> FakeLambda:
    """The fake that a client is of."""
    fake = _fakes[client]()
    assert fake is not None, "what answers a client lives as long as the client"
    return fake


def _snapshot(function: Function, revisions: bool) -> dict[str, Any]:
    told: dict[str, Any] = {
        "latest": dict(function.latest.settings),
        "versions": {n: dict(v.settings) for n, v in sorted(function.versions.items())},
        "aliases": {a.name: (a.version, dict(a.weights)) for _, a in sorted(function.aliases.items())},
        "policies": {q: list(p.statements) for q, p in sorted(function.policies.items())},
        "urls": sorted(function.urls),
        "provisioned": {q: p.requested for q, p in sorted(function.provisioned.items())},
        "invoke_configs": sorted(function.invoke_configs),
    }
    if revisions:
        told["revisions"] = {
            "latest": function.latest.revision,
            **{str(n): v.revision for n, v in sorted(function.versions.items())},
            **{a.name: a.revision for _, a in sorted(function.aliases.items())},
        }
    return told
