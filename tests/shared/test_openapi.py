"""The description of the HTTP API: valid, complete, and with the limits that hold."""

import ast
import dataclasses
import re
from typing import Any

import jsonschema_rs
import pytest
import schemathesis

from shared.openapi import describe
from shared.settings import Settings
from tests.conftest import ROOT

ENVIRONMENT = {
    "LAKE_STORAGE": "UseDevelopmentStorage=true",
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "SEARCH_ENDPOINT": "http://localhost:1",
    "OPENAI_ENDPOINT": "http://localhost:2",
    "OPENAI_MODEL": "chat",
    "OPENAI_EMBEDDING_MODEL": "embed",
    "EMBEDDING_DIMENSIONS": "3",
}
SETTINGS = Settings.from_env(ENVIRONMENT)


def routes() -> dict[tuple[str, str], tuple[bool, bool]]:
    """Return method and path of every API route that function_app.py declares, as it stands there: whether the host
    asks for an operator's key, and whether the trigger asks for an operator before all else.
    """
    found = {}
    tree = ast.parse((ROOT / "function_app.py").read_text(encoding="utf-8"))
    for node in (node for node in tree.body if isinstance(node, ast.AsyncFunctionDef)):
        for call in node.decorator_list:
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "route":
                template, *methods = (ast.literal_eval(argument) for argument in call.args)
                keyed = "auth_level=OPERATOR" in map(ast.unparse, call.keywords)
                first = ast.unparse(node.body[1])  # after the docstring
                asked = first in ("operator(req)", "who = operator(req)")
                found.update({(method.lower(), f"/{template}"): (keyed, asked) for method in methods})
    return found


def test_it_is_a_valid_description() -> None:
    """It conforms to OpenAPI 3.1, and no reference in it leads nowhere."""
    document = describe(SETTINGS)
    schemathesis.openapi.from_dict(document).validate()
    named = set(document["components"]["schemas"])
    referred = set(re.findall(r"'#/components/schemas/(\w+)'", repr(document)))
    assert referred == named


def test_it_describes_every_route_and_nothing_else() -> None:
    """A route that is added, renamed or taken away must be so here."""
    described = {(method, path) for path, methods in describe(SETTINGS)["paths"].items() for method in methods}
    assert len(routes()) > 15
    assert described == set(routes())


def test_what_is_for_operators_is_closed_to_others() -> None:
    """Whatever is described as an operator's is closed by both ways of knowing operators, and nothing else is; that
    the app then refuses others is shown over HTTP in tests/region/test_operators.py.
    """
    signed_in = describe(dataclasses.replace(SETTINGS, auth_enabled=True))["paths"]
    keyed = describe(SETTINGS)["paths"]
    for (method, path), closed in routes().items():
        operators = keyed[path][method].get("security") == [{"functionKey": []}]
        assert closed == (operators, operators), (method, path)
        assert ("403" in signed_in[path][method]["responses"]) == operators, (method, path)


def test_it_names_the_limits_of_this_deployment() -> None:
    """What a request may hold is what the settings say."""
    small = dataclasses.replace(SETTINGS, chat_message_max_characters=77, chat_max_messages=5)
    schemas = describe(small)["components"]["schemas"]
    roles = schemas["Message"]["anyOf"]
    assert [role["properties"]["content"]["maxLength"] for role in roles] == [77, 77]
    assert schemas["ChatRequest"]["properties"]["messages"]["maxItems"] == 5


@pytest.mark.parametrize(
    ("changes", "chat", "rebuild"),
    [
        ({}, None, [{"functionKey": []}]),
        ({"auth_enabled": True}, [{"signedIn": []}], [{"functionKey": []}]),
        ({"auth_enabled": True, "operator_auth": "app_role"}, [{"signedIn": []}], [{"signedIn": []}]),
    ],
)
def test_it_says_how_callers_are_known(changes: dict[str, Any], chat: Any, rebuild: Any) -> None:
    """Operators have a key or sign in; everybody signs in where authentication is on."""
    paths = describe(dataclasses.replace(SETTINGS, **changes))["paths"]
    assert paths["/api/chat"]["post"].get("security") == chat
    assert paths["/api/recovery/rebuild"]["post"].get("security") == rebuild


def test_requests_that_it_allows_are_those_that_are_taken() -> None:
    """Unknown fields and wrong types are excluded by the schema as they are by the app."""
    document = describe(SETTINGS)
    schema = {"$ref": "#/components/schemas/ChatRequest", "components": document["components"]}
    validator = jsonschema_rs.validator_for(schema)
    asked = {"role": "user", "content": "How much?"}
    assert validator.is_valid({"messages": [asked]})
    assert validator.is_valid({"messages": [asked], "context": {"debug": True, "filters": {"path": "a/"}}})
    refused: tuple[dict[str, Any], ...] = (
        {},
        {"messages": []},
        {"messages": [asked], "stream": True},
        {"messages": [asked | {"content": "  "}]},
        {"messages": [asked | {"role": "system"}]},
        {"messages": [asked], "context": {"debug": "yes"}},
    )
    for wrong in refused:
        assert not validator.is_valid(wrong), wrong
