"""The part of an index definition that says how vectors are searched: algorithms, compressions, profiles. Pure."""

from collections.abc import Container, Mapping
from typing import Any

from local.search_service import shapes
from local.search_service.errors import bad_request, unsupported

METRICS = ("cosine", "dotProduct", "euclidean")
_ALGORITHMS = {
    "hnsw": frozenset({"m", "efConstruction", "efSearch", "metric"}),
    "exhaustiveKnn": frozenset({"metric"}),
}
_BOUNDS = {"m": (4, 10), "efConstruction": (100, 1_000), "efSearch": (100, 1_000)}  # inclusive, the service's own
_COMPRESSIONS = ("scalarQuantization", "binaryQuantization")
_COMPRESSION = frozenset(
    [
        *("name", "kind", "rescoringOptions", "truncationDimension", "scalarQuantizationParameters"),
        *("rerankWithOriginalVectors", "defaultOversampling"),
    ]
)
_RESCORING = frozenset({"enableRescoring", "defaultOversampling", "rescoreStorageMethod"})


def parse_metrics(given: Any) -> dict[str, str]:
    """Return the metric of each vector profile. Raises a 400 that names what is unknown or not supported."""
    vector_search = shapes.an_object(given, "vectorSearch")
    shapes.only(
        vector_search, frozenset({"profiles", "algorithms", "vectorizers", "compressions"}), "search.vectorSearch"
    )
    if vector_search.get("vectorizers"):
        raise unsupported("'vectorizers'")
    algorithms = dict(map(_algorithm, shapes.objects(vector_search.get("algorithms"), "vectorSearch/algorithms")))
    compressions = set(
        map(_compression, shapes.objects(vector_search.get("compressions"), "vectorSearch/compressions"))
    )
    metrics: dict[str, str] = {}
    for profile in shapes.objects(vector_search.get("profiles"), "vectorSearch/profiles"):
        shapes.only(
            profile, frozenset({"name", "algorithm", "vectorizer", "compression"}), "search.vectorSearchProfile"
        )
        if profile.get("vectorizer"):
            raise unsupported("'vectorizer' of a vector profile")
        name = shapes.a_text(profile.get("name"), "vectorSearch/profiles/name")
        algorithm = shapes.a_text(profile.get("algorithm"), "vectorSearch/profiles/algorithm")
        compression = shapes.a_text(profile.get("compression"), "vectorSearch/profiles/compression")
        _check_defined(name, "algorithm", algorithm, algorithms)
        if compression:
            _check_defined(name, "compression", compression, compressions)
        metrics[name] = algorithms[algorithm]
    return metrics


def _algorithm(given: Mapping[str, Any]) -> tuple[str, str]:
    """Return an algorithm's name and metric."""
    kind = given.get("kind")
    if kind not in _ALGORITHMS:
        raise bad_request(f"Unknown vector search algorithm kind {kind!r:.40}.", "InvalidIndex")
    shapes.only(given, frozenset({"name", "kind", f"{kind}Parameters"}), f"search.{kind}Algorithm")
    parameters = shapes.an_object(given.get(f"{kind}Parameters"), f"{kind}Parameters")
    shapes.only(parameters, _ALGORITHMS[kind], f"search.{kind}Parameters")
    for name, (least, most) in _BOUNDS.items():
        number = parameters.get(name)
        if number is not None and (type(number) is not int or not least <= number <= most):
            raise bad_request(f"'{name}' must be a whole number from {least} to {most}, not {number!r:.40}.")
    metric = shapes.a_text(parameters.get("metric"), "metric") or "cosine"
    if metric not in METRICS:
        raise unsupported(f"the vector metric {metric!r}")
    return shapes.a_text(given.get("name"), "vectorSearch/algorithms/name"), metric


def _compression(given: Mapping[str, Any]) -> str:
    """Return a compression's name. Vectors are kept whole whatever it says, as the service's originals are."""
    kind = given.get("kind")
    if kind not in _COMPRESSIONS:
        raise bad_request(f"Unknown vector compression kind {kind!r:.40}.", "InvalidIndex")
    shapes.only(given, _COMPRESSION, "search.vectorSearchCompression")
    shapes.only(
        shapes.an_object(given.get("rescoringOptions"), "rescoringOptions"), _RESCORING, "search.rescoringOptions"
    )
    shapes.only(
        shapes.an_object(given.get("scalarQuantizationParameters"), "scalarQuantizationParameters"),
        frozenset({"quantizedDataType"}),
        "search.scalarQuantizationParameters",
    )
    return shapes.a_text(given.get("name"), "vectorSearch/compressions/name")


def _check_defined(profile: str, what: str, name: str, known: Container[str]) -> None:
    if name not in known:
        raise bad_request(f"Profile '{profile}' names the {what} {name!r}, which is not defined.", "InvalidIndex")
