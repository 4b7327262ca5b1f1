"""Access, end to end: whatever a caller asks, nothing of a document that is closed to the caller comes back."""

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError

from shared import library
from shared.access import RULES, Access, both, parse_rules
from shared.access_rules import FRESH_SECONDS, AccessRules
from shared.access_views import shown_problems, shown_status
from shared.chat.answer import Chat
from shared.chat.protocol import ChatRequest, Message
from shared.chat.service import ChatService
from shared.clients import Services
from shared.errors import NotFound, NotReady
from shared.feedback import FeedbackService
from shared.identity import HEADER, OPERATOR_ROLE, Caller
from shared.reading import Span, read_text
from shared.reconcile import reconcile
from shared.settings import Settings
from shared.status import status
from shared.sync import Indexer, Outcome
from tests.conftest import new_generation, put, running
from tests.shared.test_identity import principal

GROUPS = ("hr", "board", "it", "o'neil", "a|b")
FOLDERS = ("", "hr/", "hr/pay/", "it/")
ANIMALS = ("zebra", "walrus", "heron", "badger", "otter", "lynx", "moose", "viper", "gecko", "raven", "bison", "tapir")
ROUNDS = 40


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a document of the test. Its code, and so its text, stands in no other one; none is unreadable."""

    code: str
    allowed_groups: tuple[str, ...]

    def text(self, animal: str) -> str:
        """Return what is written: several parts, so that an answer joins neighbours."""
        if not self.code:
            return " "
        parts = [f"## Part {n} of {animal}\n\n" + f"Sheet {n} for {self.code}, set in May. " * 25 for n in range(3)]
        return f"# Project {animal}\n\nThe codeword of project {animal} is {self.code}.\n\n" + "\n\n".join(parts)


@dataclass(frozen=True, slots=True)
class Secret:
    """A document of the test, with all its versions, the oldest first; the first can be read."""

    path: str
    animal: str
    versions: tuple[Version, ...]

    @property
    def readable(self) -> Version:
        """The version that answers."""
        return [version for version in self.versions if version.code][-1]

    @property
    def allowed_groups(self) -> tuple[str, ...]:
        """Who may see it now: who may see the version that answers and, if that is a newer one, the newest."""
        return both(self.readable.allowed_groups, self.versions[-1].allowed_groups)


def random_secrets(chance: random.Random) -> list[Secret]:
    """Return documents in random folders, of which many change their groups and some become unreadable."""

    def groups() -> tuple[str, ...]:
        return tuple(sorted(chance.sample(GROUPS, chance.choice([0, 0, 1, 2]))))

    def code(number: int) -> str:
        return f"zq{number}x{chance.randrange(10**6)}"

    secrets = []
    for number, animal in enumerate(ANIMALS):
        codes = [code(number), *(chance.choice(["", code(number)]) for _ in range(chance.choice([0, 0, 1, 2])))]
        versions = tuple(Version(code, groups()) for code in codes)
        secrets.append(Secret(f"{chance.choice(FOLDERS)}{animal}.md", animal, versions))
    return secrets


def ask(question: str) -> ChatRequest:
    return ChatRequest((Message("user", question),), debug=True, follow_ups=True)


async def write_rules(made: Services, *folders: tuple[str, list[str]]) -> None:
    """Give the lake folder rules, and let them hold at once."""
    value = {"folders": [{"folder": folder, "allowed_groups": groups} for folder, groups in folders]}
    await put(made, RULES, json.dumps(value))
    vars(made).pop("access_rules", None)


async def everything(made: Services, question: str, groups: frozenset[str]) -> str:
    """Return all that a caller gets to see for a question: every event with debug context and follow-ups."""
    return "\n".join(
        [json.dumps(event, ensure_ascii=False) async for event in Chat(made).events(ask(question), groups)]
    )


async def write(made: Services, generation: str, secret: Secret) -> None:
    """Give the lake every version of a document, each followed by the index, and the last change noted."""
    for version in secret.versions:
        metadata = {"allowed_groups": ",".join(version.allowed_groups)} if version.allowed_groups else None
        await put(made, secret.path, version.text(secret.animal), metadata)
        await made.freshness.note(await made.indexer.converge(secret.path, generation))


async def views(made: Services, groups: frozenset[str]) -> str:
    """Return what a caller sees of the region: its status with the last reconcile, and its problems."""
    who = Caller("Ann", groups)
    return json.dumps([await shown_status(made, await status(made), who), await shown_problems(made, who)])


async def opened(made: Services, key: str, version_id: str, groups: frozenset[str]) -> str:
    """Return the content of a version that a caller opens; "" where there is none for the caller."""
    try:
        found = await library.open_version(made, key, version_id, groups)
    except NotFound:
        return ""
    return b"".join([part async for part in found.content]).decode()


async def read_on(made: Services, key: str, version_id: str, groups: frozenset[str]) -> str:
    """Return the text that a caller reads on in; "" where there is none for the caller."""
    try:
        return json.dumps(await read_text(made, key, version_id, Span(), groups))
    except NotFound:
        return ""


def test_no_answer_shows_a_document_that_is_closed_to_its_reader(settings: Settings) -> None:
    """Over random documents with random histories, rules and callers: no event, citation, debug context, follow-up,
    link, text, list of versions, problem or status shows what is closed, and what is open is found.
    """
    chance = random.Random(7)

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            secrets = random_secrets(chance)
            # Of some documents there are copies whose owners restrict them in another way.
            copies = [
                replace(one, path=f"copies/{one.animal}.md", versions=(replace(one.readable, allowed_groups=("it",)),))
                for one in secrets[:4]
            ]
            for secret in (*secrets, *copies):
                await write(made, generation, secret)
            lost = Secret("hr/pay/lost.md", "emu", (Version("zq99x1", ("board",)),))  # its event comes never
            await put(made, lost.path, lost.versions[0].text(lost.animal), {"allowed_groups": "board"})
            assert (await reconcile(made))["results"] == {"indexed": 1}
            told = {
                "id": "f" * 16,
                "rating": "up",
                "answer": lost.readable.code,
                "passages": [{"n": 1, "path": lost.path}],
            }
            assert await FeedbackService(made).take(json.dumps(told).encode(), {}, "::1") == {
                "id": "f" * 16,
                "rating": "up",
            }
            secrets.append(lost)
            ids = {
                one.path: [version.version_id for version in reversed(await made.lake.versions(one.path))]
                for one in (*secrets, *copies)
            }
            counts = Counter[str]()
            for round_ in range(ROUNDS):
                if round_ % 10 == 0:
                    folders = [
                        (folder, chance.sample(GROUPS, chance.randint(0, 2)))
                        for folder in chance.sample(FOLDERS[1:], chance.randint(0, 2))
                    ]
                    await write_rules(made, *folders)
                groups = frozenset(chance.sample(GROUPS, chance.randint(0, 2)))
                access = await made.access_rules.access(groups)
                target = chance.choice(secrets)
                seen = await everything(made, f"What is the codeword of project {target.animal}?", groups)
                seen += await views(made, groups)
                for folder in FOLDERS[1:]:
                    assert f"'{folder}'" not in seen  # nor does a filter name what it shuts out
                open_codes = {one.readable.code for one in (*secrets, *copies) if access.allows(one)}
                for secret in (*secrets, *copies):
                    key = made.indexer.document_id(secret.path)
                    for version in secret.versions:
                        assert not version.code or version.code in open_codes or version.code not in seen
                    if not access.allows(secret):
                        counts["closed"] += 1
                        assert f'"{secret.path}"' not in seen
                        assert key not in seen
                        with pytest.raises(NotFound, match="is indexed"):
                            await library.list_versions(made, key, groups)
                    elif secret is target:
                        counts["found"] += 1
                        assert secret.readable.code in seen
                asked = (target, chance.choice(copies))
                for secret, version_id, version in (
                    (one, *pair) for one in asked for pair in zip(ids[one.path], one.versions, strict=True)
                ):
                    key = made.indexer.document_id(secret.path)
                    itself = replace(secret, versions=(replace(version, code="any"),))
                    is_open = access.allows(secret) and access.allows(itself)
                    counts["versions, open" if is_open else "versions, closed"] += 1
                    content = await opened(made, key, version_id, groups)
                    assert content == (version.text(secret.animal) if is_open else "")
                    text = await read_on(made, key, version_id, groups)
                    assert bool(text) == (access.allows(secret) and version is secret.readable)
            assert counts["found"] > 5
            assert counts["closed"] > 200
            assert min(counts["versions, open"], counts["versions, closed"]) > 10
            assert any(one.readable is not one.versions[-1] and one.readable.allowed_groups for one in secrets)

    asyncio.run(scenario())


def test_neighbours_that_are_closed_are_not_joined(settings: Settings) -> None:
    """While parts of one version are labelled differently, as in the middle of a change, a passage is joined by the
    open ones only.
    """

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            secret = Secret("zebra.md", "zebra", (Version("zq1x1", ()),))
            await write(made, generation, secret)
            chunks = made.indexer.chunks(generation)
            parts = sorted(
                await chunks.of_document(made.indexer.document_id("zebra.md")), key=lambda chunk: chunk.ordinal
            )
            assert len(parts) >= 3
            question = "What is the codeword of project zebra?"
            assert "Sheet 1" in await everything(made, question, frozenset())
            await chunks.merge([replace(part, allowed_groups=("hr",)) for part in parts[1:]])
            seen = await everything(made, question, frozenset())
            assert "zq1x1" in seen
            assert "Sheet 1" not in seen and "Sheet 2" not in seen
            assert "Sheet 1" in await everything(made, question, frozenset({"hr"}))

    asyncio.run(scenario())


def test_a_filter_that_fails_does_not_leak(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results are checked again: where the search filter lets everything pass, the answer still shows nothing."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await put(made, "zebra.md", "The codeword of project zebra is zq7.", {"allowed_groups": "hr"})
            await put(made, "hr/otter.md", "The codeword of project otter is zq8.")
            for path in ("zebra.md", "hr/otter.md"):
                await made.indexer.converge(path, generation)
            await write_rules(made, ("hr/", ["hr"]))
            monkeypatch.setattr(Access, "filter", lambda self: "ordinal ge 0")
            seen = await everything(made, "What are the codewords of zebra and otter?", frozenset({"it"}))
            assert not any(word in seen for word in ("zq7", "zq8", "zebra.md", "otter.md"))
            key = made.indexer.document_id("hr/otter.md")
            with pytest.raises(NotFound):
                await library.open_version(made, key, "current", frozenset())
            opened = await library.open_version(made, key, "current", frozenset({"hr"}))
            assert b"zq8" in b"".join([part async for part in opened.content])

    asyncio.run(scenario())


def test_views_name_only_documents_that_are_open(settings: Settings) -> None:
    """Problems and status are for everybody; the path of a closed document is for its readers and for operators."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await put(made, "hr/secret.pdf", "%PDF-1.7 cut off")
            await put(made, "own.pdf", "%PDF-1.7 cut off", {"allowed_groups": "hr"})
            await put(made, "open.pdf", "%PDF-1.7 cut off")
            await put(made, "hr/newest.md", "The newest document.")
            await write_rules(made, ("hr/", ["hr"]))
            for path in ("hr/secret.pdf", "own.pdf", "open.pdf", "hr/newest.md"):
                await made.freshness.note(await made.indexer.converge(path, generation))
            readers = {
                "anybody": (Caller(), {"open.pdf", ""}, None),
                "reader": (Caller("Ann", frozenset({"hr"})), {"open.pdf", "own.pdf", "hr/secret.pdf"}, "hr/newest.md"),
                "operator": (
                    Caller("Ops", roles=frozenset({OPERATOR_ROLE})),
                    {"open.pdf", "own.pdf", "hr/secret.pdf"},
                    "hr/newest.md",
                ),
            }
            for who, paths, newest in readers.values():
                problems = await shown_problems(made, who)
                assert {problem["path"] for problem in problems} == paths
                assert [problem["reason"] for problem in problems] == ["corrupt"] * 3
                view = await shown_status(made, await status(made), who)
                assert (view["newest"]["path"], view["last_change"]["path"]) == (newest, newest)
                assert view["documents"] == 1

    asyncio.run(scenario())


def test_what_a_reconcile_found_is_counted_for_everybody_and_named_for_operators(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status says how many documents differed, what became of them and how many failed; which ones, and why, only
    an operator sees.
    """
    converge = Indexer.converge

    async def fails(indexer: Indexer, path: str, generation: str, **options: Any) -> Outcome:
        if path == "hr/bad.md":
            raise ServiceRequestError(f"{path} cannot be reached")
        return await converge(indexer, path, generation, **options)

    async def scenario() -> None:
        async with running(settings) as made:
            await new_generation(made)
            await put(made, "hr/lost.md", "An event was lost.")
            await put(made, "hr/bad.md", "This one fails.")
            await write_rules(made, ("hr/", ["hr"]))
            monkeypatch.setattr(Indexer, "converge", fails)
            report = await reconcile(made)
            assert report["results"] == {"indexed": 1, "failed": 1}
            view = await status(made)
            operator = await shown_status(made, view, Caller("Ops", roles=frozenset({OPERATOR_ROLE})))
            assert operator["reconciled"] == report
            assert sorted(report["paths"]) == ["hr/bad.md", "hr/lost.md"]
            for who in (Caller(), Caller("Ann", frozenset({"it"}))):
                shown = await shown_status(made, view, who)
                assert shown["reconciled"]["results"] == {"indexed": 1, "failed": 1}
                assert shown["reconciled"]["found"]["missing"] == 2
                assert "hr/" not in json.dumps(shown)

    asyncio.run(scenario())


def test_a_version_that_was_closed_stays_closed(settings: Settings) -> None:
    """A document that is opened to everybody later does not open its earlier, restricted version."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await put(made, "a.md", "The draft names Mallory.", {"allowed_groups": "board"})
            await made.indexer.converge("a.md", generation)
            await put(made, "a.md", "The final text names nobody.")
            await made.indexer.converge("a.md", generation)
            key = made.indexer.document_id("a.md")
            public = await library.list_versions(made, key, frozenset())
            inner = await library.list_versions(made, key, frozenset({"board"}))
            assert [version["is_current"] for version in public["versions"]] == [True]
            assert [version["is_current"] for version in inner["versions"]] == [True, False]
            draft = inner["versions"][1]["version_id"]
            with pytest.raises(NotFound, match="has no version"):
                await library.open_version(made, key, draft, frozenset())
            opened = await library.open_version(made, key, draft, frozenset({"board"}))
            assert b"Mallory" in b"".join([part async for part in opened.content])

    asyncio.run(scenario())


def body(question: str) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": question}]}).encode()


def test_forged_identity_headers_are_ignored(settings: Settings) -> None:
    """Where App Service authentication is off, a header that claims groups opens nothing; where it is on, it does."""

    async def scenario() -> None:
        async with running(settings) as made:
            await put(made, "a.md", "The codeword of project zebra is zq7.", {"allowed_groups": "hr"})
            await made.indexer.converge("a.md", await new_generation(made))
            claims = principal(("name", "Eve"), ("groups", "hr"))
            replies: dict[bool, Any] = {}
            for trusted in (False, True):
                chat = ChatService(made)
                chat._trusted = trusted
                replies[trusted] = await chat.answer(body("What is the codeword of project zebra?"), claims, "::1")
            assert HEADER in claims
            assert replies[False]["context"]["citations"] == []
            assert "zq7" in replies[True]["message"]["content"]

    asyncio.run(scenario())


def test_rules_are_asked_for_again_and_outlive_the_lake(settings: Settings) -> None:
    """A changed rule holds after a few seconds; while the lake is away the last ones hold, if there are any."""

    async def scenario() -> None:
        now = 0.0
        async with running(settings) as made:
            await write_rules(made, ("hr/", ["hr"]))
            rules = AccessRules(lambda: [made.lake], lambda: now)
            assert [rule.folder for rule in (await rules.access(frozenset())).rules] == ["hr/"]
            await write_rules(made, ("it/", ["it"]))
            assert [rule.folder for rule in (await rules.access(frozenset())).rules] == ["hr/"]
            now += FRESH_SECONDS
            assert [rule.folder for rule in (await rules.access(frozenset())).rules] == ["it/"]
            gone = replace(settings, lake_container="gone-" + settings.lake_container)
            async with running(gone, make=False) as elsewhere:
                away = AccessRules(lambda: [elsewhere.lake], lambda: now)
                with pytest.raises(NotReady, match="who may see what is not known"):
                    await away.access(frozenset())
                rules._sources = lambda: [elsewhere.lake]
                now += FRESH_SECONDS
                assert [rule.folder for rule in (await rules.access(frozenset())).rules] == ["it/"]
                replicated = AccessRules(lambda: [elsewhere.lake, made.lake], lambda: now)
                assert [rule.folder for rule in (await replicated.access(frozenset())).rules] == ["it/"]

    asyncio.run(scenario())


def test_malformed_rules_close_the_chat(settings: Settings) -> None:
    """Rules that cannot be understood are not taken for none, nor for those before them."""

    async def scenario() -> None:
        now = 0.0
        async with running(settings) as made:
            rules = AccessRules(lambda: [made.lake], lambda: now)
            assert (await rules.access(frozenset())).rules == parse_rules(b'{"folders": []}')
            await put(made, RULES, '{"folders": [{"folder": "hr"}]}')
            now += FRESH_SECONDS
            with pytest.raises(NotReady, match="cannot be understood"):
                await rules.access(frozenset({"hr"}))

    asyncio.run(scenario())
