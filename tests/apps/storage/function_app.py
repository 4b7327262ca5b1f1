"""Queue and blob triggers and bindings. What a function saw goes to the queue `seen`, where a test reads it."""

import json
import logging
from typing import List  # noqa: UP035 - the worker library does not take list[str]

import azure.functions as func
import azurefunctions.extensions.bindings.blob as blob

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
STORAGE = "AzureWebJobsStorage"


@app.queue_trigger(arg_name="message", queue_name="%INPUT_QUEUE%", connection=STORAGE)
@app.queue_output(arg_name="seen", queue_name="seen", connection=STORAGE)
def order(message: func.QueueMessage, seen: func.Out[str]) -> None:
    """Report a message; the message `fail` fails."""
    text = message.get_body().decode()
    logging.info("order %s try %s", text, message.dequeue_count)
    if text == "fail":
        raise ValueError("told to fail")
    seen.set(json.dumps({"order": text, "id": message.id, "tries": message.dequeue_count}))


@app.route("send/{text}")
@app.queue_output(arg_name="out", queue_name="%INPUT_QUEUE%", connection=STORAGE)
def send(req: func.HttpRequest, out: func.Out[str]) -> str:
    """Send the route's text."""
    out.set(req.route_params["text"])
    return "sent"


@app.queue_trigger(arg_name="message", queue_name="forward", connection=STORAGE)
@app.queue_output(arg_name="$return", queue_name="seen", connection=STORAGE)
async def forward(message: func.QueueMessage) -> str:
    """Pass a message on through the return value."""
    return f"forwarded {message.get_body().decode()}"


@app.route("many")
@app.queue_output(arg_name="out", queue_name="seen", connection=STORAGE)
def many(req: func.HttpRequest, out: func.Out[List[str]]) -> func.HttpResponse:  # noqa: UP006
    """Send two messages and answer."""
    out.set(["one", "two"])
    return func.HttpResponse("sent", status_code=201)


@app.blob_trigger(arg_name="content", path="%CONTAINER%/{name}.txt", connection=STORAGE, source="EventGrid")
@app.queue_output(arg_name="seen", queue_name="seen", connection=STORAGE)
def text_blob(content: func.InputStream, seen: func.Out[str]) -> None:
    """Report a text blob with its content; a blob that says `fail` fails."""
    read = content.read().decode()
    if read == "fail":
        raise ValueError("told to fail")
    seen.set(json.dumps({"name": content.name, "length": content.length, "content": read, "uri": content.uri}))


@app.blob_trigger(arg_name="client", path="%CONTAINER%/{name}", connection=STORAGE, source=func.BlobSource.EVENT_GRID)
@app.queue_output(arg_name="seen", queue_name="seen", connection=STORAGE)
def any_blob(client: blob.BlobClient, seen: func.Out[str]) -> None:
    """Report any blob through the SDK's client."""
    size = client.get_blob_properties().size
    seen.set(json.dumps({"blob": client.blob_name, "container": client.container_name, "size": size}))


@app.route("copy/{name}")
@app.blob_input(arg_name="source", path="%CONTAINER%/{name}", connection=STORAGE)
@app.blob_output(arg_name="target", path="copies/{name}", connection=STORAGE)
def copy(req: func.HttpRequest, source: func.InputStream, target: func.Out[bytes]) -> func.HttpResponse:
    """Copy a blob through bindings."""
    if source is None:
        return func.HttpResponse("none", status_code=404)
    target.set(source.read())
    return func.HttpResponse("copied")


@app.blob_trigger(arg_name="content", path="%CONTAINER%-polled/{file-name}.md", connection=STORAGE)
@app.queue_output(arg_name="seen", queue_name="seen", connection=STORAGE)
def polled_blob(content: str, seen: func.Out[str]) -> None:
    """Report a blob that listing the container has found, as text; one that says `fail` fails."""
    if content.startswith("fail"):
        raise ValueError("told to fail")
    seen.set(json.dumps({"polled": content, "type": type(content).__name__}))


@app.route("kinds/{name}")
@app.blob_input(arg_name="text", path="%CONTAINER%/{name}", connection=STORAGE, data_type=func.DataType.STRING)
@app.blob_input(arg_name="data", path="%CONTAINER%/{name}", connection=STORAGE, data_type=func.DataType.BINARY)
def kinds(req: func.HttpRequest, text: str, data: bytes) -> str:
    """Say what the two inputs are."""
    return f"{type(text).__name__} {text} {type(data).__name__} {data!r}"


@app.timer_trigger(arg_name="timer", schedule="0 0 5 31 12 *")
@app.queue_output(arg_name="seen", queue_name="seen", connection=STORAGE)
def yearly(timer: func.TimerRequest, seen: func.Out[str]) -> None:
    """Report a firing, which comes once a year."""
    seen.set(json.dumps({"yearly": timer.past_due}))


@app.timer_trigger(arg_name="timer", schedule="* * * * * *", run_on_startup=True)
@app.queue_output(arg_name="seen", queue_name="seen", connection=STORAGE)
def switched_off(timer: func.TimerRequest, seen: func.Out[str]) -> None:
    """Never runs: a setting has switched it off."""
    seen.set("a disabled function ran")


@app.route("off")
def off(req: func.HttpRequest) -> str:
    """Never answers: a setting has switched it off."""
    return "on"
