"""
Real make-believe regions, with an adapter for each.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import requests
from builders import NOW, subject
from doubles import MovableClock

from fhir_gateway.adapters.scheduling_1_1 import Scheduling11, scheduling_1_1
from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.interaction import Actor
from fhir_gateway.model.scheduling import GetAvailableTimeslots, MakeBooking
from fhir_gateway.model.timekeeping import civil_date
from fhir_gateway.model.timeslot import FreeTimes, Timeslot
from fhir_gateway.sandbox.catalogue import SandboxRegion
from fhir_gateway.sandbox.server import SandboxServer

TIMEOUT_S = 5.0


@dataclass
class AskedRegion:
    """A region, its adapter, and its own pages."""

    server: SandboxServer
    catalogue: SandboxRegion
    adapter: Scheduling11

    @property
    def unit(self) -> HsaId:
        """Return its first unit."""
        return self.catalogue.units[0].hsa_id

    def time_type(self, key: str = "covid") -> TimeTypeId:
        """Return what the first unit calls a time type."""
        return next(
            each.id for each in self.catalogue.units[0].time_types if each.key == key
        )

    def free_times(self, *, timeout: float = TIMEOUT_S, **changed: Any) -> FreeTimes:
        """Ask the first unit for its free times, ninety days ahead."""
        fields: dict[str, Any] = {
            "unit": self.unit,
            "actor": Actor.agent(self.catalogue.agent),
            "subject_of_care": subject().number,
            "first_day": civil_date(NOW),
            "last_day": civil_date(NOW) + timedelta(days=89),
            "time_type_id": self.time_type(),
        }
        return self.adapter.get_available_timeslots(
            GetAvailableTimeslots(**fields | changed), timeout=timeout
        )

    def make_request(self, timeslot: Timeslot, who: int = 0) -> MakeBooking:
        """Return what books a time for the person of that ordinal."""
        return MakeBooking(timeslot=timeslot, subject_of_care=subject(who))

    def spoil(self, fault: str, **fields: Any) -> None:
        """Order a fault."""
        answer = requests.post(
            f"{self.server.url}/faults/{self.catalogue.name}",
            json={"fault": fault, **fields},
            timeout=TIMEOUT_S,
        )
        assert answer.status_code == 201, answer.text

    def ledger(self) -> dict[str, Any]:
        """Return what it was told to do."""
        answer = requests.get(
            f"{self.server.url}/ledger/{self.catalogue.name}", timeout=TIMEOUT_S
        )
        found: dict[str, Any] = answer.json()
        return found

    def writes(self, who: int = 0) -> list[tuple[str, str, bool]]:
        """Return what it was told to do for a person, and what came of it."""
        return [
            (row["interaction"], row["result"], row["done"])
            for row in self.ledger()["writes"]
            if row["subject_of_care"] == subject(who).number.reveal()
        ]


OPTIONS = {"mitt": {"refusal_faults": ["^resultCode: 30[0-9]{2} "]}}


def asked_region(server: SandboxServer, name: str) -> AskedRegion:
    """Return a region with an adapter."""
    adapter = scheduling_1_1(
        SourceName(name), {"endpoint": server.endpoint(name), **OPTIONS.get(name, {})}
    )
    catalogue = next(each for each in server.regions() if each.name == name)
    return AskedRegion(server, catalogue, adapter)


@pytest.fixture(name="sandbox_at_rest", scope="module")
def _sandbox_at_rest() -> Iterator[SandboxServer]:
    """Give the regions with a clock that stands still."""
    with SandboxServer(port=0, slots=1_000, clock=MovableClock(NOW)) as server:
        yield server


@pytest.fixture(name="asked", params=["norr", "mitt", "syd"])
def _asked(
    sandbox_at_rest: SandboxServer, request: pytest.FixtureRequest
) -> Iterator[AskedRegion]:
    asked = asked_region(sandbox_at_rest, request.param)
    yield asked
    asked.adapter.close()
    requests.delete(
        f"{sandbox_at_rest.url}/faults/{request.param}", timeout=TIMEOUT_S
    ).close()
