"""
The port to the service that stores log entries of staff access.
"""

from collections.abc import Sequence
from typing import Protocol

from fhir_gateway.model.log_entry import LogEntry, LogResult

__all__ = ["LogService"]


class LogService(Protocol):
    """
    Stores log entries.

    An entry that it receives again, with the same id, changes nothing.
    """

    def store(self, entries: Sequence[LogEntry]) -> LogResult:
        """
        Hand over entries, and return what the service did with all of them.

        Raises:
            Unavailable: The service could not be reached, or did not answer in time.
            SourceFault: It answered with a fault, or its answer cannot be read.
            Incorrect: The entries cannot be written; nothing was sent.
        """

    def close(self) -> None:
        """Close what it has opened."""
