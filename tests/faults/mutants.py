"""
Programs with one promise taken out, to see that the checker notices.

Each differs from the real program by a part that is handed to it: a journal, or an
adapter that the file of sources names.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final
from uuid import uuid4

from kept_connections import KeptConnections
from sqlalchemy import Engine, insert, select

from faults.crash_points import (
    CLAIM_LEASE,
    WatchedIntents,
    WatchedJournal,
    WatchedScheduling11,
    WatchedSettlements,
)
from faults.scaled_time import ScaledTime
from fhir_gateway.adapters.scheduling_1_1.options import (
    Options,
    options_from_mapping,
)
from fhir_gateway.model.booking import BookingPermissions, WriteResult
from fhir_gateway.model.client_request import RequestKey
from fhir_gateway.model.errors import Unavailable, WriteUnconfirmed
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.scheduling import MakeBooking
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.rivta.client import FaultedWrite
from fhir_gateway.stores.database import Database, database_clock
from fhir_gateway.stores.journal import (
    BookingRecord,
    BookingState,
    Journal,
    WriteIntent,
    WriteKind,
    WriteState,
)
from fhir_gateway.stores.journal.claim_steps import claim, find_free_place
from fhir_gateway.stores.journal.lookups import Lookups
from fhir_gateway.stores.journal.rows import (
    values_from_maker,
    values_from_permissions,
    values_from_subject,
    values_from_timeslot,
)
from fhir_gateway.stores.journal.tables import bookings, claims
from fhir_gateway.stores.journal.write_intents import WriteIntents
from fhir_gateway.stores.sealing import Seal

__all__ = [
    "MUTANTS",
    "Mutant",
    "believing_scheduling_1_1",
    "credulous_scheduling_1_1",
    "keeping_scheduling_1_1",
    "resending_scheduling_1_1",
]


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """
    What a process is composed of.

    Attributes:
        journal: Makes its journal.
        adapter: What the sources' adapter is called.
        sql: What is done to the database before anybody uses it.
        is_blind: Its grants cover every booking.
    """

    journal: Callable[..., Journal] = WatchedJournal
    adapter: str = "watched_scheduling_1_1"
    sql: str | None = None
    is_blind: bool = False

    def prepare(self, clock: ScaledTime) -> None:
        """Let every database of this process live in the run's time."""
        clock.govern(Engine)
        if self.is_blind:
            # A process of its own: no other one has this class.
            Grant.covers = lambda _, __: True  # type: ignore[method-assign] # the mutation
            Grant.check_subject = lambda _, __: None  # type: ignore[method-assign] # the mutation


class HastyIntents(WatchedIntents):
    """
    A writer that looks for a free place first and claims it in a later transaction.

    It stands for another release of this program that takes no lock: then nothing but
    the index on live claims keeps two of them from the same place.
    """

    def __init__(self, database: Database, seal: Seal, **options: Any) -> None:
        super().__init__(database, seal, claim_lease=CLAIM_LEASE, **options)
        self._hasty = database
        # Two that look at the same time both see the place free.
        self._both = threading.Barrier(2)

    def claim_make(
        self,
        *,
        source: SourceName,
        timeslot: Timeslot,
        subject: SubjectOfCare,
        grant: Grant,
        capacity: int | None = None,
        request: RequestKey | None = None,  # noqa: ARG002 - that release knows none
    ) -> WriteIntent:
        """Claim what was free a moment ago."""
        with self._hasty.reading() as connection:
            place = find_free_place(
                connection,
                self._seal,
                source=source,
                timeslot=timeslot,
                number=subject.number,
                capacity=capacity,
            )
        with suppress(threading.BrokenBarrierError):
            self._both.wait(0.5)
        if self._both.broken:
            self._both.reset()
        with self._hasty.writing() as connection:
            new = str(uuid4())
            connection.execute(
                insert(bookings).values(
                    id=new,
                    version=1,
                    state=BookingState.PENDING.value,
                    source=source,
                    created_at=database_clock(),
                    updated_at=database_clock(),
                    is_invitation=False,
                    **values_from_subject(subject.as_mapping(), self._seal),
                    **values_from_maker(grant, self._seal),
                    **values_from_permissions(BookingPermissions()),
                    **values_from_timeslot(timeslot),
                )
            )
            intent = self._insert_intent(
                connection, new, WriteKind.MAKE, timeslot, grant
            )
            claim(connection, source, intent, timeslot, place)
            return intent


class HastyJournal(WatchedJournal):
    """The journal of that writer."""

    def __init__(self, database: Database, seal: Seal, **options: Any) -> None:
        super().__init__(database, seal, **options)
        self.intents = HastyIntents(database, seal, **options)


class LateIntents(WatchedIntents):
    """It says SENT to the caller at once, and writes that down only when settling."""

    def __init__(self, database: Database, seal: Seal, **options: Any) -> None:
        super().__init__(database, seal, claim_lease=CLAIM_LEASE, **options)
        self._unwritten: dict[str, tuple[WriteIntent, timedelta]] = {}

    def mark_sent(self, intent: WriteIntent, **options: Any) -> WriteIntent:
        """Return what would be written."""
        self._unwritten[intent.id] = (intent, options["lease"])
        return replace(intent, state=WriteState.SENT, fence=intent.fence + 1)

    def write_down(self, intent: WriteIntent) -> None:
        """Write down what was said."""
        if intent.id in self._unwritten:
            claimed, lease = self._unwritten.pop(intent.id)
            WriteIntents.mark_sent(self, claimed, lease=lease)


class LateSettlements(WatchedSettlements):
    """It lets SENT be written down just before each settlement."""

    late: LateIntents

    def _settle_and_pass(
        self,
        intent: WriteIntent,
        settle: Callable[..., BookingRecord],
        **options: Any,
    ) -> BookingRecord:
        self.late.write_down(intent)
        return super()._settle_and_pass(intent, settle, **options)


class LateJournal(WatchedJournal):
    """The journal that writes SENT down too late."""

    def __init__(self, database: Database, seal: Seal, **options: Any) -> None:
        super().__init__(database, seal, **options)
        self.intents = late = LateIntents(database, seal, **options)
        self.settlements = settlements = LateSettlements(database, seal)
        settlements.late = late


class CarelessLookups(Lookups):
    """It takes the one who holds a time for the one who asks for it."""

    def find_standing(self, number: PersonalIdentityNumber, token: str) -> str | None:
        """Return anybody's booking of a timeslot."""
        own = super().find_standing(number, token)
        with self._database.reading() as connection:
            anybodys: str | None = connection.execute(
                select(claims.c.booking).where(
                    claims.c.token == token, claims.c.released_at.is_(None)
                )
            ).scalar_one_or_none()
        return own or anybodys


class CarelessJournal(WatchedJournal):
    """The journal that takes anybody's booking."""

    def __init__(self, database: Database, seal: Seal, **options: Any) -> None:
        super().__init__(database, seal, **options)
        self.lookups = CarelessLookups(database, seal)


class BelievingScheduling11(WatchedScheduling11):
    """It takes a fault of the platform for a no."""

    def make_booking(self, request: MakeBooking, *, timeout: float) -> WriteResult:
        """Book a free time."""
        try:
            return super().make_booking(request, timeout=timeout)
        except FaultedWrite as error:
            if error.fault.platform_code is not None:
                raise Unavailable("A fault.", source=self.name) from error
            raise


class ResendingScheduling11(WatchedScheduling11):
    """It sends a write of unknown outcome again."""

    def make_booking(self, request: MakeBooking, *, timeout: float) -> WriteResult:
        """Book a free time, and if need be once more."""
        try:
            return super().make_booking(request, timeout=timeout)
        except WriteUnconfirmed:
            return super().make_booking(request, timeout=timeout)


class KeepingScheduling11(WatchedScheduling11):
    """It keeps connections and cookies, and takes 103 for an answer."""

    def __init__(self, name: SourceName, options: Options) -> None:
        super().__init__(name, options, transport=KeptConnections())


class CredulousScheduling11(WatchedScheduling11):
    """It looks at no HTTP status."""

    def __init__(self, name: SourceName, options: Options) -> None:
        super().__init__(name, options, transport=KeptConnections(status=200))


def keeping_scheduling_1_1(
    name: SourceName, options: Mapping[str, object]
) -> KeepingScheduling11:
    """Return the adapter."""
    return KeepingScheduling11(name, options_from_mapping(options))


def credulous_scheduling_1_1(
    name: SourceName, options: Mapping[str, object]
) -> CredulousScheduling11:
    """Return the adapter."""
    return CredulousScheduling11(name, options_from_mapping(options))


def believing_scheduling_1_1(
    name: SourceName, options: Mapping[str, object]
) -> BelievingScheduling11:
    """Return the adapter."""
    return BelievingScheduling11(name, options_from_mapping(options))


def resending_scheduling_1_1(
    name: SourceName, options: Mapping[str, object]
) -> ResendingScheduling11:
    """Return the adapter."""
    return ResendingScheduling11(name, options_from_mapping(options))


_DROP_INDEX: Final = "DROP INDEX claim_one_live"

MUTANTS: Final = MappingProxyType(
    {
        "none": Mutant(),
        "hasty": Mutant(journal=HastyJournal),
        "hasty without the index": Mutant(journal=HastyJournal, sql=_DROP_INDEX),
        "sent before the commit": Mutant(journal=LateJournal),
        "anybody's booking": Mutant(journal=CarelessJournal, is_blind=True),
        "a fault read as no": Mutant(adapter="believing_scheduling_1_1"),
        "connections kept": Mutant(adapter="keeping_scheduling_1_1"),
        "any status believed": Mutant(adapter="credulous_scheduling_1_1"),
        "SENT sent again": Mutant(adapter="resending_scheduling_1_1"),
    }
)
