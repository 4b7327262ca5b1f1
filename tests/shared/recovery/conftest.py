"""What the tests of recovery share."""

from tests.shared.recovery.replicated import replicated

__all__ = ["replicated"]
