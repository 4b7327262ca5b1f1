"""Reading and writing chunks through the SDK's client, without a model object for each of them.

The client's own methods turn every search result and every action's status into an object with a property a field,
which takes longer than the service does. Its `send_request` runs the same pipeline (sign-in, retries, request ids) and
leaves the reply as it is.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
    map_error,
)
from azure.core.rest import HttpRequest
from azure.search.documents.aio import SearchClient
from azure.search.documents.models import VectorizedQuery
from numpy.typing import NDArray

QUERY_SECONDS = 30.0  # longest wait for a query: somebody may be waiting for the answer
API_VERSION = "2026-04-01"
ERRORS = {401: ClientAuthenticationError, 404: ResourceNotFoundError, 409: ResourceExistsError}
HEADERS = {"Accept": "application/json;odata.metadata=none", "Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class ActionStatus:
    """What became of one action of a batch, in the SDK's names."""

    key: str
    succeeded: bool
    status_code: int
    error_message: str


class Results:
    """The results of a search, read page by page as they are needed."""

    def __init__(self, first: dict[str, Any], following: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]) -> None:
        self._first = first
        self._following = following

    async def get_count(self) -> int | None:
        """Return the number of all results, where it was asked for."""
        return self._first.get("@odata.count")

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        async for page in self._pages():
            for result in page:
                yield result

    async def all(self) -> list[dict[str, Any]]:
        """Return all results at once: stepping through them one by one takes as long as reading them does."""
        return [result async for page in self._pages() for result in page]

    async def _pages(self) -> AsyncIterator[list[dict[str, Any]]]:
        page = self._first
        while True:
            yield page["value"]
            # A reply has a limit in bytes too: what does not fit comes with further pages.
            asked = page.get("@search.nextPageParameters")
            if not asked:
                return
            page = await self._following(asked)


def vector_query(vector: NDArray[np.float32], nearest: int, field: str) -> dict[str, Any]:
    """Return the query for the `nearest` chunks to a vector of shape (dimensions,).

    The client's own VectorizedQuery looks at each number several times before it sends them.
    """
    return {"kind": "vector", "vector": vector, "k": nearest, "fields": field}


def _as_json(query: VectorizedQuery | Mapping[str, Any]) -> Mapping[str, Any]:
    return query.as_dict() if isinstance(query, VectorizedQuery) else query


class BulkClient:
    """One index, for bulk work and for questions.

    Its methods are called and answer as the client's own do, as far as they are here.
    """

    def __init__(self, client: SearchClient, index: str) -> None:
        self._client = client
        self._path = f"{{endpoint}}/indexes('{index}')/docs"

    async def get_document_count(self) -> int:
        """Return the number of chunks."""
        return await self._client.get_document_count()

    async def index_documents(self, batch: Any, **options: Any) -> list[ActionStatus]:
        """Write a serialised batch, given as a file; returns what became of each action.

        Raises what the client raises for a batch that was refused whole.
        """
        reply = await self._post("search.index", batch.read(), **options)
        return [
            ActionStatus(one["key"], one["status"], one["statusCode"], one.get("errorMessage") or "")
            for one in reply["value"]
        ]

    async def search(
        self,
        search_text: str | None = None,
        *,
        filter: str | None = None,
        order_by: Sequence[str] = (),
        select: Sequence[str] = (),
        top: int = 50,
        vector_queries: Sequence[VectorizedQuery | Mapping[str, Any]] = (),
        include_total_count: bool = False,
        more: Mapping[str, Any] | None = None,
    ) -> Results:
        """Search; raises what the client raises. `more` are further parameters of the service, in its own names."""
        asked: dict[str, Any] = {
            "search": search_text,
            "filter": filter,
            "orderby": ",".join(order_by) or None,
            "select": ",".join(select),
            "top": top,
            "count": include_total_count or None,
            "vectorQueries": [_as_json(query) for query in vector_queries] or None,
            **(more or {}),
        }
        body = {name: value for name, value in asked.items() if value is not None}
        return Results(await self._search(body), self._search)

    async def _search(self, body: dict[str, Any]) -> dict[str, Any]:
        content = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
        return await self._post("search.post.search", content, read_timeout=QUERY_SECONDS)

    async def _post(self, verb: str, content: bytes, **options: Any) -> dict[str, Any]:
        address = f"{self._path}/{verb}?api-version={API_VERSION}"
        request = HttpRequest("POST", address, headers=HEADERS, content=content)
        # As a stream the reply is left alone: the pipeline would read its JSON too, and more slowly.
        response = await self._client.send_request(request, stream=True, **options)
        async with response:
            content = await response.read()
        if response.status_code not in (200, 207):
            map_error(status_code=response.status_code, response=response, error_map=ERRORS)
            raise HttpResponseError(response=response)
        value: dict[str, Any] = orjson.loads(content)
        return value
