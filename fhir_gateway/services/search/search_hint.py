"""
The refresh hints of searches: the ageing times that clients searched for.

A search only leaves a note; a thread of its own sends the notes to the workers. If it
cannot, or if there are too many notes, some are lost, which harms nothing else.
"""

import threading
from collections import deque
from typing import Final

import structlog

from fhir_gateway.model.ids import SourceName
from fhir_gateway.services.search.offering_index import Numbers, OfferingIndex
from fhir_gateway.stores.redis_client import StoreUnavailable
from fhir_gateway.stores.refresh_hint import RefreshHint, RefreshHints

__all__ = ["SearchHints"]

_log = structlog.get_logger()

_EVERY_S: Final = 1.0
_MOST_NOTES: Final = 256
_MOST_HINTS: Final = 500


class SearchHints:
    """
    Collects the time types with ageing times that clients searched for.

    Args:
        hints: Where the workers read the hints.
    """

    def __init__(self, hints: RefreshHints) -> None:
        self._hints = hints
        # Appending and taking are atomic, and the oldest note goes first when full.
        self._notes: deque[tuple[SourceName, OfferingIndex, Numbers]] = deque(
            maxlen=_MOST_NOTES
        )
        self._is_away = False
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def note(self, source: SourceName, index: OfferingIndex, numbers: Numbers) -> None:
        """Note time types of a source, by their numbers in an index; never waits."""
        self._notes.append((source, index, numbers))

    def start(self) -> None:
        """Send the notes, in a thread of its own, until `stop`."""
        self._thread = threading.Thread(
            target=self._run, name="search-hints", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop sending; returns when the thread has ended."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def send(self) -> None:
        """Send the notes as hints; drop those that cannot be sent."""
        noted: dict[SourceName, set[RefreshHint]] = {}
        while self._notes:
            source, index, numbers = self._notes.popleft()
            hints = noted.setdefault(source, set())
            for number in numbers[: _MOST_HINTS - len(hints)].tolist():
                offering = index.offering(number)
                hints.add((offering.unit.hsa_id, offering.time_type.id))
        try:
            for source, hints in noted.items():
                self._hints.add(source, hints)
        except StoreUnavailable as error:
            if not self._is_away:
                _log.warning("searches cannot send refresh hints", reason=str(error))
            self._is_away = True
        else:
            self._is_away = self._is_away and not noted

    def _run(self) -> None:
        while not self._stopped.wait(_EVERY_S):
            self.send()
