"""
What bookings ask of searches; `bootstrap` hands in who does it.
"""

from typing import Protocol

__all__ = ["SearchNotice"]


class SearchNotice(Protocol):
    """Makes searches follow what is claimed and released here."""

    def show_changed_places(self) -> None:
        """Make what this process has just claimed or released show in its searches."""
