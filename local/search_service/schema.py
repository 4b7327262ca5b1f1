"""Index definitions: checked, completed with the service's defaults, and what a field's values may be. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local.search_service.errors import ServiceError, bad_request, unsupported

SCALARS = frozenset(
    {"Edm.String", "Edm.Int32", "Edm.Int64", "Edm.Double", "Edm.Boolean", "Edm.DateTimeOffset", "Edm.Single"}
)
VECTOR_ELEMENTS = frozenset({"Edm.Single", "Edm.Half", "Edm.Int16", "Edm.SByte", "Edm.Byte"})
ANALYZERS = ("standard.lucene", "en.lucene", "keyword", "simple", "whitespace", "standard")
METRICS = ("cosine", "dotProduct", "euclidean")

_BM25 = "#Microsoft.Azure.Search.BM25Similarity"
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9]|-(?!-)){0,126}[a-z0-9]")
_FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")
_INDEX_PROPERTIES = frozenset(
    [
        *("name", "description", "fields", "scoringProfiles", "defaultScoringProfile", "corsOptions", "suggesters"),
        *("analyzers", "tokenizers", "tokenFilters", "charFilters", "normalizers", "encryptionKey", "similarity"),
        *("semantic", "vectorSearch", "permissionFilterOption", "purviewEnabled", "@odata.etag", "@odata.context"),
    ]
)
_FIELD_DEFAULTS: dict[str, Any] = {
    "searchable": True,
    "filterable": True,
    "retrievable": True,
    "stored": True,
    "sortable": True,
    "facetable": True,
    "key": False,
    "indexAnalyzer": None,
    "searchAnalyzer": None,
    "analyzer": None,
    "normalizer": None,
    "dimensions": None,
    "vectorSearchProfile": None,
    "vectorEncoding": None,
    "synonymMaps": [],
}
_FIELD_PROPERTIES = frozenset({"name", "type", "fields", "permissionFilter", "sensitivityLabel", *_FIELD_DEFAULTS})
# Parts of a definition that would change results, and that nothing here acts on.
_MUST_BE_EMPTY = (
    *("scoringProfiles", "defaultScoringProfile", "suggesters", "analyzers", "tokenizers", "tokenFilters"),
    *("charFilters", "normalizers", "encryptionKey", "permissionFilterOption"),
)


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `type` is the element's type; a vector is a collection with `dimensions`."""

    name: str
    type: str
    collection: bool
    key: bool
    searchable: bool
    filterable: bool
    sortable: bool
    facetable: bool
    retrievable: bool
    stored: bool
    analyzer: str
    dimensions: int
    metric: str

    @property
    def is_vector(self) -> bool:
        """Whether the field holds a vector."""
        return self.dimensions > 0


@dataclass(frozen=True, slots=True)
class IndexSchema:
    """An index's fields by name, with the definition as the service returns it."""

    name: str
    fields: Mapping[str, Field]
    key: str
    definition: Mapping[str, Any]

    def field(self, name: str) -> Field:
        """Return a field. Raises a 400 that names it."""
        try:
            return self.fields[name]
        except KeyError:
            raise bad_request(f"Could not find a property named '{name}' on type 'search.document'.") from None

    @property
    def text_fields(self) -> tuple[Field, ...]:
        """Fields that full-text search looks at."""
        return tuple(field for field in self.fields.values() if field.searchable and not field.is_vector)

    @property
    def vector_fields(self) -> tuple[Field, ...]:
        """Fields that hold vectors."""
        return tuple(field for field in self.fields.values() if field.is_vector)


def check_name(name: Any, what: str) -> str:
    """Return a legal index or alias name. Raises a 400."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise bad_request(
            f"Invalid {what} name {name!r}: lower-case letters, digits and single dashes, 2 to 128 characters.",
            "InvalidName",
        )
    return name


def parse_index(value: Mapping[str, Any]) -> IndexSchema:
    """Check an index definition. Raises a 400 that names what is wrong or not supported."""
    unknown = sorted(set(value) - _INDEX_PROPERTIES)
    if unknown:
        raise bad_request(f"The property '{unknown[0]}' does not exist on type 'search.index'.", "InvalidIndex")
    name = check_name(value.get("name"), "index")
    for part in _MUST_BE_EMPTY:
        if value.get(part):
            raise unsupported(f"'{part}' in an index definition")
    given = value.get("fields")
    if not isinstance(given, list) or not given:
        raise bad_request("An index must have fields.", "InvalidIndex")
    metrics = _metrics(value.get("vectorSearch") or {})
    completed = [_complete(field) for field in given]
    fields = [_field(field, metrics) for field in completed]
    names = [field.name.lower() for field in fields]
    if len(set(names)) < len(names):
        raise bad_request("Two fields have the same name.", "InvalidIndex")
    _check_similarity(value.get("similarity") or {"@odata.type": _BM25})
    keys = [field for field in fields if field.key]
    if len(keys) != 1 or keys[0].type != "Edm.String" or keys[0].collection or not keys[0].retrievable:
        raise bad_request("An index must have exactly one key field, a retrievable Edm.String.", "InvalidIndex")
    definition = {
        **{key: value.get(key) for key in ("description", "corsOptions", "semantic", "vectorSearch")},
        **{key: [] for key in ("scoringProfiles", "suggesters", "analyzers", "tokenizers", "tokenFilters")},
        "name": name,
        "defaultScoringProfile": None,
        "charFilters": [],
        "normalizers": [],
        "encryptionKey": None,
        "similarity": value.get("similarity") or {"@odata.type": _BM25},
        "fields": completed,
    }
    return IndexSchema(name, {field.name: field for field in fields}, keys[0].name, definition)


def check_update(old: IndexSchema, new: IndexSchema) -> None:
    """Allow what an existing index may change: added fields, retrievable. Raises a 400 naming the field otherwise."""
    for field in old.fields.values():
        now = new.fields.get(field.name)
        if now is None:
            raise bad_request(f"Existing field '{field.name}' cannot be deleted.", "CannotChangeExistingField")
        same = {name for name in Field.__slots__ if getattr(field, name) == getattr(now, name)}
        changed = sorted(set(Field.__slots__) - same - {"retrievable"})
        if changed:
            message = f"Existing field '{field.name}' cannot be changed: {', '.join(changed)}."
            raise bad_request(message, "CannotChangeExistingField")


def check_value(field: Field, value: Any) -> Any:
    """Return a document's value in its stored form. Raises a 400 that names field and value."""
    if value is None:
        return None
    if field.is_vector:
        return _vector(field, value)
    if field.collection:
        if not isinstance(value, list):
            raise _wrong(field, value)
        return [_scalar(field, item) for item in value]
    return _scalar(field, value)


def _scalar(field: Field, value: Any) -> Any:
    kind = field.type
    if kind == "Edm.String" and isinstance(value, str):
        return value
    if kind == "Edm.Boolean" and isinstance(value, bool):
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind in ("Edm.Int32", "Edm.Int64") and number and value == int(value):
        bound = 31 if kind == "Edm.Int32" else 63
        if -(2**bound) <= int(value) < 2**bound:
            return int(value)
    if kind in ("Edm.Double", "Edm.Single") and number:
        return float(value)
    if kind == "Edm.DateTimeOffset" and isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise _wrong(field, value) from None
        if moment.tzinfo is not None:
            return value
    raise _wrong(field, value)


def _vector(field: Field, value: Any) -> list[float]:
    if not isinstance(value, list) or not all(isinstance(x, int | float) and not isinstance(x, bool) for x in value):
        raise _wrong(field, value)
    if len(value) != field.dimensions:
        raise bad_request(
            f"The vector field '{field.name}' has dimension {field.dimensions} but a vector of length {len(value)} was "
            "given.",
            "InvalidDocument",
        )
    return value


def _wrong(field: Field, value: Any) -> ServiceError:
    kind = f"Collection({field.type})" if field.collection else field.type
    shown = str(value)[:60]
    return bad_request(f"Cannot convert the value {shown!r} of field '{field.name}' to {kind}.", "InvalidDocument")


def _complete(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise bad_request("A field must be an object.", "InvalidIndex")
    unknown = sorted(set(value) - _FIELD_PROPERTIES)
    if unknown:
        raise bad_request(f"The property '{unknown[0]}' does not exist on type 'search.field'.", "InvalidField")
    name, kind = value.get("name"), value.get("type")
    if not isinstance(name, str) or not _FIELD_NAME.fullmatch(name) or name.startswith("azureSearch"):
        raise bad_request(f"Invalid field name {name!r}.", "InvalidField")
    if value.get("fields"):
        raise unsupported(f"the complex field '{name}'")
    text = kind in ("Edm.String", "Collection(Edm.String)")
    vector = bool(value.get("dimensions"))
    defaults = dict(_FIELD_DEFAULTS)
    defaults["searchable"] = text or vector
    if vector:
        defaults.update(filterable=False, sortable=False, facetable=False)
    if isinstance(kind, str) and kind.startswith("Collection"):
        defaults["sortable"] = False
    given = {key: value[key] for key in _FIELD_DEFAULTS if value.get(key) is not None}
    return {"name": name, "type": kind, **defaults, **given}


def _field(value: Mapping[str, Any], metrics: Mapping[str, str]) -> Field:
    name, kind = value["name"], str(value["type"])
    collection = kind.startswith("Collection(") and kind.endswith(")")
    element = kind[11:-1] if collection else kind
    dimensions = value["dimensions"] or 0
    if dimensions:
        if not collection or element not in VECTOR_ELEMENTS:
            raise bad_request(f"Field '{name}' has dimensions but is no collection of numbers.", "InvalidField")
        if value["vectorSearchProfile"] not in metrics:
            raise bad_request(
                f"Field '{name}' names the vector search profile {value['vectorSearchProfile']!r}, "
                "which is not defined.",
                "InvalidField",
            )
    elif element not in SCALARS:
        raise unsupported(f"the type {kind!r} of field '{name}'")
    analyzer = value["analyzer"] or value["indexAnalyzer"] or "standard.lucene"
    if analyzer not in ANALYZERS or (value["searchAnalyzer"] or analyzer) != analyzer:
        raise unsupported(f"the analyzer {value['searchAnalyzer'] or analyzer!r} of field '{name}'")
    if value["normalizer"] or value["synonymMaps"]:
        raise unsupported(f"a normalizer or synonym map on field '{name}'")
    if value["searchable"] and not dimensions and element != "Edm.String":
        raise bad_request(f"Field '{name}' of type {kind} cannot be searchable.", "InvalidField")
    if value["sortable"] and collection:
        raise bad_request(f"Field '{name}' of type {kind} cannot be sortable.", "InvalidField")
    return Field(
        name=name,
        type=element,
        collection=collection,
        key=bool(value["key"]),
        searchable=bool(value["searchable"]),
        filterable=bool(value["filterable"]),
        sortable=bool(value["sortable"]),
        facetable=bool(value["facetable"]),
        retrievable=bool(value["retrievable"]),
        stored=bool(value["stored"]),
        analyzer=analyzer,
        dimensions=int(dimensions),
        metric=metrics.get(value["vectorSearchProfile"] or "", ""),
    )


def _metrics(vector_search: Mapping[str, Any]) -> dict[str, str]:
    """Return the metric of each vector profile."""
    algorithms: dict[str, str] = {}
    for algorithm in vector_search.get("algorithms") or []:
        kind = algorithm.get("kind")
        if kind not in ("hnsw", "exhaustiveKnn"):
            raise bad_request(f"Unknown vector search algorithm kind {kind!r}.", "InvalidIndex")
        parameters = algorithm.get("hnswParameters") or algorithm.get("exhaustiveKnnParameters") or {}
        metric = parameters.get("metric") or "cosine"
        if metric not in METRICS:
            raise unsupported(f"the vector metric {metric!r}")
        algorithms[algorithm["name"]] = metric
    if vector_search.get("vectorizers"):
        raise unsupported("'vectorizers'")
    profiles: dict[str, str] = {}
    for profile in vector_search.get("profiles") or []:
        if profile.get("algorithm") not in algorithms:
            raise bad_request(
                f"Profile '{profile.get('name')}' names the algorithm {profile.get('algorithm')!r}, "
                "which is not defined.",
                "InvalidIndex",
            )
        profiles[profile["name"]] = algorithms[profile["algorithm"]]
    return profiles


def _check_similarity(similarity: Mapping[str, Any]) -> None:
    if similarity.get("@odata.type") != _BM25 or (
        similarity.get("k1") not in (None, 1.2) or similarity.get("b") not in (None, 0.75)
    ):
        raise unsupported("a similarity other than BM25 with k1 1.2 and b 0.75")
