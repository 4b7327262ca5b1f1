"""What was written to the lake, when, and as which version: the truth that answers are judged by. Pure.

Times are seconds since 1970 by this machine's clock, which is the lake's clock too; a version's id is its time.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from local.drill.corpus import Depot

ABSENT = 0  # the edition of a document that is not there


@dataclass(slots=True)
class Write:
    """One write: an edition of a document, or its deletion (`edition` ABSENT).

    `acknowledged` is None until the lake has confirmed it; one that was under way when the lake was lost stays so.
    """

    depot: Depot
    edition: int
    sent: float
    acknowledged: float | None = None
    version_id: str = ""
    etag: str = ""
    modified: datetime | None = None

    @property
    def path(self) -> str:
        """The document's path."""
        return self.depot.path


@dataclass(frozen=True, slots=True)
class Cut:
    """The lake as its replica had it when the primary was lost.

    `editions` has for every document the editions that may answer: one, but where a deletion fell between Last Sync
    Time and what had really arrived. `lost` are acknowledged writes that are not in it.
    """

    moment: datetime
    editions: dict[str, frozenset[int]]
    lost: tuple[Write, ...]

    @property
    def documents(self) -> dict[str, int]:
        """The documents that must be there, with their editions."""
        return {path: max(found) for path, found in self.editions.items() if ABSENT not in found}

    def may_have(self, path: str) -> frozenset[int]:
        """Return the editions that a document may have here."""
        return self.editions.get(path, frozenset({ABSENT}))


class Ledger:
    """Every write, by document in their order, and what readers of each region have seen of it."""

    def __init__(self) -> None:
        self._histories: dict[str, list[Write]] = {}
        self._versions: dict[tuple[str, str], Write] = {}
        self._seen: dict[tuple[str, str], list[tuple[float, int]]] = {}

    def begin(self, write: Write) -> Write:
        """Note a write that is being sent; writes to one document must not overlap."""
        self._histories.setdefault(write.path, []).append(write)
        return write

    def acknowledge(
        self, write: Write, at: float, version_id: str = "", etag: str = "", modified: datetime | None = None
    ) -> None:
        """Note that the lake has confirmed a write, and what it said of the version."""
        write.acknowledged, write.version_id, write.etag, write.modified = at, version_id, etag, modified
        if version_id:
            self._versions[write.path, version_id] = write

    def drop(self, write: Write) -> None:
        """Forget a write that the lake has refused."""
        self._histories[write.path].remove(write)

    # ---- asking --------------------------------------------------------------------------------------------------

    @property
    def writes(self) -> tuple[Write, ...]:
        """All writes, oldest first."""
        found = [write for history in self._histories.values() for write in history]
        return tuple(sorted(found, key=lambda write: write.sent))

    def current(self) -> dict[str, Write]:
        """Return the newest acknowledged write of every document that is not deleted."""
        found: dict[str, Write] = {}
        for path, history in self._histories.items():
            known = [write for write in history if write.acknowledged is not None]
            if known and known[-1].edition != ABSENT:
                found[path] = known[-1]
        return found

    def of(self, path: str) -> tuple[Write, ...]:
        """Return the writes of one document, oldest first."""
        return tuple(self._histories.get(path, ()))

    def version(self, path: str, version_id: str) -> Write | None:
        """Return the write that left a version, or None where there is none."""
        return self._versions.get((path, version_id))

    def next_edition(self, path: str) -> int:
        """Return the number of a document's next edition."""
        return max((write.edition for write in self.of(path)), default=0) + 1

    # ---- what readers have seen -------------------------------------------------------------------------------------

    def saw(self, region: str, path: str, edition: int, at: float) -> None:
        """Note that a region's index was seen to hold an edition of a document and nothing older."""
        place = next((n for n, write in reversed(list(enumerate(self.of(path)))) if write.edition == edition), None)
        seen = self._seen.setdefault((region, path), [])
        if place is not None and (not seen or place > seen[-1][1]):
            seen.append((at, place))

    def may_answer(self, region: str, path: str, asked: float) -> frozenset[int]:
        """Return the editions that a region which follows the lake may answer from, for a question asked at a time.

        Nothing older than what had been seen there before; whatever was written since may be there already or not.
        """
        writes = self.of(path)
        seen = self._seen.get((region, path), [])
        known = bisect_right(seen, (asked, len(writes)))
        if not known:
            return frozenset({ABSENT, *(write.edition for write in writes)})
        return frozenset(write.edition for write in writes[seen[known - 1][1] :])

    # ---- the cut ---------------------------------------------------------------------------------------------------

    def cut(self, moment: datetime, arrived: float) -> Cut:
        """Return the lake at `moment` (Last Sync Time) where everything up to `arrived` is on the replica.

        A version is in the cut when it was written by the moment; a document is gone when its deletion has arrived.
        """
        editions = {path: _at(history, moment, arrived) for path, history in self._histories.items()}
        lost = tuple(
            write
            for write in self.writes
            if write.acknowledged is not None and not _in_cut(write, editions[write.path], moment)
        )
        return Cut(moment, editions, lost)


def _in_cut(write: Write, editions: frozenset[int], moment: datetime) -> bool:
    if write.edition == ABSENT:
        return ABSENT in editions or write.sent <= moment.timestamp()
    return write.version_id <= stamp(moment)


def _at(writes: Iterable[Write], moment: datetime, arrived: float) -> frozenset[int]:
    found = frozenset({ABSENT})
    for write in writes:
        if write.edition != ABSENT:
            if write.version_id and write.version_id <= stamp(moment):
                found = frozenset({write.edition})
        elif write.acknowledged is not None and write.acknowledged <= arrived:
            found = frozenset({ABSENT})
        elif write.sent <= arrived:
            found |= {ABSENT}  # when exactly a deletion took place is not told to whoever asks for it
    return found


def stamp(moment: datetime) -> str:
    """Return a moment in the form of version ids."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"
