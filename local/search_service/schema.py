"""Index definitions: checked, completed with the service's defaults, and what a field's values may be. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local.search_service import shapes
from local.search_service.analysis import ANALYZERS
from local.search_service.cors import Cors, parse_cors
from local.search_service.errors import bad_request, unsupported
from local.search_service.fields import COMPLEX, SCALARS, VECTOR_ELEMENTS, Field, check_text_field
from local.search_service.scoring_profiles import ScoringProfile, parse_profiles
from local.search_service.vector_profiles import parse_metrics

MAX_DIMENSIONS = 4_096
MAX_FIELDS = 1_000
MAX_DEPTH = 10
MAX_COMPLEX_COLLECTIONS = 40
MAX_COMPLEX_OBJECTS = 3_000  # in all collections of a document

_BM25 = "#Microsoft.Azure.Search.BM25Similarity"
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9]|[-_](?![-_])){0,126}[a-z0-9]")
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
    *("analyzers", "tokenizers", "tokenFilters", "charFilters", "normalizers", "encryptionKey"),
    *("permissionFilterOption", "purviewEnabled"),
)
_SUGGESTERS = 1  # suggesters the service allows an index to have
_SUGGESTER = frozenset({"name", "searchMode", "sourceFields"})
_SEMANTIC_CONFIGURATION = frozenset({"name", "prioritizedFields", "rankingOrder"})
_PRIORITIZED = frozenset({"titleField", "prioritizedContentFields", "prioritizedKeywordsFields"})


@dataclass(frozen=True, slots=True)
class SemanticConfiguration:
    """Which fields the semantic ranker reads: a title, contents by priority, keywords."""

    title: str
    contents: tuple[str, ...]
    keywords: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IndexSchema:
    """An index's fields by path, with the definition as the service returns it."""

    name: str
    top: tuple[Field, ...]
    fields: Mapping[str, Field]
    key: str
    suggesters: Mapping[str, tuple[str, ...]]  # name -> source fields
    semantic: Mapping[str, SemanticConfiguration]
    default_semantic: str
    profiles: Mapping[str, ScoringProfile]
    default_profile: str
    complex_collections: bool  # whether there are collections of complex values
    cors: Cors | None
    definition: Mapping[str, Any]

    def field(self, name: str) -> Field:
        """Return a field by its path. Raises a 400 that names it."""
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
            f"Invalid {what} name {name!r}: lower-case letters, digits, single dashes and underscores, 2 to "
            "128 characters.",
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
    given = shapes.objects(value.get("fields"), "fields")
    if not given:
        raise bad_request("An index must have fields.", "InvalidIndex")
    metrics = parse_metrics(value.get("vectorSearch"))
    completed = [_complete(field, "", False) for field in given]
    _check_names([field["name"] for field in completed])
    top = tuple(_field(field, "", False, metrics) for field in completed)
    fields = {field.name: field for field in _flat(top)}
    _check_limits(fields)
    similarity = shapes.an_object(value.get("similarity"), "similarity") or {"@odata.type": _BM25}
    _check_similarity(similarity)
    shapes.a_text(value.get("description"), "description")
    cors = parse_cors(value.get("corsOptions"))
    keys = [field for field in fields.values() if field.key]
    if len(keys) != 1 or keys[0].kind != "Edm.String" or "/" in keys[0].name or not keys[0].retrievable:
        raise bad_request("An index must have exactly one key field, a retrievable Edm.String.", "InvalidIndex")
    suggesters = _suggesters(shapes.objects(value.get("suggesters"), "suggesters"), fields)
    semantic = shapes.an_object(value.get("semantic"), "semantic")
    configurations = _semantic(semantic, fields)
    profiles = parse_profiles(value.get("scoringProfiles"), fields)
    default_profile = shapes.a_text(value.get("defaultScoringProfile"), "defaultScoringProfile")
    if default_profile and default_profile not in profiles:
        raise bad_request(f"The default scoring profile '{default_profile}' is not defined.", "InvalidIndex")
    definition = {
        **{key: value.get(key) for key in ("description", "corsOptions", "semantic", "vectorSearch")},
        **{key: [] for key in ("analyzers", "tokenizers", "tokenFilters", "charFilters", "normalizers")},
        "name": name,
        "defaultScoringProfile": default_profile or None,
        "scoringProfiles": [profile.definition for profile in profiles.values()],
        "suggesters": value.get("suggesters") or [],
        "encryptionKey": None,
        "similarity": {"k1": None, "b": None, **similarity},
        "fields": completed,
    }
    default_semantic = shapes.a_text(semantic.get("defaultConfiguration"), "semantic/defaultConfiguration")
    return IndexSchema(
        name,
        top,
        fields,
        keys[0].name,
        suggesters,
        configurations,
        default_semantic,
        profiles,
        default_profile,
        any(field.is_complex and field.collection for field in fields.values()),
        cors,
        definition,
    )


def check_update(old: IndexSchema, new: IndexSchema) -> None:
    """Allow what an existing index may change: added fields, suggesters over those, and what search alone looks at.

    Raises a 400 naming the field otherwise.
    """
    for field in old.fields.values():
        now = new.fields.get(field.name)
        if now is None:
            raise bad_request(f"Existing field '{field.name}' cannot be deleted.", "CannotChangeExistingField")
        same = {name for name in Field.__slots__ if getattr(field, name) == getattr(now, name)}
        # A complex field may get further fields, which are compared one by one.
        changed = sorted(set(Field.__slots__) - same - {"retrievable", "search_analyzer", "fields"})
        if changed:
            message = f"Existing field '{field.name}' cannot be changed: {', '.join(changed)}."
            raise bad_request(message, "CannotChangeExistingField")
    _check_suggesters(old, new)


def _check_suggesters(old: IndexSchema, new: IndexSchema) -> None:
    """Let a suggester have only fields that are added with it: prefixes are built when documents are written."""
    for name in {**old.suggesters, **new.suggesters}:
        before, now = set(old.suggesters.get(name, ())), set(new.suggesters.get(name, ()))
        if gone := sorted(before - now):
            raise bad_request(
                f"The field '{gone[0]}' cannot be removed from the suggester '{name}'.", "CannotChangeExistingSuggester"
            )
        if present := sorted(field for field in now - before if field in old.fields):
            raise bad_request(
                f"Fields that were already present in an index ({', '.join(present)}) cannot be referenced by a new "
                "suggester. Only new fields added in the same index update operation are allowed.",
                "CannotChangeExistingSuggester",
            )


def _check_limits(fields: Mapping[str, Field]) -> None:
    collections = sum(field.is_complex and field.collection for field in fields.values())
    depth = max(len(field.parts) for field in fields.values())
    for what, number, most in (
        ("fields", len(fields), MAX_FIELDS),
        ("levels of fields", depth, MAX_DEPTH),
        ("collections of complex fields", collections, MAX_COMPLEX_COLLECTIONS),
    ):
        if number > most:
            raise bad_request(f"An index can have {most} {what}, not {number}.", "InvalidIndex")


def _flat(fields: tuple[Field, ...]) -> Iterator[Field]:
    for field in fields:
        yield field
        yield from _flat(field.fields)


def _complete(value: Any, above: str, many: bool) -> dict[str, Any]:
    """Return a field's definition with the service's defaults."""
    if not isinstance(value, dict):
        raise bad_request("A field must be an object.", "InvalidIndex")
    unknown = sorted(set(value) - _FIELD_PROPERTIES)
    if unknown:
        raise bad_request(f"The property '{unknown[0]}' does not exist on type 'search.field'.", "InvalidField")
    for label in ("permissionFilter", "sensitivityLabel"):
        if value.get(label):
            raise unsupported(f"'{label}' of a field")
    name, kind = value.get("name"), value.get("type")
    if not isinstance(name, str) or not _FIELD_NAME.fullmatch(name) or name.startswith("azureSearch"):
        raise bad_request(f"Invalid field name {name!r}.", "InvalidField")
    if not isinstance(kind, str):
        raise bad_request(f"Field '{name}' has no type.", "InvalidField")
    if kind in (COMPLEX, f"Collection({COMPLEX})"):
        return _complete_complex(value, name, kind, f"{above}{name}/", many or kind != COMPLEX)
    if value.get("fields"):
        raise bad_request(f"Field '{above}{name}' of type {kind} cannot have fields.", "InvalidField")
    text = kind in ("Edm.String", "Collection(Edm.String)")
    vector = bool(value.get("dimensions"))
    defaults = dict(_FIELD_DEFAULTS)
    defaults["searchable"] = text or vector
    if vector:
        defaults.update(filterable=False, sortable=False, facetable=False)
    if many or kind.startswith("Collection"):
        defaults["sortable"] = False
    if kind == "Edm.GeographyPoint":
        defaults["facetable"] = False
    given = {key: value[key] for key in _FIELD_DEFAULTS if value.get(key) is not None}
    for key, item in given.items():
        default = _FIELD_DEFAULTS[key]
        if isinstance(default, bool):
            shapes.a_switch(item, f"{above}{name}/{key}")
        elif key not in ("dimensions", "synonymMaps"):
            shapes.a_text(item, f"{above}{name}/{key}")
    return {"name": name, "type": kind, **defaults, **given}


def _complete_complex(value: Mapping[str, Any], name: str, kind: str, above: str, many: bool) -> dict[str, Any]:
    attributes = sorted(key for key in _FIELD_DEFAULTS if value.get(key))
    if attributes:
        raise bad_request(f"The complex field '{above[:-1]}' cannot have '{attributes[0]}'.", "InvalidField")
    inner = value.get("fields")
    if not isinstance(inner, list) or not inner:
        raise bad_request(f"The complex field '{above[:-1]}' must have fields.", "InvalidField")
    return {"name": name, "type": kind, "fields": [_complete(child, above, many) for child in inner]}


def _field(value: Mapping[str, Any], above: str, many: bool, metrics: Mapping[str, str]) -> Field:
    name, kind = f"{above}{value['name']}", str(value["type"])
    collection = kind.startswith("Collection(") and kind.endswith(")")
    element = kind[11:-1] if collection else kind
    if element == COMPLEX:
        children = tuple(_field(child, f"{name}/", many or collection, metrics) for child in value["fields"])
        _check_names([child.name for child in children])
        return Field(
            name,
            element,
            collection,
            many or collection,
            False,
            False,
            False,
            False,
            False,
            True,
            True,
            "",
            "",
            0,
            "",
            children,
        )
    dimensions = value["dimensions"] or 0
    if dimensions:
        _check_vector(value, name, collection, element, above, metrics)
    elif element not in SCALARS:
        raise unsupported(f"the type {kind!r} of field '{name}'")
    analyzer = value["analyzer"] or value["indexAnalyzer"] or "standard.lucene"
    search_analyzer = value["analyzer"] or value["searchAnalyzer"] or analyzer
    for wanted in (analyzer, search_analyzer):
        if wanted not in ANALYZERS:
            raise unsupported(f"the analyzer {wanted!r} of field '{name}'")
    if value["normalizer"] or value["synonymMaps"]:
        raise unsupported(f"a normalizer or synonym map on field '{name}'")
    if value["searchable"] and not dimensions and element != "Edm.String":
        raise bad_request(f"Field '{name}' of type {kind} cannot be searchable.", "InvalidField")
    if value["sortable"] and (collection or many):
        raise bad_request(
            f"Field '{name}' of type {kind} may have several values and cannot be sortable.", "InvalidField"
        )
    return Field(
        name=name,
        type=element,
        collection=collection,
        many=many or collection,
        key=bool(value["key"]),
        searchable=bool(value["searchable"]),
        filterable=bool(value["filterable"]),
        sortable=bool(value["sortable"]),
        facetable=bool(value["facetable"]),
        retrievable=bool(value["retrievable"]),
        stored=bool(value["stored"]),
        analyzer=analyzer,
        search_analyzer=search_analyzer,
        dimensions=int(dimensions),
        metric=metrics.get(value["vectorSearchProfile"] or "", ""),
    )


def _check_vector(
    value: Mapping[str, Any], name: str, collection: bool, element: str, above: str, metrics: Mapping[str, str]
) -> None:
    dimensions = value["dimensions"]
    if not isinstance(dimensions, int) or not 2 <= dimensions <= MAX_DIMENSIONS:
        raise bad_request(f"The dimensions of field '{name}' must be from 2 to {MAX_DIMENSIONS}.", "InvalidField")
    if not collection or element not in VECTOR_ELEMENTS:
        raise bad_request(f"Field '{name}' has dimensions but is no collection of numbers.", "InvalidField")
    if above:
        raise unsupported(f"the vector field '{name}' below a complex field")
    wrong = [label for label in ("filterable", "sortable", "facetable", "key") if value[label]]
    if wrong:
        raise bad_request(f"The vector field '{name}' cannot be {wrong[0]}.", "InvalidField")
    if value["vectorEncoding"]:
        raise unsupported(f"the vector encoding {value['vectorEncoding']!r} of field '{name}'")
    if value["vectorSearchProfile"] not in metrics:
        raise bad_request(
            f"Field '{name}' names the vector search profile {value['vectorSearchProfile']!r}, which is not defined.",
            "InvalidField",
        )


def _check_names(names: list[str]) -> None:
    folded = [name.lower() for name in names]
    if len(set(folded)) < len(folded):
        raise bad_request("Two fields have the same name.", "InvalidIndex")


def _suggesters(given: list[Mapping[str, Any]], fields: Mapping[str, Field]) -> dict[str, tuple[str, ...]]:
    if len(given) > _SUGGESTERS:
        raise bad_request(f"An index can have {_SUGGESTERS} suggester, not {len(given)}.", "InvalidIndex")
    found: dict[str, tuple[str, ...]] = {}
    for suggester in given:
        shapes.only(suggester, _SUGGESTER, "search.suggester")
        mode = shapes.a_text(suggester.get("searchMode"), "suggesters/searchMode") or "analyzingInfixMatching"
        if mode != "analyzingInfixMatching":
            raise bad_request(f"Unknown suggester mode {mode!r}.", "InvalidIndex")
        names = shapes.names(suggester.get("sourceFields"), "suggesters/sourceFields")
        for name in names:
            check_text_field(fields, name, "The suggester")
        found[shapes.a_text(suggester.get("name"), "suggesters/name")] = tuple(names)
    return found


def _semantic(semantic: Mapping[str, Any], fields: Mapping[str, Field]) -> dict[str, SemanticConfiguration]:
    shapes.only(semantic, frozenset({"defaultConfiguration", "configurations"}), "search.semanticSettings")
    found: dict[str, SemanticConfiguration] = {}
    for configuration in shapes.objects(semantic.get("configurations"), "semantic/configurations"):
        shapes.only(configuration, _SEMANTIC_CONFIGURATION, "search.semanticConfiguration")
        if configuration.get("rankingOrder") not in (None, "RerankerScore"):
            raise unsupported("a rankingOrder other than RerankerScore")
        wanted = shapes.an_object(configuration.get("prioritizedFields"), "prioritizedFields")
        shapes.only(wanted, _PRIORITIZED, "search.prioritizedFields")
        title = _field_name(shapes.an_object(wanted.get("titleField"), "titleField"))
        contents, keywords = (
            tuple(_field_name(item) for item in shapes.objects(wanted.get(part), part))
            for part in ("prioritizedContentFields", "prioritizedKeywordsFields")
        )
        for name in (*([title] if title else []), *contents, *keywords):
            check_text_field(fields, name, "The semantic configuration")
        found[shapes.a_text(configuration.get("name"), "semantic/name")] = SemanticConfiguration(
            title, contents, keywords
        )
    default = shapes.a_text(semantic.get("defaultConfiguration"), "semantic/defaultConfiguration")
    if default and default not in found:
        raise bad_request(f"The default semantic configuration '{default}' is not defined.", "InvalidIndex")
    return found


def _field_name(value: Mapping[str, Any]) -> str:
    shapes.only(value, frozenset({"fieldName"}), "search.semanticField")
    return shapes.a_text(value.get("fieldName"), "fieldName")


def _check_similarity(similarity: Mapping[str, Any]) -> None:
    if similarity.get("@odata.type") != _BM25 or (
        similarity.get("k1") not in (None, 1.2) or similarity.get("b") not in (None, 0.75)
    ):
        raise unsupported("a similarity other than BM25 with k1 1.2 and b 0.75")
