"""What reading one document may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Bounds on one document: pages, bytes once it is unpacked, seconds, and megabytes of memory."""

    pages: int = 5_000
    unpacked_bytes: int = 1 << 30
    seconds: int = 120
    megabytes: int = 1_024
