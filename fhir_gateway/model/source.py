"""
A source: a region's booking system as it is configured, and the outcome of asking it.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from fhir_gateway.model.care_unit import CareUnit
from fhir_gateway.model.engagement import IndexedSource
from fhir_gateway.model.ids import CountyCode, HsaId, LogicalAddress, SourceName
from fhir_gateway.model.person import PersonalIdentityNumber

__all__ = [
    "Aggregate",
    "Budget",
    "Mode",
    "Source",
    "SourceOutcome",
    "SourceProblem",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """
    How many calls a source may get.

    The contract allows one call per second and producer.
    """

    calls_per_second: float = 1.0
    calls_in_flight: int = 2


class Mode(Enum):
    """When a source is asked for its free times."""

    CACHED = "cached"
    LIVE = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """
    A configured source.

    Attributes:
        title: Its name for people.
        prefixes: The HSA-id prefixes it answers for; the longest prefix wins.
        units: The units it answers for.
        units_from: A unit that this server asks for further ones
            (GetAllHealthcareFacilities).
        agent: The HSA-id of the refresh's actor.
        refresh_subject: The number agreed with the source for the refresh: the schema
            requires a subject of care even from an agent. Never a resident's.
        schedule_address: The address where one call returns a resident's bookings at
            all units of the source; None when each unit must be asked.
        horizon: How far ahead this server stores its free times.
        window: The longest period that it accepts in one call.
        read_timeout: The time limit of a read.
        write_timeout: The time limit of a write: longer than the service platform's own
            30 s, so that the platform's answer arrives first.
        settles_within: How long after the sending a write may still take effect: the
            service platform tries a producer twice, 29 s each and 2 s apart.
        writes_in_flight: How many bookings, moves and cancellations one process sends
            to it at once.
        fresh_for: The greatest age of free times that are served without a staleness
            warning.
        offered_for: The greatest age of free times that are served at all, with a
            warning.
        reason_limit: How many characters of a resident's reason it stores.
        mode: Whether this server stores its free times, or asks for them within each
            search.
        live_timeout: How long a search waits for it, where searches ask it.
        live_calls: How many calls one search may send to it, likewise.
        most_slots: How many free times one unit's time type can have; this server
            rejects an answer with more.
        indexed: What its posts in the engagement index have in common; None where it
            keeps the index itself.
        phone: Whom a resident can call about their bookings; None for the units.
        county: The county of its units, if the operator has named it.
    """

    name: SourceName
    title: str
    prefixes: tuple[str, ...]
    agent: HsaId
    refresh_subject: PersonalIdentityNumber
    units: tuple[CareUnit, ...] = ()
    units_from: HsaId | None = None
    schedule_address: LogicalAddress | None = None
    budget: Budget = field(default_factory=Budget)
    horizon: timedelta = timedelta(days=90)
    window: timedelta = timedelta(days=90)
    read_timeout: timedelta = timedelta(seconds=8)
    write_timeout: timedelta = timedelta(seconds=32)
    settles_within: timedelta = timedelta(seconds=90)
    writes_in_flight: int = 8
    fresh_for: timedelta = timedelta(minutes=10)
    offered_for: timedelta = timedelta(minutes=30)
    reason_limit: int | None = None
    mode: Mode = Mode.CACHED
    live_timeout: timedelta = timedelta(seconds=5)
    live_calls: int = 20
    most_slots: int = 20_000
    indexed: IndexedSource | None = None
    phone: str | None = None
    county: CountyCode | None = None

    @property
    def is_live(self) -> bool:
        """Return whether this server never stores its free times."""
        return self.mode is Mode.LIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """
    An aggregating service (`aggregerande tjänst`) over several sources.

    It asks the units that an engagement index names for a resident, and joins their
    lists (GetSubjectOfCareSchedule, addressed to the service itself).

    Attributes:
        title: Its name for people.
        address: Its logical address.
        sources: The sources with units that it asks.
        read_timeout: The time limit of a call.
        phone: Whom a resident can call about their bookings; None for the units.
    """

    name: SourceName
    title: str
    address: LogicalAddress
    sources: frozenset[SourceName]
    read_timeout: timedelta = timedelta(seconds=8)
    phone: str | None = None


class SourceProblem(Enum):
    """
    Why a source's part of an answer is missing or incomplete.

    CACHED: it is from an aggregating service's cache, as of a known time.
    NOT_ASKED: this server leaves it out by design.
    """

    NOT_YET_ASKED = "not-yet-asked"
    UNAVAILABLE = "unavailable"
    STALE = "stale"
    CACHED = "cached"
    INCOMPLETE = "incomplete"
    NOT_ASKED = "not-asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOutcome:
    """
    One source's missing or incomplete part of an answer, to be reported to the client.

    "No times" and "could not ask" never look alike: each missing part of an answer has
    one of these.

    Attributes:
        detail: One sentence for the client.
        since: When the source last answered, if ever.
    """

    source: SourceName
    problem: SourceProblem
    detail: str
    since: datetime | None = None

    @property
    def is_missing(self) -> bool:
        """Return whether a part is missing that there would be on a better day."""
        return self.problem not in (SourceProblem.NOT_ASKED, SourceProblem.CACHED)
