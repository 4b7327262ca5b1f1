"""An example client of Warmlake's HTTP API: typed, and of the standard library alone.

    python docs/client.py http://localhost:7071 "What is the limit for a hotel night?"

prints the answer as it is written and its sources below it. `/api/openapi.json` describes the whole API; copy what is
needed from here.
"""

import json
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPResponse
from typing import Any, Literal
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

type Role = Literal["user", "assistant"]


class Problem(Exception):
    """The service's own account of what went wrong (RFC 9457). `retry_after` is in seconds, or None."""

    def __init__(self, status: int, title: str, detail: str, retry_after: float | None = None) -> None:
        super().__init__(f"{status} {title}: {detail}")
        self.status = status
        self.title = title
        self.detail = detail
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a statement stands: `n` is the number of its marker [n], `url` opens the document at this version."""

    n: int
    document_id: str
    path: str
    title: str
    heading: str
    page: int | None
    version_id: str
    last_modified: datetime
    passage: str
    url: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a streamed answer begins with: the passages that were found, and the query that found them."""

    passages: tuple[Citation, ...]
    query: str
    generation: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `answered` is whether it stands on a passage; `id` is for rating it."""

    id: str
    question: str
    content: str
    citations: tuple[Citation, ...]
    answered: bool
    generation: str
    model: str
    follow_ups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a document; `size` is in bytes."""

    version_id: str
    is_current: bool
    last_modified: datetime
    size: int
    url: str


@dataclass(frozen=True, slots=True)
class Filters:
    """What an answer may stand on: a path or a folder (ending in "/"), metadata, dates of writing (ISO)."""

    path: str | Sequence[str] | None = None
    tags: Mapping[str, str] | None = None
    after: str | None = None
    before: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the filters as the API takes them."""
        given = {"path": self.path, "tags": self.tags, "after": self.after, "before": self.before}
        return {name: value for name, value in given.items() if value is not None}


class Warmlake:
    """The service at `base_url`. `headers` go with every request: a bearer token, or `x-functions-key` for operators.

    Every method raises Problem for what the service refuses, and OSError when it cannot be reached.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str] | None = None, timeout: float = 60.0) -> None:
        self._base = base_url.rstrip("/")
        self._headers = dict(headers or {})
        self._timeout = timeout

    def ask(
        self, question: str, history: Sequence[Message] = (), filters: Filters | None = None, follow_ups: bool = False
    ) -> Answer:
        """Return the answer to a question; `history` is the conversation before it."""
        reply = self._json("POST", "/api/chat", _chat_request(question, history, filters, follow_ups))
        return _answer(question, reply["message"]["content"], reply["context"])

    def stream(
        self, question: str, history: Sequence[Message] = (), filters: Filters | None = None, follow_ups: bool = False
    ) -> Iterator[Found | str | Answer]:
        """Yield what was found, then the pieces of the answer, last the whole. Closing the iterator stops the model."""
        body = _chat_request(question, history, filters, follow_ups)
        content = ""
        with self._send("POST", "/api/chat/stream", body) as lines:
            for line in lines:
                event = json.loads(line)
                if "error" in event:
                    raise _problem(event["error"], event["error"].get("retry_after"))
                if event.get("done"):
                    yield _answer(question, content, event["context"])
                    return
                if "context" in event:
                    context = event["context"]
                    passages = tuple(map(_citation, context["citations"]))
                    yield Found(passages, context["query"], context["index"]["generation"])
                else:
                    content += event["delta"]["content"]
                    yield event["delta"]["content"]
        raise Problem(0, "The answer broke off", "the connection ended before the last line")

    def rate(self, answer: Answer, rating: Literal["up", "down"] | None, comment: str = "") -> None:
        """Say what an answer was worth; None takes an earlier rating back."""
        names = ("n", "path", "version_id", "document_id", "heading", "page", "passage")
        body = {
            "id": answer.id,
            "rating": rating,
            "comment": comment,
            "question": answer.question,
            "answer": answer.content,
            "generation": answer.generation,
            "model": answer.model,
            "passages": [{name: getattr(one, name) for name in names} for one in answer.citations],
        }
        self._json("POST", "/api/feedback", body)

    def versions(self, document_id: str) -> list[Version]:
        """Return a document's versions, newest first."""
        listed = self._json("GET", f"/api/documents/{quote(document_id, safe='')}/versions")["versions"]
        return [
            Version(
                one["version_id"],
                one["is_current"],
                datetime.fromisoformat(one["last_modified"]),
                one["size"],
                one["url"],
            )
            for one in listed
        ]

    def open(self, cited: Citation | Version) -> bytes:
        """Return the document's content at exactly this version."""
        with self._send("GET", cited.url) as reply:
            return reply.read()

    def status(self) -> dict[str, Any]:
        """Return what the region serves from."""
        return self._json("GET", "/api/status")

    def healthy(self) -> bool:
        """Return whether the region can answer from a verified index."""
        try:
            return bool(self._json("GET", "/api/health")["status"] == "healthy")
        except Problem as problem:
            if problem.status != 503:
                raise
            return False

    def rebuild(self, reason: str, dry_run: bool = False) -> str:
        """Start a rebuild of the index, or its plan; returns its id for `rebuild_report`."""
        return str(self._json("POST", "/api/recovery/rebuild", {"reason": reason, "dry_run": dry_run})["id"])

    def rebuild_report(self, rebuild_id: str = "latest") -> dict[str, Any]:
        """Return the progress of a rebuild; once its status is no longer `running`, its report."""
        return self._json("GET", f"/api/recovery/{quote(rebuild_id, safe='')}")

    def _json(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        with self._send(method, path, body) as reply:
            value: dict[str, Any] = json.loads(reply.read())
            return value

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> HTTPResponse:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **self._headers}
        try:
            reply: HTTPResponse = urlopen(
                Request(self._base + path, data=data, method=method, headers=headers), timeout=self._timeout
            )
        except HTTPError as error:
            with error:
                given = error.headers.get("Retry-After")
                raise _problem(_object(error.read()), given, error.code) from None
        return reply


def _chat_request(
    question: str, history: Sequence[Message], filters: Filters | None, follow_ups: bool
) -> dict[str, Any]:
    messages = [{"role": one.role, "content": one.content} for one in history]
    context: dict[str, Any] = {"follow_ups": follow_ups}
    if filters is not None:
        context["filters"] = filters.as_json()
    return {"messages": [*messages, {"role": "user", "content": question}], "context": context}


def _answer(question: str, content: str, context: Mapping[str, Any]) -> Answer:
    return Answer(
        id=secrets.token_hex(16),
        question=question,
        content=content,
        citations=tuple(map(_citation, context["citations"])),
        answered=context["answered"],
        generation=context["index"]["generation"],
        model=context["model"],
        follow_ups=tuple(context.get("follow_ups", ())),
    )


def _citation(value: Mapping[str, Any]) -> Citation:
    names = ("n", "document_id", "path", "title", "heading", "page", "version_id", "passage", "url")
    last_modified = datetime.fromisoformat(value["last_modified"])
    return Citation(**{name: value[name] for name in names}, last_modified=last_modified)


def _problem(body: Mapping[str, Any], retry_after: float | str | None, status: int = 0) -> Problem:
    title, detail = str(body.get("title", "Error")), str(body.get("detail", ""))
    return Problem(int(body.get("status", status)), title, detail, None if retry_after is None else float(retry_after))


def _object(content: bytes) -> dict[str, Any]:
    """Return a JSON object; what a proxy on the way says is none, and gives an empty one."""
    try:
        value = json.loads(content)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def main() -> int:
    """Ask one question and print the answer with its sources; returns the exit code."""
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    for event in Warmlake(sys.argv[1]).stream(sys.argv[2]):
        if isinstance(event, str):
            print(event, end="", flush=True)
        elif isinstance(event, Answer):
            print("\n")
            for one in event.citations:
                print(f"[{one.n}] {one.path}, version {one.version_id}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
