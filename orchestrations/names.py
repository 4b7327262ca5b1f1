"""Names of the orchestrators and activities, and the one instance that a rebuild runs as."""

from typing import Any

REBUILD = "rebuild"
REBUILD_PAGE = "rebuild_page"

PLAN_REBUILD = "plan_rebuild"
CREATE_GENERATION = "create_generation"
INDEX_PAGE = "index_page"
CATCH_UP = "catch_up"
VERIFY_PAGE = "verify_page"
PROBE = "probe"
JOIN_LIVE = "join_live"
SWAP_ALIAS = "swap_alias"
FOLLOW_LIVE = "follow_live"
RETIRE_GENERATIONS = "retire_generations"
WRITE_REPORT = "write_report"

REBUILD_INSTANCE = "rebuild"  # fixed, so that there is never more than one


class Payload(dict[str, Any]):
    """A JSON object between orchestrators and activities. (The worker wants a class as annotation, not `dict[str,
    Any]`.)
    """
