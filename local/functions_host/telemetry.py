"""Distributed tracing: a span for each invocation, exported when host.json and the OTEL_* settings ask for it."""

import contextlib
import importlib.util
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from local.functions_host.protos import TraceContext

logger = logging.getLogger(__name__)

SERVICE = "functions-host"


class Telemetry:
    """The host's own spans, kept apart from the tracer provider that the app may install for itself."""

    def __init__(self, tracer: Any = None, provider: Any = None) -> None:
        self._tracer = tracer
        self._provider = provider

    @contextlib.contextmanager
    def span(self, name: str, parent: TraceContext) -> Iterator[tuple[str, str] | None]:
        """Run the block in a span; gives its trace parent and state, or None when tracing is off."""
        if self._tracer is None:
            yield None
            return
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        propagator = TraceContextTextMapPropagator()
        carrier = {"traceparent": parent.trace_parent, "tracestate": parent.trace_state}
        context = propagator.extract(carrier) if parent.trace_parent else None
        with self._tracer.start_as_current_span(name, context=context, kind=SpanKind.INTERNAL):
            current: dict[str, str] = {}
            propagator.inject(current)
            yield current.get("traceparent", ""), current.get("tracestate", "")

    def stop(self) -> None:
        """Export what is left."""
        if self._provider is not None:
            self._provider.shutdown()


def start_telemetry(mode: str, environ: Mapping[str, str]) -> Telemetry:
    """Return the telemetry that host.json's `telemetryMode` and the OTEL_* settings ask for."""
    endpoint = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    if mode.lower() != "opentelemetry" or not endpoint:
        return Telemetry()
    protocol = environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    module = f"opentelemetry.exporter.otlp.proto.{'grpc' if protocol == 'grpc' else 'http'}.trace_exporter"
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None:
        logger.warning("telemetryMode is OpenTelemetry, but %s is not installed: no host spans are exported", module)
        return Telemetry()
    exporter = importlib.import_module(module).OTLPSpanExporter()
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": SERVICE}))
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=500))
    return Telemetry(provider.get_tracer(SERVICE), provider)
