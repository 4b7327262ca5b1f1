"""What the lake says of one document."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.access import NOBODY

GROUPS_METADATA = "allowed_groups"
PROBES = ".warmlake/probes.json"  # questions that a rebuild asks before it lets a generation answer
_SUBJECT = re.compile(r"/blobServices/default/containers/(?P<container>[^/]+)/blobs/(?P<path>.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LakeDocument:
    """The current state of one document in the lake.

    `etag` carries no quotes; `version_id` is "" where the account has no versioning; `last_modified` is in UTC;
    `size` is in bytes; `metadata` is the blob's own.
    """

    path: str
    etag: str
    version_id: str
    last_modified: datetime
    size: int
    metadata: Mapping[str, str]

    @property
    def allowed_groups(self) -> tuple[str, ...]:
        """Groups that may see the document, from the blob's metadata, see `groups_in`."""
        return groups_in(self.metadata)

    @property
    def tags(self) -> str:
        """The other metadata as canonical JSON, "" when there are none."""
        rest = {name: value for name, value in self.metadata.items() if name.lower() != GROUPS_METADATA}
        return json.dumps(rest, sort_keys=True, ensure_ascii=False) if rest else ""


@dataclass(frozen=True, slots=True)
class LakeVersion:
    """One version of a document, current or not. `allowed_groups` are those that this version names."""

    path: str
    version_id: str
    is_current: bool
    last_modified: datetime
    size: int
    allowed_groups: tuple[str, ...] = ()


def groups_in(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return the groups that a blob's metadata names, in order.

    Without such metadata the document is for everybody: (). Where it is there and names no group, it is for nobody, as
    a folder with such a rule is: a list that came out empty must not open what it was to close.
    """
    # Metadata names are case-insensitive: `Allowed_Groups` restricts just the same.
    given = [value for name, value in metadata.items() if name.lower() == GROUPS_METADATA]
    if not given:
        return ()
    names = ",".join(given).split(",")
    return tuple(sorted({name.strip() for name in names if name.strip()})) or NOBODY


def is_document(path: str) -> bool:
    """Whether a path names a document: nothing below a dot-folder and no dot-file is one."""
    return bool(path) and not path.endswith("/") and not any(part.startswith(".") for part in path.split("/"))


def path_of_event(event: Mapping[str, Any], container: str) -> str | None:
    """Return the path that an Event Grid storage event is about; None when it is about another container.

    Raises ValueError when the event names no blob. The subject is `/blobServices/default/containers/NAME/blobs/PATH`.
    """
    subject = event.get("subject")
    match = _SUBJECT.fullmatch(subject) if isinstance(subject, str) else None
    if match is None:
        raise ValueError(f"the event's subject {subject!r} names no blob")
    return match["path"] if match["container"] == container else None
