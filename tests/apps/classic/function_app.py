"""HTTP functions with `func.HttpRequest` and `func.HttpResponse`."""

import json
import logging
import os
import time

import azure.functions as func

import local
import shared

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def shown(name: str, req: func.HttpRequest) -> func.HttpResponse:
    """Tell which function ran, with its route values and query."""
    body = {"function": name, "route": dict(req.route_params), "query": dict(req.params), "url": req.url}
    return func.HttpResponse(json.dumps(body), mimetype="application/json")


@app.route("items/{id:int}", methods=["GET"])
def item(req: func.HttpRequest) -> func.HttpResponse:
    """An item by number."""
    return shown("item", req)


@app.route("items/special", methods=["GET"])
def special(req: func.HttpRequest) -> func.HttpResponse:
    """The literal route wins."""
    return shown("special", req)


@app.route("items/{name}", methods=["GET", "PUT"])
def named(req: func.HttpRequest) -> func.HttpResponse:
    """An item by name."""
    return shown("named", req)


@app.route("files/{*path}")
def files(req: func.HttpRequest) -> func.HttpResponse:
    """Everything below files."""
    return shown("files", req)


@app.route("pages/{page=1}/{size:int?}")
def pages(req: func.HttpRequest) -> func.HttpResponse:
    """A default and an optional parameter."""
    return shown("pages", req)


@app.route("echo", methods=["POST"])
def echo(req: func.HttpRequest) -> func.HttpResponse:
    """Return the body with some request headers."""
    headers = {
        "x-seen": req.headers.get("x-given", ""),
        "x-length": str(len(req.get_body())),
        "x-forwarded": req.headers.get("x-forwarded-for", ""),
    }
    return func.HttpResponse(req.get_body(), headers=headers, mimetype=req.headers.get("content-type"))


@app.route("cookies")
def cookies(req: func.HttpRequest) -> func.HttpResponse:
    """Set cookies with every attribute."""
    response = func.HttpResponse("set")
    everything = "full=a/b; Domain=example.com; Path=/x; Max-Age=60; Secure; HttpOnly; SameSite=Strict"
    response.headers.add("Set-Cookie", f"{everything}; Expires=Thu, 01 Jan 2037 00:00:00 GMT")
    response.headers.add("Set-Cookie", "plain=1")
    return response


@app.route("text")
def text(req: func.HttpRequest) -> str:
    """Answer with a plain string."""
    return "plain"


@app.route("fails")
def fails(req: func.HttpRequest) -> func.HttpResponse:
    """Raise."""
    raise ValueError("told to fail")


@app.route("slow")
def slow(req: func.HttpRequest) -> func.HttpResponse:
    """Take as long as the query says."""
    time.sleep(float(req.params["seconds"]))
    return func.HttpResponse("slept")


@app.route("about")
def about(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Tell about the process."""
    logging.info("about was asked")
    found = {
        "local": local.NAME,
        "shared": shared.NAME,
        "settings": {name: os.environ.get(name) for name in ("FROM_FILE", "FROM_BOTH")},
        "function": context.function_name,
        "invocation": context.invocation_id,
    }
    return func.HttpResponse(json.dumps(found), mimetype="application/json")


@app.route("locked", auth_level=func.AuthLevel.FUNCTION)
def locked(req: func.HttpRequest) -> func.HttpResponse:
    """Needs a function key where keys are enforced."""
    return func.HttpResponse("open")


@app.route("admin-only", auth_level=func.AuthLevel.ADMIN)
def admin_only(req: func.HttpRequest) -> func.HttpResponse:
    """Needs the master key where keys are enforced."""
    return func.HttpResponse("open")
