"""host.json, settings, binding expressions."""

from pathlib import Path

import pytest

from local.functions_host.config import connection_string, load_host_config, load_local_settings, resolve
from local.functions_host.model import HostError
from local.functions_host.protos import TypedData
from local.functions_host.storage.expressions import PathPattern, fill


def test_defaults_are_azures(tmp_path: Path) -> None:
    """Without a host.json."""
    config = load_host_config(tmp_path, {})
    assert config.http.route_prefix == "api"
    queues = config.queues
    assert (queues.batch_size, queues.new_batch_threshold, queues.max_dequeue_count) == (16, 8, 5)
    assert config.blob_parallelism == 8


def test_settings_override_host_json(tmp_path: Path) -> None:
    """`AzureFunctionsJobHost__` settings reach into any section, whatever its case."""
    (tmp_path / "host.json").write_text('{"version": "2.0", "extensions": {"http": {"routePrefix": "x"}}}')
    environ = {
        "AzureFunctionsJobHost__extensions__http__routePrefix": "",
        "AzureFunctionsJobHost__extensions__durableTask__hubName": "%HUB%",
        "HUB": "mine",
    }
    config = load_host_config(tmp_path, environ)
    assert (config.http.route_prefix, config.durable.hub_name) == ("", "mine")


def test_settings_of_the_file_do_not_replace_the_environments(tmp_path: Path) -> None:
    """Comments are allowed; addresses with slashes survive them."""
    (tmp_path / "local.settings.json").write_text(
        '{/* a */ "Values": {"A": "http://x//y", "B": "file", "C": true} // end\n}'
    )
    environ = {"B": "environment"}
    load_local_settings(tmp_path, environ)
    assert environ == {"A": "http://x//y", "B": "environment", "C": "true"}


def test_settings_are_put_into_names() -> None:
    """A missing one is named."""
    assert resolve("%A%/{name}", {"A": "docs"}, "test") == "docs/{name}"
    with pytest.raises(HostError, match=r"test.*'B'"):
        resolve("%B%", {}, "test")


def test_development_storage_is_azurite() -> None:
    """At its usual ports; the prefix AzureWebJobs may be left out."""
    found = connection_string("Storage", {"AzureWebJobsStorage": "UseDevelopmentStorage=true"})
    assert found is not None
    assert "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1" in found


@pytest.mark.parametrize(
    ("pattern", "blob", "values"),
    [
        ("docs/{name}", "a/b/c.txt", {"name": "a/b/c.txt"}),
        ("docs/{folder}/{file}.{ext}", "a/b.tar.gz", {"folder": "a", "file": "b.tar", "ext": "gz"}),
        ("docs/in/{name}", "out/x", None),
        ("docs", "anything", {}),
        ("docs/fixed.txt", "fixed.txt", {}),
    ],
)
def test_blob_paths_match(pattern: str, blob: str, values: dict[str, str] | None) -> None:
    """Names are bound; another container never matches."""
    found = PathPattern(pattern, "test")
    assert found.match("docs", blob) == values
    assert found.match("other", blob) is None


def test_expressions_are_filled() -> None:
    """From trigger metadata; a missing value is an error."""
    assert fill("out/{name}", {"Name": TypedData(json='"a"')}, "test") == "out/a"
    with pytest.raises(HostError, match="test"):
        fill("out/{other}", {}, "test")
