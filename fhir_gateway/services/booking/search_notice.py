"""
What bookings need from searches; `bootstrap` passes the implementation.
"""

from typing import Protocol

__all__ = ["SearchNotice"]


class SearchNotice(Protocol):
    """Makes searches follow what is claimed and released here."""

    def show_changed_places(self) -> None:
        """Apply this process's latest claims and releases to its searches."""
