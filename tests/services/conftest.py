"""
Two places to book at: real regions with everything real, and a desk without a wire.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import requests
from builders import NOW, TOLVAN, catalogue, source, subject, timeslot
from doubles import (
    AnsweringAdapter,
    MemoryRefreshHints,
    MemorySightings,
    MovableClock,
)
from granting import DemoBooking, DemoResidents, demo_grant

from fhir_gateway.adapters.protocol import SchedulingAdapter
from fhir_gateway.bootstrap import Program, program
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.found_booking import FoundBooking
from fhir_gateway.model.ids import HsaId, SourceName
from fhir_gateway.model.interaction import Actor
from fhir_gateway.model.scheduling import GetAvailableTimeslots
from fhir_gateway.model.source import Aggregate, Source
from fhir_gateway.model.timekeeping import civil_date, now
from fhir_gateway.model.timeslot import Timeslot, TimeslotToken
from fhir_gateway.sandbox.server import SandboxServer
from fhir_gateway.sandbox_sources import write_sources
from fhir_gateway.services.booking.booking import BookingService
from fhir_gateway.services.booking.bulkhead import Bulkhead
from fhir_gateway.services.booking.read_back import ReadBack
from fhir_gateway.services.booking.reconciliation import Reconciliation
from fhir_gateway.services.booking.request import BookingRequest, MoveRequest
from fhir_gateway.services.booking.settlement import Settlement
from fhir_gateway.services.engagement.resident_posts import NoIndex, ResidentPosts
from fhir_gateway.services.resident.care_relations import CareRelations, NamesUnits
from fhir_gateway.services.resident.resident_bookings import ResidentBookings
from fhir_gateway.services.search.slot_search import SlotSearch
from fhir_gateway.services.source.directory import Directory
from fhir_gateway.services.source.loss_log import ResidentLossLog
from fhir_gateway.services.source.recheck import Recheck
from fhir_gateway.services.source.source_access import SourceAccess
from fhir_gateway.settings import Settings
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.embedded_redis import EmbeddedRedis
from fhir_gateway.stores.journal import Journal, WriteIntent
from fhir_gateway.stores.migrations import migrate
from fhir_gateway.stores.sealing import Seal
from fhir_gateway.stores.source_catalogue import SourceCatalogue

# Every booking of every test is of a time of its own.
SLOTS = 4_000
TIMEOUT_S = 10.0

# Each test books for a person of its own.
_PEOPLE = count(1000)


@pytest.fixture(name="who")
def _who() -> int:
    """Give the ordinal of a person that no other test has."""
    return next(_PEOPLE)


@pytest.fixture(name="somebody")
def _somebody() -> Callable[[], int]:
    """Return the giver of further persons."""
    return lambda: next(_PEOPLE)


class CountingNotice:
    """Counts how often searches were made to follow the claimed places."""

    def __init__(self) -> None:
        self.shown = 0

    def show_changed_places(self) -> None:
        """Count once more."""
        self.shown += 1


class Desk:
    """What books, reads, moves and cancels, over any sources."""

    def __init__(
        self,
        sources: dict[SourceName, Source],
        adapters: dict[SourceName, SchedulingAdapter],
        directory: Callable[[], Directory],
        journal: Journal,
        clock: MovableClock,
        *,
        aggregates: Mapping[SourceName, Aggregate] = MappingProxyType({}),
        posts: ResidentPosts | None = None,
        listed: NamesUnits | None = None,
    ) -> None:
        self.journal = journal
        self.clock = clock
        self.adapters = adapters
        self.rechecks = MemoryRefreshHints()
        self.sightings = MemorySightings()
        self.unlisted: set[str] = set()
        self.access = SourceAccess(
            sources,
            adapters,
            directory,
            Recheck(self.rechecks),
            lacks=lambda token: token.text in self.unlisted,
            losses=ResidentLossLog(self.sightings, clock=clock),
            aggregates=aggregates,
        )
        self.read_back = ReadBack(self.access, journal, clock=clock)
        self.settlement = Settlement(self.access, journal, self.read_back, clock=clock)
        self.search_notice = CountingNotice()
        self.bulkhead = Bulkhead(sources, clock=clock)
        service = BookingService(
            self.access,
            journal,
            self.read_back,
            self.settlement,
            self.bulkhead,
            search_notice=self.search_notice,
            clock=clock,
        )
        self.booking = DemoBooking(service)
        self.relations = CareRelations(
            self.access, journal, posts=posts or NoIndex(), listed=listed
        )
        self.found: list[tuple[FoundBooking, ...]] = []
        self.residents = DemoResidents(
            ResidentBookings(
                self.access,
                journal,
                service.current,
                self.settlement,
                self.relations,
                invitations=service.invitations,
                count_found=self.found.append,
                clock=clock,
            )
        )
        self.reconciliation = Reconciliation(self.settlement, journal)

    def book(self, of: Timeslot, who: int, **changed: Any) -> Any:
        """Book a time for the person of that ordinal."""
        return self.booking.book(
            BookingRequest(
                token=TimeslotToken.parse(of.token),
                subject=subject(who),
                grant=demo_grant(subject(who).number),
                **changed,
            )
        )

    def move(self, booking: str, to: Timeslot, **changed: Any) -> Any:
        """Move a booking."""
        version = changed.pop("version", None)
        return self.booking.move(
            booking,
            MoveRequest(
                token=TimeslotToken.parse(to.token),
                grant=demo_grant(self.journal.lookups.get(booking).number),
                **changed,
            ),
            version=version,
        )

    def is_held(self, of: Timeslot) -> bool:
        """Return whether a time is promised away here."""
        return of.token in self.held()

    def held(self) -> Mapping[str, int]:
        """Return how many places of each time are promised away here."""
        live = self.journal.places.read_live(starting_after=NOW)
        return {token: len(claims) for token, claims in live.held.items()}

    def undecided(self, booking: str) -> WriteIntent:
        """Return the write that nobody knows the outcome of."""
        intent = self.journal.lookups.find_pending(booking)
        assert intent is not None
        return intent

    def later(self, intent: WriteIntent, **duration: float) -> None:
        """Let so much time pass since a write was sent."""
        assert intent.sent_at is not None
        self.clock.instant = intent.sent_at
        self.clock.forward(**duration)


@dataclass
class Wireless:
    """
    A desk over adapters without a wire, and what a test says of them.

    Attributes:
        adapter: Norr's.
        catalogues: What the sources offer.
    """

    desk: Desk
    adapter: AnsweringAdapter
    sources: dict[SourceName, Source]
    catalogues: dict[SourceName, SourceCatalogue]

    def coming(self, hours: float = 24, **changed: Any) -> Timeslot:
        """Return a time so many hours ahead."""
        start = self.desk.clock().replace(minute=0, second=0, microsecond=0)
        return timeslot(hours, after=start, **changed)

    def lists(self, *listed: Timeslot) -> None:
        """Let the source list these times and no others."""
        self.adapter.timeslots = list(listed)


@pytest.fixture(name="empty_journal", scope="session")
def _empty_journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("journal") / "empty.sqlite"
    database = Database(f"sqlite:///{path}")
    migrate(database.engine)
    database.close()
    return path


@pytest.fixture(name="seal", scope="session")
def _seal() -> Seal:
    return Seal((Seal.new_key(),))


@pytest.fixture(name="own_database")
def _own_database(empty_journal: Path, tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "journal.sqlite"
    shutil.copy(empty_journal, path)
    database = Database(f"sqlite:///{path}")
    yield database
    database.close()


@pytest.fixture(name="own_journal")
def _own_journal(own_database: Database, seal: Seal) -> Journal:
    return Journal(own_database, seal)


MakeWireless = Callable[..., Wireless]


@pytest.fixture(name="make_wireless")
def _make_wireless(own_journal: Journal) -> MakeWireless:
    """Return the maker of a desk over given adapters, the first of them norr's."""

    def make(
        *adapters: AnsweringAdapter,
        sources: tuple[Source, ...] = (),
        catalogues: tuple[SourceCatalogue, ...] = (),
        aggregates: tuple[Aggregate, ...] = (),
        posts: ResidentPosts | None = None,
        listings: NamesUnits | None = None,
    ) -> Wireless:
        known = adapters or (AnsweringAdapter(),)
        by_name = {each.name: each for each in sources or (source(),)}
        listed = {each.source: each for each in catalogues or (catalogue(),)}
        desk = Desk(
            by_name,
            {each.name: each for each in known},
            lambda: Directory.of(by_name.values(), listed, {}),
            own_journal,
            MovableClock(now()),
            aggregates={each.name: each for each in aggregates},
            posts=posts,
            listed=listings,
        )
        return Wireless(desk, known[0], by_name, listed)

    return make


@pytest.fixture(name="wireless")
def _wireless(make_wireless: MakeWireless) -> Wireless:
    return make_wireless()


@dataclass
class RealWorld:
    """Three regions over real SOAP, a real journal, a real Redis."""

    server: SandboxServer
    program: Program
    desk: Desk
    redis_url: str
    spoilt: set[str] = field(default_factory=set)

    @property
    def search(self) -> SlotSearch:
        """Return a search over the program's view."""
        return SlotSearch(
            self.program.view, self.desk.access.sources, clock=self.desk.clock
        )

    def unit_with(self, region: str, key: str) -> tuple[HsaId, Any]:
        """Return the first unit that offers a time type, and the type."""
        catalogue = next(each for each in self.server.regions() if each.name == region)
        return next(
            (unit.hsa_id, each)
            for unit in catalogue.units
            for each in unit.time_types
            if each.key == key
        )

    def free(self, region: str, key: str = "covid") -> list[Timeslot]:
        """Return the times that the region lists and nobody holds here."""
        held = self.desk.held()
        return [each for each in self.listed(region, key) if each.token not in held]

    def listed(self, region: str, key: str = "covid") -> list[Timeslot]:
        """Return the free times of a time type at the first unit that has it."""
        unit, time_type = self.unit_with(region, key)
        name = SourceName(region)
        configured = self.desk.access.sources[name]
        today = civil_date(self.desk.clock())
        answer = self.desk.adapters[name].get_available_timeslots(
            GetAvailableTimeslots(
                unit=unit,
                actor=Actor.agent(configured.agent),
                subject_of_care=TOLVAN,
                first_day=today,
                last_day=civil_date(self.desk.clock() + configured.horizon),
                time_type_id=time_type.id,
            ),
            timeout=TIMEOUT_S,
        )
        return list(answer.timeslots)

    def is_free(self, of: Timeslot, region: str, key: str = "covid") -> bool:
        """Return whether the region lists a time."""
        return of.token in {each.token for each in self.listed(region, key)}

    def spoil(self, region: str, fault: str, **fields: Any) -> None:
        """Order a fault."""
        with requests.post(
            f"{self.server.url}/faults/{region}",
            json={"fault": fault, **fields},
            timeout=TIMEOUT_S,
        ) as answer:
            assert answer.status_code == 201, answer.text
        self.spoilt.add(region)

    def heal(self) -> None:
        """Forget every fault."""
        for region in self.spoilt:
            requests.delete(
                f"{self.server.url}/faults/{region}", timeout=TIMEOUT_S
            ).close()
        self.spoilt.clear()

    def ledger(self, region: str) -> dict[str, Any]:
        """Return the writes that a region received, and what is booked."""
        with requests.get(
            f"{self.server.url}/ledger/{region}", timeout=TIMEOUT_S
        ) as answer:
            found: dict[str, Any] = answer.json()
        return found

    def writes(self, region: str, who: int) -> list[tuple[str, str]]:
        """Return the writes that a region received for a person, with the result."""
        return [
            (row["interaction"], row["result"])
            for row in self.ledger(region)["writes"]
            if row["subject_of_care"] == subject(who).number.reveal()
        ]

    def in_the_book(self, region: str, who: int) -> list[str]:
        """Return the ids of a person's bookings in a region's book."""
        return [
            row["booking_id"]
            for row in self.ledger(region)["bookings"]
            if row["subject_of_care"] == subject(who).number.reveal()
        ]


@pytest.fixture(name="real_world", scope="session")
def _real_world() -> Iterator[RealWorld]:
    # Not tmp_path_factory's: the socket of Redis needs a short path.
    folder = Path(tempfile.mkdtemp(prefix="desk-"))
    clock = MovableClock(now())
    try:
        with (
            SandboxServer(port=0, slots=SLOTS, clock=clock) as server,
            EmbeddedRedis(folder) as embedded,
        ):
            settings = Settings.from_environment(
                {
                    "FHIR_GATEWAY_SOURCES": str(_sources(folder, server)),
                    "FHIR_GATEWAY_DATA_DIR": str(folder / "data"),
                }
            )
            with program(settings, embedded.url, clock=clock) as made:
                for refresh in made.refreshes:
                    refresh.run_once()
                made.view.catch_up()
                desk = Desk(
                    {each.source.name: each.source for each in made.sources},
                    {each.source.name: each.adapter for each in made.sources},
                    lambda: made.view.snapshot.directory,
                    made.journal,
                    clock,
                )
                yield RealWorld(server, made, desk, embedded.url)
    finally:
        shutil.rmtree(folder)


def _sources(folder: Path, server: SandboxServer) -> Path:
    """Write the regions' sources, with timeouts that a test can wait for."""
    path = write_sources(folder, server.url, SLOTS, Vocabulary())
    path.write_text(
        path.read_text(encoding="utf-8")
        .replace("calls_per_second = 20", "calls_per_second = 1000")
        .replace(
            "calls_in_flight = 4\n",
            "calls_in_flight = 4\nread_timeout_s = 4\nwrite_timeout_s = 1\n",
        ),
        encoding="utf-8",
    )
    return path


@pytest.fixture(name="world")
def _world(real_world: RealWorld) -> Iterator[RealWorld]:
    """Give the real world without faults, at the present moment."""
    began = real_world.desk.clock()
    yield real_world
    real_world.heal()
    real_world.desk.clock.instant = began
