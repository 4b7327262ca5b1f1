"""Telemetry of the worker: with the settings of the templates, what the app records arrives at Application Insights."""

import gzip
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.infra.checks import deploy_variant
from tests.infra.evaluate import INFRA, Sources
from tests.infra.policies import SITE
from tests.infra.settings import app_settings
from tests.infra.tools import ROOT

ASKED = "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY"
NEEDED = "azure-monitor-opentelemetry"
# What a worker does: Microsoft's library configures the exporters, then the app records.
WORKER = """
import logging
logging.getLogger().setLevel(logging.INFO)
from azure_functions_runtime.otel import initialize_azure_monitor, otel_manager
initialize_azure_monitor()
assert otel_manager.get_azure_monitor_available()
import function_app
from fastapi import FastAPI
assert not getattr(FastAPI(), "_is_instrumented_by_opentelemetry", False)
from shared.sync import Outcome
from shared.telemetry import converged
converged(Outcome(path="a folder/b.md", result="indexed", version_id="v1", added=3), "documents-1", 0.5)
logging.getLogger("azure.core.pipeline.policies.http_logging_policy").info("Request URL: 'https://x'")
from opentelemetry import _logs, metrics, trace
for provider in (_logs.get_logger_provider(), metrics.get_meter_provider(), trace.get_tracer_provider()):
    provider.force_flush()
    provider.shutdown()
"""


def settings() -> dict[str, str]:
    """Return the first region's settings."""
    return app_settings(deploy_variant(Sources(INFRA), "standard, warm").of(SITE)[0])


@contextmanager
def application_insights() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Run what takes telemetry on this machine; yields its address and what it was sent."""
    taken: list[dict[str, Any]] = []

    class Intake(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            items = json.loads(body) if "/track" in self.path and body.startswith(b"[") else []
            taken.extend(items)
            answer = json.dumps({"itemsReceived": len(items), "itemsAccepted": len(items), "errors": []}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Intake)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", taken
    finally:
        server.shutdown()
        server.server_close()


def test_who_asks_for_telemetry_brings_what_sends_it() -> None:
    """Where the package is missing the worker only logs an error: setting, mode and requirements belong together."""
    required = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    mode = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))["telemetryMode"]
    assert (settings().get(ASKED) == "true", NEEDED in required, mode) == (True, True, "OpenTelemetry")


def test_a_record_and_its_metrics_arrive() -> None:
    """A converged document is one line that alerts can read, with its facts, and a count; the SDKs' chatter is not."""
    with application_insights() as (address, taken):
        key = "00000000-0000-0000-0000-000000000001"
        given = {
            **settings(),
            "APPLICATIONINSIGHTS_CONNECTION_STRING": (
                f"InstrumentationKey={key};IngestionEndpoint={address};LiveEndpoint={address}"
            ),
            "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",  # these two would leave the machine
            "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
        }
        del given["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"]  # nobody signs in here
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        environ = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **given, "PYTHONPATH": path}
        command = [sys.executable, "-c", WORKER]
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
    found = [item["data"] for item in taken]
    (line,) = [
        item["baseData"]
        for item in found
        if item["baseType"] == "MessageData" and item["baseData"]["message"].startswith("converge ")
    ]
    assert 'document="a folder/b.md"' in line["message"]
    assert line["properties"]["warmlake.added"] == "3"
    numbers = [one for item in found if item["baseType"] == "MetricData" for one in item["baseData"]["metrics"]]
    assert {one["name"]: one["value"] for one in numbers}["warmlake.converge.documents"] == 1
    assert not [item for item in found if "https://x" in str(item)]
    assert {item["tags"]["ai.cloud.role"] for item in taken} == {"warmlake"}
