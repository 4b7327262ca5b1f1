"""The messages between host and worker, as the plain objects that the worker library reads and builds.

The library was written for gRPC messages, but looks at attributes and `WhichOneof` only. Each class here has the fields
that it uses, under the names of Microsoft's FunctionRpc.proto. The worker hands this module to the library as `protos`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar


class TypedData:
    """A value on its way to or from a function: exactly one of the proto's fields."""

    def __init__(self, **fields: Any) -> None:
        self._kind = next(iter(fields), None)
        self.__dict__.update(fields)

    def WhichOneof(self, group: str) -> str | None:
        """Return the name of the field that is set."""
        return self._kind

    def value(self) -> Any:
        """Return the value, whatever its kind."""
        return getattr(self, self._kind) if self._kind else None


class StatusResult(SimpleNamespace):
    """Whether a request succeeded."""

    Failure: ClassVar[int] = 0
    Success: ClassVar[int] = 1
    Cancelled: ClassVar[int] = 2


class BindingInfo(SimpleNamespace):
    """A binding's direction and data type."""

    out: ClassVar[int] = 1
    inout: ClassVar[int] = 2
    undefined: ClassVar[int] = 0
    string: ClassVar[int] = 1
    binary: ClassVar[int] = 2
    stream: ClassVar[int] = 3


class RpcHttpCookie(SimpleNamespace):
    """One cookie that a function sets."""

    SameSite: ClassVar[Any] = SimpleNamespace(**{"None": 0, "Lax": 1, "Strict": 2, "ExplicitNone": 3})


class RpcHttp:
    """A request to, or the response of, an HTTP function that does not stream."""

    def __init__(self, **fields: Any) -> None:
        self.method: str = fields.get("method", "")
        self.url: str = fields.get("url", "")
        self.headers: Mapping[str, str] = fields.get("headers", {})
        self.body: TypedData = fields.get("body") or TypedData()
        self.params: Mapping[str, str] = fields.get("params", {})
        self.query: Mapping[str, str] = fields.get("query", {})
        self.status_code: str = fields.get("status_code", "")
        self.cookies: list[RpcHttpCookie] = fields.get("cookies") or []


class ModelBindingData(SimpleNamespace):
    """A reference to something that the function opens itself, a blob for instance."""


class RpcException(SimpleNamespace):
    """What a function raised: message and stack trace."""


class RpcFunctionMetadata(SimpleNamespace):
    """One indexed function."""


class RpcRetryOptions(SimpleNamespace):
    """A function's retry policy."""


class NullableString(SimpleNamespace):
    """A text that may be absent."""


class NullableBool(SimpleNamespace):
    """A truth value that may be absent."""


class NullableDouble(SimpleNamespace):
    """A number that may be absent."""


class NullableTimestamp(SimpleNamespace):
    """A time that may be absent."""


class Timestamp(SimpleNamespace):
    """Whole seconds since 1970."""


class WorkerMetadata(SimpleNamespace):
    """What the worker says of itself."""


class WorkerInitResponse(SimpleNamespace):
    """The answer to the first request."""


class FunctionMetadataResponse(SimpleNamespace):
    """The indexed functions."""


class FunctionLoadResponse(SimpleNamespace):
    """The answer to a load request."""


class InvocationResponse:
    """A finished invocation."""

    def __init__(self, **fields: Any) -> None:
        self.invocation_id: str = fields["invocation_id"]
        self.result: StatusResult = fields["result"]
        self.return_value: TypedData | None = fields.get("return_value")
        self.output_data: list[ParameterBinding] = fields.get("output_data") or []


@dataclass(slots=True)
class ParameterBinding:
    """One named value of an invocation."""

    name: str
    data: Any

    def WhichOneof(self, group: str) -> str:
        """Values always travel inline, never through shared memory."""
        return "data"


@dataclass(slots=True)
class TraceContext:
    """W3C trace context of an invocation."""

    trace_parent: str = ""
    trace_state: str = ""
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class RetryContext:
    """How often the invocation has been tried."""

    retry_count: int = 0
    max_retry_count: int = 0
    exception: RpcException | None = None


@dataclass(slots=True)
class InvocationRequest:
    """One call of a function."""

    invocation_id: str
    function_id: str
    input_data: list[ParameterBinding]
    trigger_metadata: dict[str, TypedData]
    trace_context: TraceContext
    retry_context: RetryContext
