"""
A gateway that runs over real simulated regions, and how a test handles it.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

from redis import Redis

from fhir_gateway.bootstrap import Program, program
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.ids import BookingId, HsaId
from fhir_gateway.model.interaction import Actor
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.scheduling import CancelBooking, MakeBooking
from fhir_gateway.model.timekeeping import now
from fhir_gateway.model.timeslot import Timeslot, TimeslotToken
from fhir_gateway.sandbox.server import SandboxServer
from fhir_gateway.sandbox_sources import write_sources
from fhir_gateway.settings import Settings
from fhir_gateway.stores.slot_block import BlockKey

__all__ = [
    "BASE_URL",
    "REGIONS",
    "SLOTS",
    "OtherPrograms",
    "Sandbox",
    "cancel_elsewhere",
    "fill",
    "let_answers_last",
    "numbers_of_test_persons",
    "own_regions",
    "sell_elsewhere",
    "write_fast_sources",
    "write_lasting_sources",
]

SLOTS: Final = 2_600
REGIONS: Final = ("norr", "mitt", "syd")
BASE_URL: Final = "http://gateway.test/fhir"


@dataclass
class Sandbox:
    """The regions, and what a test asks of them over HTTP."""

    server: SandboxServer
    spoilt: set[str] = field(default_factory=set)

    def spoil(self, region: str, fault: str, **options: Any) -> None:
        """Let calls to a region go wrong from now on."""
        self._call(f"/faults/{region}", {"fault": fault, **options})
        self.spoilt.add(region)

    def heal(self) -> None:
        """Let every region answer as it should."""
        for region in self.spoilt:
            self._call(f"/faults/{region}", method="DELETE")
        self.spoilt.clear()

    def ledger(self, region: str) -> dict[str, Any]:
        """Return the writes that a region received."""
        return self._call(f"/ledger/{region}")

    def writes(self, region: str, number: str) -> list[dict[str, Any]]:
        """Return the writes that a region received for a person, oldest first."""
        return [
            row
            for row in self.ledger(region)["writes"]
            if row["subject_of_care"] == number
        ]

    def invite(self, region: str, number: str, **order: Any) -> dict[str, Any]:
        """Let a region invite a resident; return the invitation, as in its ledger."""
        return self._call(
            f"/invitations/{region}", {"subject_of_care": number, **order}
        )

    def withdraw(self, region: str, booking_id: str) -> None:
        """Let a region take an open invitation back."""
        self._call(f"/invitations/{region}/{booking_id}", method="DELETE")

    def _call(
        self, path: str, body: object = None, *, method: str | None = None
    ) -> dict[str, Any]:
        request = Request(
            self.server.url + path,
            data=None if body is None else json.dumps(body).encode(),
            method=method,
        )
        with urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


def write_fast_sources(folder: Path, server: SandboxServer) -> Path:
    """Write a file of sources that are asked as fast as they answer; return it."""
    sources = write_sources(folder, server.url, SLOTS, Vocabulary())
    sources.write_text(
        sources.read_text(encoding="utf-8").replace(
            "calls_per_second = 20", "calls_per_second = 1000"
        ),
        encoding="utf-8",
    )
    return sources


def write_lasting_sources(folder: Path, server: SandboxServer) -> Path:
    """
    Write a file of sources with answers that stay fresh for longer than any test run.

    The common gateway asks once, at the start of a run.
    """
    return let_answers_last(write_fast_sources(folder, server))


def let_answers_last(sources: Path) -> Path:
    """Let answers stay fresh for hours, in a file of fast sources; return it."""
    sources.write_text(
        sources.read_text(encoding="utf-8").replace(
            "calls_per_second = 1000",
            "calls_per_second = 1000\nfresh_for_s = 14400\noffered_for_s = 28800",
        ),
        encoding="utf-8",
    )
    return sources


@contextmanager
def own_regions(folder: Path) -> Iterator[tuple[Sandbox, Path]]:
    """
    Give regions that nobody else books at, and the file that makes them sources.

    What another gateway has booked at the common regions, the common gateway would go
    on offering until its next refresh.
    """
    with SandboxServer(port=0, slots=SLOTS) as server:
        yield Sandbox(server), write_fast_sources(folder, server)


def fill(made: Program) -> None:
    """Ask every source for everything once, and let the view know."""
    with ThreadPoolExecutor() as executor:
        list(executor.map(lambda refresh: refresh.run_once(), made.refreshes))
    made.view.catch_up()


@dataclass
class OtherPrograms:
    """Gateways of their own, for tests that need one in another state."""

    settings: Settings
    redis_url: str
    started: int = 0

    @contextmanager
    def start(
        self, *, clock: Callable[[], datetime] = now, **changes: Any
    ) -> Iterator[Program]:
        """Give a gateway with an empty journal, that knows no free time yet."""
        self.started += 1
        folder = self.settings.data_dir / f"other-{self.started}"
        settings = replace(
            self.settings,
            data_dir=folder,
            database_url=f"sqlite:///{folder / 'journal.sqlite'}",
            **changes,
        )
        # A Redis has sixteen databases; the first is that of the common gateway.
        redis_url = f"{self.redis_url}?db={1 + self.started % 15}"
        with Redis.from_url(redis_url) as redis:
            redis.flushdb()
        with program(settings, redis_url, clock=clock) as made:
            yield made


def sell_elsewhere(made: Program, slot: str, number: str) -> None:
    """
    Book a slot behind the gateway's back, as a unit does by telephone.

    The common gateway asks once in a test run, so the slot leaves its block here: no
    other test is to be offered it.
    """
    token = TimeslotToken.parse(slot)
    known = made.view.snapshot.known(token.schedule)
    assert known is not None
    (adapter,) = (
        each.adapter
        for each in made.sources
        if token.unit.startswith(each.source.prefixes)
    )
    result = adapter.make_booking(
        MakeBooking(
            timeslot=Timeslot(
                schedule=known.schedule,
                start=token.starts_at,
                end=token.ends_at,
            ),
            subject_of_care=SubjectOfCare(
                number=PersonalIdentityNumber(number),
                first_name="Annan",
                last_name="Testlund",
            ),
        ),
        timeout=10,
    )
    assert result.is_done
    (block,) = made.store.blocks(
        [
            BlockKey(
                source=known.source,
                unit=token.unit,
                time_type_id=known.schedule.time_type_id,
            )
        ]
    )
    assert block is not None
    schedules = [each.token for each in block.schedules]
    sold = (block.rows["start"] == token.start) & (
        block.rows["schedule"] == schedules.index(token.schedule)
    )
    made.store.put_block(replace(block, rows=block.rows[~sold]))
    made.view.catch_up()


def cancel_elsewhere(made: Program, booked: dict[str, Any], number: str) -> None:
    """Cancel an Appointment behind the gateway's back, as a unit does by telephone."""
    (identifier,) = booked["identifier"]
    unit = HsaId(identifier["system"].rpartition("/")[2])
    (adapter,) = (
        each.adapter for each in made.sources if unit.startswith(each.source.prefixes)
    )
    result = adapter.cancel_booking(
        CancelBooking(
            unit=unit,
            booking_id=BookingId(identifier["value"]),
            actor=Actor.resident(PersonalIdentityNumber(number)),
        ),
        timeout=10,
    )
    assert result.is_done


def numbers_of_test_persons(year: int = 1975) -> Iterator[str]:
    """Yield numbers that no resident has: Skatteverket keeps serials from 980."""
    for month in range(1, 13):
        for day in range(1, 29):
            for serial in range(980, 1000):
                yield _with_check_digit(f"{year}{month:02}{day:02}{serial}")


def _with_check_digit(digits: str) -> str:
    for digit in range(10):
        with suppress(ValueError):
            return PersonalIdentityNumber(f"{digits}{digit}").reveal()
    raise AssertionError(digits)
