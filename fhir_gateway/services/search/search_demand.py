"""
Demand of searches: which ageing times they drew, told to the workers now and then.

A search only leaves a note. A thread of its own tells what was noted; when it cannot,
or notes come too fast, some are lost and nothing else happens.
"""

import threading
from collections import deque
from typing import Final

import structlog

from fhir_gateway.model.ids import SourceName
from fhir_gateway.services.search.offering_index import Numbers, OfferingIndex
from fhir_gateway.stores.demand import Demand, Wanted
from fhir_gateway.stores.redis_client import StoreUnavailable

__all__ = ["SearchDemand"]

_log = structlog.get_logger()

_EVERY_S: Final = 1.0
_MOST_NOTES: Final = 256
_MOST_WANTED: Final = 500


class SearchDemand:
    """
    Gathers what searches want to be younger.

    Args:
        demand: Where it is told.
    """

    def __init__(self, demand: Demand) -> None:
        self._demand = demand
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
        """Tell what was noted, in a thread of its own, until `stop`."""
        self._thread = threading.Thread(
            target=self._run, name="search-demand", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop telling; returns when the thread has ended."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def tell(self) -> None:
        """Tell what was noted; what cannot be told is dropped."""
        noted: dict[SourceName, set[Wanted]] = {}
        while self._notes:
            source, index, numbers = self._notes.popleft()
            wanted = noted.setdefault(source, set())
            for number in numbers[: _MOST_WANTED - len(wanted)].tolist():
                offering = index.offering(number)
                wanted.add((offering.unit.hsa_id, offering.time_type.id))
        try:
            for source, wanted in noted.items():
                self._demand.add(source, wanted)
        except StoreUnavailable as error:
            if not self._is_away:
                _log.warning("searches cannot tell their demand", reason=str(error))
            self._is_away = True
        else:
            self._is_away = self._is_away and not noted

    def _run(self) -> None:
        while not self._stopped.wait(_EVERY_S):
            self.tell()
