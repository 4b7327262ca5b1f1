"""What a function app declares, as the worker reports it."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

TRIGGERS = frozenset(
    {
        "httpTrigger",
        "queueTrigger",
        "blobTrigger",
        "timerTrigger",
        "orchestrationTrigger",
        "activityTrigger",
        "entityTrigger",
        "warmupTrigger",
    }
)
OUTPUTS = frozenset({"http", "queue", "blob"})
INPUTS = frozenset({"durableClient", "blob"})


class HostError(Exception):
    """The host cannot run the app as it is; the message is for whoever started it."""


@dataclass(frozen=True, slots=True)
class Binding:
    """One binding of a function, trigger included.

    `properties` is its declaration as the worker reports it, `annotated` whether the function's parameter is a `str`.
    """

    type: str
    name: str
    out: bool
    properties: Mapping[str, Any]
    annotated: bool = False

    @property
    def as_text(self) -> bool:
        """Whether content is passed as text: as `data_type` says, or else the parameter."""
        kind = self.text("dataType").lower()
        return kind == "string" if kind else self.annotated

    def text(self, key: str, default: str = "") -> str:
        """Return a text property."""
        value = self.properties.get(key)
        return default if value is None else str(value)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """A function's own retry policy. `max_retries` is -1 for no limit; delays are in seconds."""

    max_retries: int
    minimum: float
    maximum: float

    def delay(self, retry: int) -> float:
        """Return the pause before the given retry, counted from 1."""
        return min(self.maximum, self.minimum * 2.0 ** (retry - 1))


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the app."""

    name: str
    id: str
    trigger: Binding
    others: tuple[Binding, ...] = field(default=())
    retry: RetryPolicy | None = None

    @property
    def outputs(self) -> tuple[Binding, ...]:
        """The output bindings, the return value's among them."""
        return tuple(binding for binding in self.others if binding.out)

    @property
    def inputs(self) -> tuple[Binding, ...]:
        """The input bindings apart from the trigger."""
        return tuple(binding for binding in self.others if not binding.out)


def parse_function(
    name: str, function_id: str, raw_bindings: Iterable[str], retry: RetryPolicy | None, texts: Collection[str] = ()
) -> Function:
    """Return a function from its bindings in JSON; `texts` are its parameters that are a `str`.

    Raises HostError, naming function and binding, for unknown ones.
    """
    bindings = [_binding(json.loads(raw), texts) for raw in raw_bindings]
    triggers = [binding for binding in bindings if binding.type.lower().endswith("trigger")]
    if len(triggers) != 1:
        raise HostError(f"function {name!r} has {len(triggers)} triggers; one is needed")
    others = tuple(binding for binding in bindings if binding is not triggers[0])
    _check(name, triggers[0], TRIGGERS, "trigger")
    for binding in others:
        _check(name, binding, OUTPUTS if binding.out else INPUTS, "output" if binding.out else "input")
    return Function(name, function_id, triggers[0], others, retry)


def is_disabled(function: Function, environ: Mapping[str, str]) -> bool:
    """Tell whether a function is switched off: by its app setting, or by its own declaration."""
    # A shell has no variables with a dot in their names.
    settings = (f"AzureWebJobs.{function.name}.Disabled", f"AzureWebJobs_{function.name}_Disabled")
    said = [environ.get(setting, "") for setting in settings]
    return any(value.strip().lower() in ("true", "1") for value in [*said, function.trigger.text("disabled")])


def _binding(declared: Mapping[str, Any], texts: Collection[str]) -> Binding:
    out = str(declared.get("direction", "in")).lower() == "out"
    return Binding(str(declared["type"]), str(declared["name"]), out, declared, declared["name"] in texts)


def _check(function: str, binding: Binding, known: frozenset[str], kind: str) -> None:
    if binding.type not in known:
        supported = ", ".join(sorted(known))
        raise HostError(
            f"function {function!r}: {kind} binding {binding.name!r} has type {binding.type!r}, "
            f"which this host does not support (supported: {supported})"
        )
