"""Who may see which document: rules and groups, and the filter that says the same to the search service."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.search_service.filters import compile_filter
from local.search_service.schema import parse_index
from shared.access import NOBODY, Access, Rule, both, groups_filter, parse_rules, visible
from shared.index.schema import index_definition

SCHEMA = parse_index(index_definition("documents", 4).as_dict())
GROUPS = ["hr", "board", "it", "o'neil", "a|b", "a,b;c|d\te\nf"]
FOLDERS = ["", "hr/", "hr/pay/", "it/", "o'neil/", "hr-public/"]
PATHS = ["hr/a.md", "hr/pay/b.md", "hr-public/c.md", "hr0.md", "hr.md", "it/d.md", "o'neil/e.md", "f.md", "hr/pay.md"]

groups = st.frozensets(st.sampled_from(GROUPS), max_size=3)
own = groups.map(lambda held: tuple(sorted(held))) | st.just(NOBODY)
rules = st.lists(st.builds(Rule, st.sampled_from(FOLDERS), groups), max_size=4).map(tuple)


@dataclass(frozen=True, slots=True)
class Document:
    path: str
    allowed_groups: tuple[str, ...]


@given(groups, rules, st.sampled_from(PATHS), groups | st.just(frozenset(NOBODY)))
def test_the_filter_says_what_the_check_says(
    caller: frozenset[str], held: tuple[Rule, ...], path: str, own: frozenset[str]
) -> None:
    """The search service's filter and the app's own check let the same documents pass, whatever groups are called."""
    access = Access(caller, held)
    _, passes = compile_filter(SCHEMA, access.filter())
    document = Document(path, tuple(sorted(own)))
    assert passes({"path": path, "allowed_groups": list(document.allowed_groups)}) == access.allows(document)


@given(groups, rules, st.sampled_from(PATHS), groups)
def test_every_restriction_must_be_met(
    caller: frozenset[str], held: tuple[Rule, ...], path: str, own: frozenset[str]
) -> None:
    """A document is open to a caller who has a group of its own and of every folder rule above it."""
    expected = (not own or bool(own & caller)) and all(
        bool(rule.groups & caller) for rule in held if path.startswith(rule.folder)
    )
    assert Access(caller, held).allows(Document(path, tuple(own))) == expected


@given(groups, rules, st.lists(st.builds(Document, st.sampled_from(PATHS), groups.map(tuple)), max_size=6))
def test_what_is_visible_is_allowed_and_in_order(
    caller: frozenset[str], held: tuple[Rule, ...], documents: list[Document]
) -> None:
    """Only documents that the caller may see stay, in their order."""
    access = Access(caller, held)
    assert visible(documents, access) == [document for document in documents if access.allows(document)]


@given(groups, own, own)
def test_two_restrictions_let_in_nobody_whom_one_shuts_out(
    caller: frozenset[str], one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    """Where two versions restrict a document, each of them holds; where only one does, it holds alone. Adding one that
    holds already changes nothing, so that a document may be looked at any number of times.
    """
    joined = both(one, other)
    access = Access(caller)
    allowed = [access.allows(Document("a.md", held)) for held in (joined, one, other)]
    assert not allowed[0] or (allowed[1] and allowed[2])
    assert joined == both(other, one) == both(joined, one) == both(joined, other)
    assert both(one, ()) == both((), one) == one
    assert (joined == NOBODY) == (NOBODY in (one, other) or bool(one and other and not set(one) & set(other)))


def test_rules_inside_a_closed_folder_need_no_clause() -> None:
    """A folder inside another closed one is closed with it: the filter names the outer one only."""
    held = (Rule("hr/", frozenset({"hr"})), Rule("hr/pay/", frozenset({"board"})))
    assert Access(frozenset(), held).filter().count("not (path") == 1
    assert Access(frozenset({"hr"}), held).filter().count("not (path") == 1


def test_names_with_every_separator_are_compared_one_by_one() -> None:
    """Where no sign is left to separate names by, each is compared by itself: two names never become three."""
    made = groups_filter(frozenset({"a,b;c|d\te\nf", "hr"}))
    assert "search.in" not in made
    assert "g eq 'hr'" in made


def test_rules_are_read() -> None:
    """A rule file names folders and groups."""
    content = (
        b'{"folders": [{"folder": "hr/", "allowed_groups": ["hr", " board "]}, {"folder": "", "allowed_groups": []}]}'
    )
    assert parse_rules(content) == (Rule("hr/", frozenset({"hr", "board"})), Rule("", frozenset()))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"{", "is not JSON"),
        (b"[]", r"must be \{"),
        (b'{"folders": {}}', r"must be \{"),
        (b'{"folders": [{"folder": "hr/"}]}', "must have"),
        (b'{"folders": [{"folder": "hr", "allowed_groups": []}]}', "must be a folder"),
        (b'{"folders": [{"folder": "/hr/", "allowed_groups": []}]}', "must be a folder"),
        (b'{"folders": [{"folder": "hr/", "allowed_groups": "hr"}]}', "must be a list of names"),
        (b'{"folders": [{"folder": "hr/", "allowed_groups": [""]}]}', "must be a list of names"),
        (b'{"folders": [], "more": 1}', r"must be \{"),
    ],
)
def test_what_is_wrong_with_rules_is_named(content: bytes, fault: str) -> None:
    """A rule file that does not say clearly who may see what is refused."""
    with pytest.raises(ValueError, match=fault):
        parse_rules(content)
