"""Settings: defaults, every fault at once with its remedy, no secrets shown, documents that agree."""

import json
import re
from dataclasses import fields

import pytest

from shared.errors import SettingsError
from shared.settings import SETTINGS, STORAGE_ACCOUNTS, Settings, StorageAccount
from tests.conftest import ROOT

REQUIRED = {
    "LAKE_STORAGE": "UseDevelopmentStorage=true",
    "AzureWebJobsStorage__blobServiceUri": "https://region.blob.core.windows.net",
    "SEARCH_ENDPOINT": "https://search.example.net/",
    "OPENAI_ENDPOINT": "https://models.example.net/openai/v1/",
    "OPENAI_MODEL": "chat",
    "OPENAI_EMBEDDING_MODEL": "embed",
    "EMBEDDING_DIMENSIONS": "384",
}


def faults(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ)
    return str(caught.value).split("\n")


def test_required_settings_are_enough() -> None:
    """Everything else has a default, and defaults are parsed like given values."""
    made = Settings.from_env(REQUIRED)
    assert made.lake_storage == StorageAccount("UseDevelopmentStorage=true", "")
    assert made.regional_storage == StorageAccount("", "https://region.blob.core.windows.net")
    assert made.openai_endpoint == "https://models.example.net/openai/v1"
    assert (made.embedding_dimensions, made.serving, made.suggested_questions) == (384, True, ())
    for setting in SETTINGS:
        if setting.default is not None:
            assert getattr(made, setting.name.lower()) == setting.parse(setting.default)


def test_every_missing_setting_is_reported_at_once_with_its_remedy() -> None:
    """An empty environment gives one line for each required setting, each saying where to set it."""
    lines = faults({})
    required = [setting.name for setting in SETTINGS if setting.default is None]
    assert len(lines) == len(required) + len(STORAGE_ACCOUNTS)
    for name in [*required, *STORAGE_ACCOUNTS]:
        (line,) = [line for line in lines if line.startswith(f"{name} ")]
        assert "is missing" in line
        assert "local.settings.json" in line
        assert "docs/settings.md" in line


@pytest.mark.parametrize(
    ("name", "given", "fault"),
    [
        ("REGION", "  ", "is empty"),
        ("SEARCH_ENDPOINT", "search.example.net", "is not an http(s) address"),
        ("EMBEDDING_DIMENSIONS", "0", "is not a whole number of at least 1"),
        ("EMBEDDING_DIMENSIONS", "3.5", "is not a whole number of at least 1"),
        ("CHUNK_MAX_TOKENS", "-1", "is not a whole number of at least 1"),
        ("REBUILD_MIN_SHARE", "1.5", "is not a number from 0 to 1"),
        ("REBUILD_MIN_SHARE", "nan", "is not a number from 0 to 1"),
        ("REBUILD_MIN_SHARE", "half", "is not a number from 0 to 1"),
        ("SERVING", "yes", "is neither true nor false"),
        ("SUGGESTED_QUESTIONS", "How much?", "is not a JSON list of texts"),
        ("SUGGESTED_QUESTIONS", "[1]", "is not a JSON list of texts"),
    ],
)
def test_wrong_value_is_named(name: str, given: str, fault: str) -> None:
    """A wrong value is one line: the setting, what is wrong, what was given, where to set it."""
    (line,) = faults({**REQUIRED, name: given})
    assert line.startswith(f"{name} {fault}")
    assert repr(given) in line
    assert "docs/settings.md" in line


def test_many_faults_are_reported_together() -> None:
    """Missing and wrong settings come in one message."""
    environ = {**REQUIRED, "SERVING": "maybe", "CHAT_PASSAGES": "none", "REGION": ""}
    del environ["OPENAI_MODEL"]
    assert {line.split()[0] for line in faults(environ)} == {"SERVING", "CHAT_PASSAGES", "REGION", "OPENAI_MODEL"}


def test_target_over_maximum_is_a_fault() -> None:
    """Sizes that contradict each other are reported with both values."""
    (line,) = faults({**REQUIRED, "CHUNK_TARGET_TOKENS": "500", "CHUNK_MAX_TOKENS": "400"})
    assert "CHUNK_TARGET_TOKENS (500)" in line
    assert "CHUNK_MAX_TOKENS (400)" in line


def test_secrets_are_not_shown() -> None:
    """Neither a key nor a connection string appears in a message about other faults."""
    secret = "AccountKey=secret"
    keys = {"SEARCH_API_KEY": "secret", "OPENAI_API_KEY": "secret", "LAKE_STORAGE": secret}
    assert "secret" not in "\n".join(faults({**REQUIRED, **keys, "REGION": ""}))


def test_fields_and_table_agree() -> None:
    """Every row of the table is a field of the settings, and every field has a row."""
    assert [field.name for field in fields(Settings)][2:] == [setting.name.lower() for setting in SETTINGS]


def test_sample_file_agrees() -> None:
    """The sample has every setting once, with values that are accepted; defaults are the table's."""
    sample = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
    assert set(sample) == {"FUNCTIONS_WORKER_RUNTIME", *STORAGE_ACCOUNTS, *(setting.name for setting in SETTINGS)}
    made = Settings.from_env(sample)
    for setting in SETTINGS:
        if setting.default:
            assert getattr(made, setting.name.lower()) == setting.parse(setting.default)


def test_documentation_agrees() -> None:
    """docs/settings.md lists every setting with its default and meaning, in the table's order."""
    text = (ROOT / "docs" / "settings.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    shown = {None: "required", "": "empty"}
    expected = [
        (setting.name, shown.get(setting.default, f"`{setting.default}`"), setting.meaning) for setting in SETTINGS
    ]
    assert rows == expected
    accounts = re.findall(r"^\| `(\w+)` \| ([^|]+?) \|$", text, re.MULTILINE)
    assert accounts == list(STORAGE_ACCOUNTS.items())
