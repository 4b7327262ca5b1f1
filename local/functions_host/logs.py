"""The host's log: one line an event, in the shape of Core Tools, filtered by the categories of host.json."""

import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime

from azure_functions_runtime import invocation_id_cv

LEVELS = {
    "trace": 5,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 1,
}
NOISY = ("azure.core", "azure.identity", "azure.storage", "aiohttp.access", "httpx", "httpx2", "httpcore", "grpc")
# What Microsoft's libraries report about themselves is of no use to the app's developer.
BACKEND = ("durabletask.testing.in_memory_backend", "asyncio")

current_function: ContextVar[str | None] = ContextVar("current_function", default=None)
running: dict[str, str] = {}  # invocation id -> function name, for code in the worker's threads


def setup(levels: Mapping[str, str]) -> None:
    """Send all logging to stderr at the levels of host.json's `logging.logLevel`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    handler.addFilter(CategoryFilter(levels))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(min([logging.INFO, *[LEVELS.get(level.lower(), logging.INFO) for level in levels.values()]]))
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in BACKEND:
        logging.getLogger(name).setLevel(logging.ERROR)
    # The worker library says "Function name: ..." at every invocation; the host says when one starts and ends.
    logging.getLogger("azure.functions").setLevel(logging.WARNING)


class LineFormatter(logging.Formatter):
    """`[2026-01-31T10:00:00.000Z] message`, errors with their traceback on the following lines."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        moment = datetime.fromtimestamp(record.created, UTC)
        text = f"[{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z] {record.getMessage()}"
        if record.exc_info and record.exc_info[0] is not None:
            text += "\n" + self.formatException(record.exc_info)
        return text


class CategoryFilter(logging.Filter):
    """Let a record through by the longest matching category.

    What a function logs is in the category `Function.NAME.User`, all else in `Host`; `default` is for the rest.
    """

    def __init__(self, levels: Mapping[str, str]) -> None:
        super().__init__()
        self._levels = {name.lower(): LEVELS.get(level.lower(), logging.INFO) for name, level in levels.items()}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the record is shown."""
        function = current_function.get() or running.get(invocation_id_cv.get() or "")
        category = f"function.{function}.user".lower() if function else f"host.{record.name}".lower()
        while category:
            if category in self._levels:
                return record.levelno >= self._levels[category]
            category = category.rpartition(".")[0]
        return record.levelno >= self._levels.get("default", logging.INFO)
