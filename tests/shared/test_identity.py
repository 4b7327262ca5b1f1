"""Who calls, as App Service authentication says it."""

import base64
import json

import pytest

from shared.errors import Forbidden, Unauthorized
from shared.identity import HEADER, OPERATOR_ROLE, Caller, caller, require_operator


def principal(*claims: tuple[str, str], role_type: str = "roles") -> dict[str, str]:
    body = {"auth_typ": "aad", "role_typ": role_type, "claims": [{"typ": kind, "val": value} for kind, value in claims]}
    return {HEADER: base64.b64encode(json.dumps(body).encode()).decode()}


def test_verified_caller_has_name_groups_and_roles() -> None:
    """Name, groups and roles come from the claims."""
    found = caller(
        principal(("name", "Åsa"), ("groups", "g1"), ("groups", "g2"), ("roles", OPERATOR_ROLE)), trusted=True
    )
    assert found == Caller("Åsa", frozenset({"g1", "g2"}), frozenset({OPERATOR_ROLE}), "Åsa")
    require_operator(found)


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ([("sub", "s-1"), ("oid", "o-1")], "o-1"),
        ([("http://schemas.microsoft.com/identity/claims/objectidentifier", "o-1"), ("sub", "s-1")], "o-1"),
        ([("sub", "s-1")], "s-1"),
        ([("oid", ""), ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier", "n-1")], "n-1"),
        ([], "Ann"),
    ],
)
def test_callers_are_told_apart_by_what_they_cannot_choose(claims: list[tuple[str, str]], expected: str) -> None:
    """The object id comes first, and the name, which two people may have, only where there is nothing else."""
    assert caller(principal(("name", "Ann"), *claims), trusted=True).id == expected


def test_a_group_without_a_name_is_none() -> None:
    """A blank claim gives no group: a document that is for nobody is stored under a group without a name."""
    assert caller(principal(("name", "Eve"), ("groups", ""), ("groups", " ")), trusted=True).groups == frozenset()


def test_forged_header_is_not_looked_at() -> None:
    """Where authentication is off, nobody took such a header away: it says nothing."""
    assert caller(principal(("name", "Mallory"), ("roles", OPERATOR_ROLE)), trusted=False) == Caller()


def test_anonymous_caller_is_nobody() -> None:
    """Without the header there is no name, and nothing is allowed that needs one."""
    with pytest.raises(Unauthorized, match=OPERATOR_ROLE):
        require_operator(caller({}, trusted=True))


def test_caller_without_the_role_is_forbidden() -> None:
    """A known caller who is no operator is told so by name."""
    with pytest.raises(Forbidden, match="'Eve' does not have"):
        require_operator(caller(principal(("name", "Eve"), ("roles", "Reader")), trusted=True))


def test_roles_in_the_principals_own_role_type() -> None:
    """The principal names the claim type that its roles have."""
    found = caller(principal(("name", "Ops"), ("urn:role", OPERATOR_ROLE), role_type="urn:role"), trusted=True)
    assert OPERATOR_ROLE in found.roles


@pytest.mark.parametrize(
    "header", ["%%%", base64.b64encode(b"[]").decode(), base64.b64encode(b'{"claims": [1]}').decode()]
)
def test_unreadable_header_is_refused(header: str) -> None:
    """A caller whose header cannot be read is not taken for nobody."""
    with pytest.raises(Unauthorized, match=HEADER):
        caller({HEADER: header}, trusted=True)
