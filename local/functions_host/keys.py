"""Function keys: enforced only when switched on, as on a developer's machine."""

import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from local.functions_host.model import HostError

SETTING = "FUNCTIONS_HOST_KEYS"


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a host: for administration, for all functions, and for single ones."""

    master: str
    host: str
    functions: Mapping[str, str]  # by lower-case function name

    def allows(self, level: str, function: str, given: str | None) -> bool:
        """Tell whether a request may call a function of this authorization level."""
        if level == "anonymous":
            return True
        accepted = [self.master]
        if level == "function":
            accepted += [self.host, self.functions.get(function.lower(), self.host)]
        return any(same(given, key) for key in accepted)


def load_keys(environ: Mapping[str, str]) -> Keys | None:
    """Read the setting: `{"master": "...", "host": "...", "functions": {"NAME": "..."}}`, or one key for everything.

    None when it is not set: then every function may be called.
    """
    text = environ.get(SETTING, "").strip()
    if not text:
        return None
    if not text.startswith("{"):
        return Keys(text, text, {})
    try:
        found = json.loads(text)
        functions = {str(name).lower(): str(key) for name, key in found.get("functions", {}).items()}
        # A key that is left out must not be guessable.
        master, host = (str(found.get(name) or secrets.token_urlsafe(32)) for name in ("master", "host"))
    except (ValueError, AttributeError):
        raise HostError(f"{SETTING} is neither a key nor an object with master, host and functions") from None
    return Keys(master, host, functions)


def same(given: str | None, expected: str) -> bool:
    """Compare in a time that does not depend on where the two differ."""
    return given is not None and hmac.compare_digest(given.encode(), expected.encode())
