"""
Simulated regions, for tests of an adapter for crm:scheduling 1.1.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from types import TracebackType
from typing import Final, Self

import requests

from fhir_gateway.adapters.protocol import SchedulingAdapter
from fhir_gateway.model.ids import HsaId, TimeTypeId
from fhir_gateway.model.person import SubjectOfCare
from fhir_gateway.model.timekeeping import civil_date
from fhir_gateway.sandbox.catalogue import SandboxRegion
from fhir_gateway.sandbox.server import SandboxServer
from fhir_gateway.testing.resident import resident
from fhir_gateway.testing.source_under_test import Failure

__all__ = ["FakeRegion", "FakeRegions"]

_NOW: Final = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
_SLOTS: Final = 1_000
_TIMEOUT_S: Final = 5.0
_FAULTS: Final[dict[Failure, dict[str, object]]] = {
    Failure.SILENCE: {"fault": "hang", "seconds": 5},
    Failure.BROKEN_CONNECTION: {"fault": "drop-before-processing"},
    Failure.FAULT: {"fault": "vp-fault", "code": "VP009"},
    Failure.UNREADABLE_ANSWER: {"fault": "deliver-nothing"},
    Failure.LOST_ANSWER: {"fault": "drop-after-processing"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeRegion:
    """
    A simulated region as a `SourceUnderTest`.

    Attributes:
        url: The server's URL, with pages for fault rules and for the ledger.
        catalogue: Its units, time types and staff.
        adapter: The adapter under test.
        now: The time of its clock, which stands still.
    """

    url: str
    catalogue: SandboxRegion
    adapter: SchedulingAdapter
    now: datetime
    residents: Iterator[int] = field(default_factory=lambda: count(100))

    @property
    def unit(self) -> HsaId:
        """Return its first unit."""
        return self.catalogue.units[0].hsa_id

    @property
    def time_type_id(self) -> TimeTypeId:
        """Return the first unit's time type id of a vaccination."""
        return self.time_type("covid")

    @property
    def agent(self) -> HsaId:
        """Return the HSA-id that asks for lists."""
        return self.catalogue.agent

    @property
    def first_day(self) -> date:
        """Return the day of its clock."""
        return civil_date(self.now)

    @property
    def last_day(self) -> date:
        """Return the last of ninety days."""
        return self.first_day + timedelta(days=89)

    @property
    def empty_day(self) -> date:
        """Return the next Sunday."""
        return self.first_day + timedelta(days=6 - self.first_day.weekday())

    def time_type(self, key: str) -> TimeTypeId:
        """Return the first unit's time type with a key of the catalogue."""
        return next(
            each.id for each in self.catalogue.units[0].time_types if each.key == key
        )

    def new_resident(self) -> SubjectOfCare:
        """Return a resident without bookings."""
        return resident(next(self.residents))

    def fail(self, failure: Failure) -> None:
        """Let the region fail at the next call."""
        self.add_fault(**_FAULTS[failure], count=1)

    def add_fault(self, **fault: object) -> None:
        """Add a fault rule, with the fields of the sandbox's page `/faults`."""
        answer = requests.post(
            f"{self.url}/faults/{self.catalogue.name}", json=fault, timeout=_TIMEOUT_S
        )
        answer.raise_for_status()

    def clear_faults(self) -> None:
        """Remove all fault rules."""
        requests.delete(
            f"{self.url}/faults/{self.catalogue.name}", timeout=_TIMEOUT_S
        ).raise_for_status()

    def writes_received(self, resident: SubjectOfCare) -> int:
        """Return the number of writes about a resident."""
        return len(self.writes(resident))

    def writes(self, resident: SubjectOfCare) -> list[tuple[str, str, bool]]:
        """Return the name, result and "done" of each write about a resident."""
        answer = requests.get(
            f"{self.url}/ledger/{self.catalogue.name}", timeout=_TIMEOUT_S
        )
        answer.raise_for_status()
        return [
            (row["interaction"], row["result"], row["done"])
            for row in answer.json()["writes"]
            if row["subject_of_care"] == resident.number.reveal()
        ]


class FakeRegions:
    """
    A server with the sandbox's regions, and a clock that stands still.

    It is a context manager: the server listens on loopback until the exit.

    Args:
        now: The time of the clock.
        slots: The approximate number of free times of all regions together.
    """

    def __init__(self, *, now: datetime = _NOW, slots: int = _SLOTS) -> None:
        self._now = now
        self._server = SandboxServer(port=0, slots=slots, clock=lambda: now)
        self._residents = count(100)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.stop()

    def region(
        self, name: str, adapter: Callable[[str], SchedulingAdapter]
    ) -> FakeRegion:
        """
        Return a region with an adapter for its endpoint.

        Args:
            name: The name of the region: "norr", "mitt" or "syd".
            adapter: Makes the adapter, given the region's SOAP endpoint.
        """
        return FakeRegion(
            url=self._server.url,
            catalogue=next(
                each for each in self._server.regions() if each.name == name
            ),
            adapter=adapter(self._server.endpoint(name)),
            now=self._now,
            residents=self._residents,
        )
