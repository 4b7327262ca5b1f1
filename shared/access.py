"""Who may see which document. Pure.

A document is for everybody unless something restricts it: its own metadata (`allowed_groups`), or a rule for its
folder. All restrictions hold at once, so a narrower one can never widen what a wider one allows: a caller needs one of
the groups of every restriction that applies.

Folder rules are looked at when a question is asked, not when a document is indexed. So a new rule holds at once for the
whole index, in every region, and an index never has to be written again for it.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

RULES = ".warmlake/access.json"  # in the lake's container of documents, beside the probes; it is no document itself
EVERYBODY: frozenset[str] = frozenset()  # the groups of a caller of whom nothing is known
NOBODY = ("",)  # a document's groups when nobody may see it: no caller has a group without a name
SEPARATORS = "|,;\t\n"  # one of them separates the groups in a filter: one that no group has


class Restricted(Protocol):
    """What access is decided on: where a document lies, and the groups that its own metadata names."""

    @property
    def path(self) -> str:
        """The document's path in the lake."""

    @property
    def allowed_groups(self) -> tuple[str, ...]:
        """Groups that may see it; none: everybody; NOBODY: nobody."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One folder's groups. `folder` ends in "/", or is "" for the whole lake; without groups nobody sees it."""

    folder: str
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class Access:
    """What one caller may see: the caller's groups under the rules that hold now."""

    groups: frozenset[str] = EVERYBODY
    rules: tuple[Rule, ...] = ()

    def allows(self, document: Restricted) -> bool:
        """Whether the caller may see a document."""
        own = document.allowed_groups
        if own and not self.groups & set(own):
            return False
        return not any(document.path.startswith(rule.folder) for rule in self._closed())

    def filter(self) -> str:
        """Return the OData filter for what the caller may see."""
        clauses = [groups_filter(self.groups)]
        clauses += [f"not ({under(rule.folder)})" for rule in self._closed()]
        return " and ".join(clauses)

    def _closed(self) -> tuple[Rule, ...]:
        """Return the rules that shut the caller out; a folder inside another closed one needs no rule of its own."""
        closed = sorted({rule.folder for rule in self.rules if not self.groups & rule.groups})
        outer: list[str] = []
        for folder in closed:
            if not (outer and folder.startswith(outer[-1])):
                outer.append(folder)
        return tuple(Rule(folder, EVERYBODY) for folder in outer)


def both(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """Return a document's groups where two restrictions hold at once: only who meets each of them may see it."""
    if not (one and other):
        return one or other
    return tuple(sorted(set(one) & set(other))) or NOBODY


def groups_filter(groups: frozenset[str]) -> str:
    """Return the OData filter for a caller in `groups`: documents without groups, or with one of the caller's."""
    everybody = "not allowed_groups/any()"
    if not groups:
        return everybody
    separator = next((sign for sign in SEPARATORS if not any(sign in group for group in groups)), None)
    if separator is None:  # names that have every separator: one comparison each, longer but exact
        named = " or ".join(f"g eq '{quoted(group)}'" for group in sorted(groups))
        return f"({everybody} or allowed_groups/any(g: {named}))"
    names = quoted(separator.join(sorted(groups)))
    return f"({everybody} or allowed_groups/any(g: search.in(g, '{names}', '{separator}')))"


def under(folder: str) -> str:
    """Return the OData filter for every path that begins with `folder`, which ends in "/" or is "" for all paths.

    The range of names that begin so ends before the folder's name with the sign that follows "/".
    """
    if not folder:
        return "path ge ''"
    return f"path ge '{quoted(folder)}' and path lt '{quoted(folder[:-1])}0'"


def quoted(text: str) -> str:
    """Return a text as it stands inside an OData literal: quotes are doubled."""
    return text.replace("'", "''")


def visible[D: Restricted](documents: Iterable[D], access: Access) -> list[D]:
    """Keep what the caller may see. The search filter has done so already; a fault there must not leak."""
    return [document for document in documents if access.allows(document)]


def parse_rules(content: bytes) -> tuple[Rule, ...]:
    """Return the rules in a rule file. Raises ValueError that names what is wrong.

    The file is `{"folders": [{"folder": "hr/", "allowed_groups": ["..."]}, ...]}`.
    """
    try:
        value: Any = json.loads(content)
    except ValueError as fault:
        raise ValueError(f"{RULES} is not JSON: {fault}") from fault
    if not isinstance(value, dict) or set(value) != {"folders"} or not isinstance(value["folders"], list):
        raise ValueError(f'{RULES} must be {{"folders": [...]}}')
    return tuple(_rule(item, position) for position, item in enumerate(value["folders"]))


def _rule(item: Any, position: int) -> Rule:
    where = f"{RULES}: folders[{position}]"
    if not isinstance(item, dict) or set(item) != {"folder", "allowed_groups"}:
        raise ValueError(f'{where} must have "folder" and "allowed_groups", and nothing else')
    folder, groups = item["folder"], item["allowed_groups"]
    if not isinstance(folder, str) or folder.startswith("/") or (folder and not folder.endswith("/")):
        raise ValueError(f'{where}.folder must be a folder such as "hr/", or "" for all, not {folder!r}')
    if not isinstance(groups, list) or not all(isinstance(group, str) and group.strip() for group in groups):
        raise ValueError(f"{where}.allowed_groups must be a list of names, not {groups!r}")
    return Rule(folder, frozenset(group.strip() for group in groups))
