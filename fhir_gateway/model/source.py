"""
A source: a region's booking system as it is configured, and what became of asking it.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from fhir_gateway.model.care_unit import CareUnit
from fhir_gateway.model.ids import HsaId, LogicalAddress, SourceName
from fhir_gateway.model.person import PersonalIdentityNumber

__all__ = ["Budget", "Mode", "Source", "SourceOutcome", "SourceProblem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """
    How much a source may be asked.

    The contract's load figure is one call a second and producer.
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
        title: What people call it.
        prefixes: The HSA-id prefixes it answers for; the longest prefix wins.
        units: The units it answers for.
        units_from: A unit that is asked for further ones (GetAllHealthcareFacilities).
        agent: The HSA-id that the refresh asks as.
        refresh_subject: The number agreed with the source for the refresh: the schema
            wants a subject of care even of an agent. Never a resident's.
        schedule_address: Where one question covers a resident's bookings at all units
            of the source; None when each unit must be asked.
        horizon: How far ahead its free times are kept.
        window: The longest period it accepts in one question.
        read_timeout: Of a question.
        write_timeout: Of a write: longer than the service platform's own 30 s, so that
            the platform's verdict is heard.
        settles_within: How long after a write was sent it may still be carried out: the
            service platform tries a producer twice, 29 s each and 2 s apart.
        writes_in_flight: How many bookings, moves and cancellations one process has at
            it at once.
        fresh_for: How long an answer about free times is served without a word.
        offered_for: How long it is served at all, then with a warning.
        reason_limit: How many characters of a resident's reason it keeps.
        mode: Whether its free times are kept, or asked for within each search.
        live_timeout: How long a search waits for it, where it is asked within one.
        live_calls: How often one search asks it at most, likewise.
        most_slots: How many free times one unit's time type can have; an answer with
            more is not believed.
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

    @property
    def is_live(self) -> bool:
        """Return whether its free times are never kept."""
        return self.mode is Mode.LIVE


class SourceProblem(Enum):
    """Why a source's part of an answer is missing or incomplete."""

    NOT_YET_ASKED = "not-yet-asked"
    UNAVAILABLE = "unavailable"
    STALE = "stale"
    INCOMPLETE = "incomplete"
    NOT_ASKED = "not-asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOutcome:
    """
    One source's shortcoming in an answer, to be told to the client.

    "No times" and "could not ask" never look alike: whatever is missing from an answer
    has one of these.

    Attributes:
        detail: One sentence for the client.
        since: When the source last answered, if ever.
    """

    source: SourceName
    problem: SourceProblem
    detail: str
    since: datetime | None = None
