"""The service without HTTP: indexes, aliases, and their rules."""

import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.search_service.errors import ServiceError, bad_request
from local.search_service.index import SearchIndex, not_found
from local.search_service.schema import (
    MAX_COMPLEX_COLLECTIONS,
    MAX_COMPLEX_OBJECTS,
    MAX_DEPTH,
    MAX_FIELDS,
    IndexSchema,
    check_name,
    check_update,
    parse_index,
)
from local.search_service.store import Store

MAX_ACTIONS = 1_000
MAX_BATCH_BYTES = 16 * 1024 * 1024


class SearchService:
    """All indexes and aliases below one folder."""

    def __init__(self, folder: Path) -> None:
        self._store = Store(folder)
        self._turn = threading.RLock()
        self._indexes: dict[str, SearchIndex] = {}
        self._etags: dict[str, str] = {}
        for name, (definition, etag) in self._store.named("indexes").items():
            self._indexes[name] = SearchIndex(parse_index(json.loads(definition)), self._store)
            self._etags[name] = etag
        self._aliases = self._store.named("aliases")

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    # ---- indexes -----------------------------------------------------------------------------------------------------

    def index(self, name: str) -> SearchIndex:
        """Return the index that a name means: its own, or an alias's. Raises a 404."""
        target = self._aliases[name][0] if name in self._aliases else name
        if target not in self._indexes:
            raise not_found("index", name)
        return self._indexes[target]

    def describe(self, name: str) -> dict[str, Any]:
        """Return an index definition. Raises a 404."""
        if name not in self._indexes:
            raise not_found("index", name)
        return {"@odata.etag": self._etags[name], **self._indexes[name].schema.definition}

    def list_indexes(self) -> list[dict[str, Any]]:
        """Return every definition, by name."""
        return [self.describe(name) for name in sorted(self._indexes)]

    def create_index(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Create an index. Raises a 409 when the name is taken."""
        schema = parse_index(value)
        with self._turn:
            if schema.name in self._indexes or schema.name in self._aliases:
                raise ServiceError(
                    409, f"Cannot create index '{schema.name}' because it already exists.", "ResourceNameAlreadyInUse"
                )
            return self._put(schema)

    def put_index(
        self, name: str, value: Mapping[str, Any], if_match: str | None, if_none_match: str | None
    ) -> tuple[dict[str, Any], bool]:
        """Create or update an index; returns its definition and whether it is new."""
        schema = parse_index({**value, "name": value.get("name", name)})
        if schema.name != name:
            raise bad_request(f"The index's name is '{schema.name}', the address says '{name}'.")
        with self._turn:
            self._precondition(self._etags.get(name), if_match, if_none_match)
            if name not in self._indexes:
                return self.create_index({**value, "name": name}), True
            check_update(self._indexes[name].schema, schema)
            return self._put(schema), False

    def delete_index(self, name: str, if_match: str | None, if_none_match: str | None) -> None:
        """Delete an index. Raises a 404, or a 400 while an alias points at it."""
        with self._turn:
            self._precondition(self._etags.get(name), if_match, if_none_match)
            if name not in self._indexes:
                raise not_found("index", name)
            users = sorted(alias for alias, (target, _) in self._aliases.items() if target == name)
            if users:
                raise bad_request(
                    f"Cannot delete index '{name}' because alias '{users[0]}' points to it.", "CannotDeleteAliasedIndex"
                )
            self._store.delete_named("indexes", name)
            del self._indexes[name], self._etags[name]

    def statistics(self, name: str) -> dict[str, Any]:
        """Return an index's counts and sizes."""
        index = self.index(name)
        size, vectors = self._store.size(index.schema.name)
        return {"documentCount": len(index), "storageSize": size, "vectorIndexSize": vectors}

    def service_statistics(self) -> dict[str, Any]:
        """Return the service's counters and limits."""
        documents = sum(len(index) for index in self._indexes.values())
        sizes = [self._store.size(name) for name in self._indexes]

        def counter(usage: int, quota: int | None = None) -> dict[str, int | None]:
            return {"usage": usage, "quota": quota}

        return {
            "counters": {
                "documentCount": counter(documents),
                "indexesCount": counter(len(self._indexes), 200),
                "aliasesCount": counter(len(self._aliases), 200),
                "indexersCount": counter(0, 0),
                "dataSourcesCount": counter(0, 0),
                "storageSize": counter(sum(size for size, _ in sizes)),
                "synonymMaps": counter(0, 0),
                "skillsetCount": counter(0, 0),
                "vectorIndexSize": counter(sum(vectors for _, vectors in sizes)),
            },
            "limits": {
                "maxFieldsPerIndex": MAX_FIELDS,
                "maxFieldNestingDepthPerIndex": MAX_DEPTH,
                "maxComplexCollectionFieldsPerIndex": MAX_COMPLEX_COLLECTIONS,
                "maxComplexObjectsInCollectionsPerDocument": MAX_COMPLEX_OBJECTS,
            },
        }

    def _put(self, schema: IndexSchema) -> dict[str, Any]:
        etag = _etag()
        name = schema.name
        self._store.put_named("indexes", name, json.dumps(dict(schema.definition)), etag)
        if name not in self._indexes or self._indexes[name].schema.fields != schema.fields:
            self._indexes[name] = SearchIndex(schema, self._store)
        else:
            self._indexes[name].schema = schema
        self._etags[name] = etag
        return self.describe(name)

    # ---- aliases -----------------------------------------------------------------------------------------------------

    def describe_alias(self, name: str) -> dict[str, Any]:
        """Return an alias. Raises a 404, which has no body in the service."""
        if name not in self._aliases:
            raise ServiceError(404, "")
        target, etag = self._aliases[name]
        return {"@odata.etag": etag, "name": name, "indexes": [target]}

    def list_aliases(self) -> list[dict[str, Any]]:
        """Return every alias, by name."""
        return [self.describe_alias(name) for name in sorted(self._aliases)]

    def put_alias(
        self,
        name: str,
        value: Mapping[str, Any],
        if_match: str | None,
        if_none_match: str | None,
        must_be_new: bool = False,
    ) -> tuple[dict[str, Any], bool]:
        """Create an alias or move it to another index, in one step; returns it and whether it is new."""
        if check_name(value.get("name", name), "alias") != name:
            raise bad_request(f"The alias's name is {value['name']!r}, the address says '{name}'.")
        targets = value.get("indexes")
        if not isinstance(targets, list) or len(targets) != 1 or not isinstance(targets[0], str):
            raise bad_request("An alias must name exactly one index.", "InvalidAlias")
        with self._turn:
            known = self._aliases.get(name)
            self._precondition(known[1] if known else None, if_match, if_none_match)
            if name in self._indexes or (must_be_new and known):
                raise ServiceError(409, f"The name '{name}' is already in use.", "ResourceNameAlreadyInUse")
            if targets[0] not in self._indexes:
                raise bad_request(f"The index '{targets[0]}' of alias '{name}' does not exist.", "InvalidAlias")
            etag = _etag()
            self._store.put_named("aliases", name, targets[0], etag)
            self._aliases[name] = (targets[0], etag)
            return self.describe_alias(name), known is None

    def delete_alias(self, name: str, if_match: str | None, if_none_match: str | None) -> None:
        """Delete an alias. Raises a 404."""
        with self._turn:
            known = self._aliases.get(name)
            self._precondition(known[1] if known else None, if_match, if_none_match)
            if known is None:
                raise not_found("alias", name)
            self._store.delete_named("aliases", name)
            del self._aliases[name]

    @staticmethod
    def _precondition(etag: str | None, if_match: str | None, if_none_match: str | None) -> None:
        # An ETag is weak in the header and strong in the body: both mean the same state.
        if_match, if_none_match = (value and value.removeprefix("W/") for value in (if_match, if_none_match))
        failed = (if_match is not None and etag is None) or (if_match not in (None, "*") and if_match != etag)
        if failed or (if_none_match is not None and etag is not None and if_none_match in ("*", etag)):
            raise ServiceError(
                412,
                "The precondition given in one of the request headers evaluated to false. "
                "No change was made to the resource from this request.",
            )


def _etag() -> str:
    return f'"0x{time.time_ns():X}"'
