"""host.json's telemetryMode: a span for each invocation, between its caller's and the function's own."""

import json
from pathlib import Path

import pytest

from local.functions_host.protos import TraceContext
from local.functions_host.telemetry import start_telemetry
from tests.local.functions_host.hosting import ROOT, eventually, running

APP = """
import azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route("trace")
def trace(req: func.HttpRequest, context: func.Context) -> str:
    return context.trace_context.trace_parent
"""
# In place of the exporter that the app would install: it writes what it is given to a file.
EXPORTER = """
import json, os
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

class OTLPSpanExporter(SpanExporter):
    def export(self, spans):
        with open(os.environ["SPANS"], "a") as out:
            for span in spans:
                own = span.context
                out.write(json.dumps([span.name, f"{own.trace_id:032x}", f"{own.span_id:016x}",
                                      f"{span.parent.span_id:016x}", span.resource.attributes["service.name"]]) + "\\n")
        return SpanExportResult.SUCCESS
"""
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}


def test_an_invocation_is_a_span_of_its_callers_trace(tmp_path: Path) -> None:
    """Its parent is the caller's span, and the function is told the invocation's."""
    place = tmp_path / "installed" / "opentelemetry" / "exporter" / "otlp" / "proto" / "http" / "trace_exporter.py"
    place.parent.mkdir(parents=True)
    place.write_text(EXPORTER)
    (tmp_path / "function_app.py").write_text(APP)
    (tmp_path / "host.json").write_text('{"version": "2.0", "telemetryMode": "OpenTelemetry"}')
    spans = tmp_path / "spans"
    settings = {**ENDPOINT, "SPANS": str(spans), "PYTHONPATH": f"{ROOT}:{tmp_path / 'installed'}"}
    with running(tmp_path, tmp_path / "host.log", settings) as host:
        told = host.http.get("/api/trace", headers={"traceparent": f"00-{TRACE}-{CALLER}-01"}).text
        line = eventually(lambda: spans.exists() and spans.read_text(), "the span was exported")
    name, trace, own, parent, service = json.loads(str(line))
    assert (name, trace, parent, service) == ("trace", TRACE, CALLER, "functions-host")
    assert told == f"00-{TRACE}-{own}-01"


@pytest.mark.parametrize(
    ("mode", "settings"), [("", ENDPOINT), ("OpenTelemetry", {}), ("ApplicationInsights", ENDPOINT)]
)
def test_without_mode_or_endpoint_there_are_no_spans(mode: str, settings: dict[str, str]) -> None:
    """The caller's trace then goes to the function as it came."""
    with start_telemetry(mode, settings).span("f", TraceContext(f"00-{TRACE}-{CALLER}-01")) as told:
        assert told is None


def test_a_missing_exporter_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """Once, by the name of the module, and nothing is exported."""
    telemetry = start_telemetry("OpenTelemetry", ENDPOINT)
    assert "opentelemetry.exporter.otlp.proto.http.trace_exporter is not installed" in caplog.text
    with telemetry.span("f", TraceContext()) as told:
        assert told is None
