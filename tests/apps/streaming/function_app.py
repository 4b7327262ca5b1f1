"""HTTP functions that stream, and a durable client beside them."""

import asyncio
import json

import azure.durable_functions as df
import azure.functions as func
from azurefunctions.extensions.http.fastapi import JSONResponse, Request, Response, StreamingResponse

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
events = {"closed": 0, "chunks": 0}


@app.route("count/{number:int}", methods=["GET"])
async def count(req: Request) -> StreamingResponse:
    """Stream lines, each when the reader has taken the one before."""

    async def lines():
        for number in range(int(req.path_params["number"])):
            yield f"{number}\n".encode()

    return StreamingResponse(lines(), media_type="text/plain")


@app.route("forever", methods=["GET"])
async def forever(req: Request) -> StreamingResponse:
    """Stream large chunks until the reader goes away."""

    async def chunks():
        try:
            while True:
                events["chunks"] += 1
                yield b"x" * 65536
                await asyncio.sleep(0)
        finally:
            events["closed"] += 1

    return StreamingResponse(chunks(), media_type="application/octet-stream")


@app.route("breaks", methods=["GET"])
async def breaks(req: Request) -> StreamingResponse:
    """Fail in the middle of the answer."""

    async def chunks():
        yield b"first"
        await asyncio.sleep(0.05)
        raise ValueError("told to fail in the stream")

    return StreamingResponse(chunks())


@app.route("events", methods=["GET"])
async def seen(req: Request) -> JSONResponse:
    """Tell how many streams were closed and chunks made."""
    return JSONResponse(events)


def seen_of(req: Request) -> dict[str, str]:
    """Return what the function sees of a request, as headers of its answer."""
    forwarded = req.headers.get("x-forwarded-for", "")
    return {"x-query": str(req.query_params), "x-url": str(req.url), "x-forwarded": forwarded}


@app.route("echo", methods=["POST", "PUT"])
async def echo(req: Request) -> Response:
    """Return the body, the query and two cookies."""
    response = Response(await req.body(), headers=seen_of(req))
    response.set_cookie("a", "1")
    response.set_cookie("b", "2", httponly=True)
    return response


@app.route("fails", methods=["GET"])
async def fails(req: Request) -> Response:
    """Raise."""
    raise ValueError("told to fail")


@app.route("start", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: Request, client: df.DurableFunctionsClient) -> Response:
    """Start an orchestration."""
    instance_id = await client.schedule_new_orchestration("hello")
    return Response(json.dumps({"id": instance_id}), 202)


@app.orchestration_trigger(context_name="context")
def hello(context, _):
    """Return a greeting."""
    return "hello"


@app.route("{*path}", methods=["GET", "POST"])
async def rest(req: Request) -> JSONResponse:
    """Take what no other route takes."""
    return JSONResponse({"path": req.path_params.get("path", ""), "method": req.method})
