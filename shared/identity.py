"""Who calls: the identity that App Service authentication has verified, where that is switched on.

The platform puts it into the header `X-MS-CLIENT-PRINCIPAL` (base64 JSON) and removes such a header from outside. Where
authentication is off nobody removes it, so it is not looked at.
https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import Forbidden, Unauthorized

HEADER = "x-ms-client-principal"
OPERATOR_ROLE = "Warmlake.Operator"
ROLE_CLAIMS = frozenset({"roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"})
GROUP_CLAIMS = frozenset({"groups", "http://schemas.microsoft.com/claims/groups"})
ID_CLAIMS = (  # what says who it is and never changes, unlike a name, which some may choose: the object id first
    "http://schemas.microsoft.com/identity/claims/objectidentifier",
    "oid",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier",
    "sub",
)
NAME_CLAIMS = ("preferred_username", "name", "appid", "azp")


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller. Nobody in particular: no name, no groups, no roles, no id.

    `name` is for people to read; `id` tells callers apart.
    """

    name: str = ""
    groups: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    id: str = ""


def caller(headers: Mapping[str, str], trusted: bool) -> Caller:
    """Return the caller that the headers name; nobody where authentication is off or the caller is anonymous.

    Raises Unauthorized when the header is there but cannot be read: such a caller must not pass for nobody.
    """
    given = headers.get(HEADER, "") if trusted else ""
    if not given:
        return Caller()
    try:
        principal: Any = json.loads(base64.b64decode(given, validate=True))
        claims = [(str(claim["typ"]), str(claim["val"])) for claim in principal["claims"]]
        extra_roles = str(principal.get("role_typ") or "roles")
    except (binascii.Error, ValueError, TypeError, KeyError, AttributeError) as fault:
        raise Unauthorized(f"the header {HEADER} cannot be read; sign in again") from fault
    names = dict(reversed(claims))
    name = next((names[claim] for claim in NAME_CLAIMS if claim in names), "unnamed")
    return Caller(
        name=name,
        groups=frozenset(value for kind, value in claims if kind in GROUP_CLAIMS and value.strip()),
        roles=frozenset(value for kind, value in claims if kind in ROLE_CLAIMS or kind == extra_roles),
        id=next((names[claim] for claim in ID_CLAIMS if names.get(claim)), name),
    )


def require_operator(who: Caller) -> None:
    """Let only operators pass. Raises Unauthorized for nobody, Forbidden for somebody else."""
    if not who.name:
        raise Unauthorized(f"this needs a signed-in caller with the app role {OPERATOR_ROLE}")
    if OPERATOR_ROLE not in who.roles:
        raise Forbidden(f"{who.name!r} does not have the app role {OPERATOR_ROLE}")
