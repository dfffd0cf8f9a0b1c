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

from sqlalchemy import Engine

from faults.crash_points import WatchedJournal, WatchedScheduling11
from faults.scaled_time import ScaledTime
from fhir_gateway.adapters.scheduling_1_1.options import options_from_mapping
from fhir_gateway.model.booking import WriteResult
from fhir_gateway.model.errors import BookingUnconfirmed, Unavailable
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.interaction import MakeBooking
from fhir_gateway.rivta.client import FaultedWrite
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal import (
    BookingRecord,
    Decision,
    DecisionState,
    Journal,
)
from fhir_gateway.stores.sealing import Seal

__all__ = [
    "MUTANTS",
    "Mutant",
    "believing_scheduling_1_1",
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
    """

    journal: Callable[[Database, Seal], Journal] = WatchedJournal
    adapter: str = "watched_scheduling_1_1"
    sql: str | None = None

    def prepare(self, clock: ScaledTime) -> None:
        """Let every database of this process live in the run's time."""
        clock.govern(Engine)


class HastyJournal(WatchedJournal):
    """
    A writer that looks for a free place first and claims it in a later transaction.

    It stands for another release of this program that takes no lock: then nothing but
    the index on live claims keeps two of them from the same place.
    """

    def __init__(self, database: Database, seal: Seal) -> None:
        super().__init__(database, seal)
        self._reader = database
        self._seen = threading.local()
        # Two that look at the same time both see the place free.
        self._both = threading.Barrier(2)

    def claim_make(self, **options: Any) -> Decision:
        """Claim what was free a moment ago."""
        timeslot, subject = options["timeslot"], options["subject"]
        self._seen.place = None
        with self._reader.reading() as connection:
            self._seen.place = self._free_place(
                connection,
                options["source"],
                timeslot,
                subject.number,
                options.get("capacity"),
            )
        with suppress(threading.BrokenBarrierError):
            self._both.wait(0.5)
        if self._both.broken:
            self._both.reset()
        return super().claim_make(**options)

    def _free_place(self, *args: Any) -> int:
        seen: int | None = self._seen.place
        return super()._free_place(*args) if seen is None else seen


class LateJournal(WatchedJournal):
    """It says SENT to the caller at once, and writes that down only when settling."""

    def __init__(self, database: Database, seal: Seal) -> None:
        super().__init__(database, seal)
        self._unwritten: dict[str, tuple[Decision, timedelta]] = {}

    def mark_sent(self, decision: Decision, **options: Any) -> Decision:
        """Return what would be written."""
        self._unwritten[decision.id] = (decision, options["lease"])
        return replace(decision, state=DecisionState.SENT, fence=decision.fence + 1)

    def _settled(
        self,
        decision: Decision,
        settle: Callable[..., BookingRecord],
        **options: Any,
    ) -> BookingRecord:
        if decision.id in self._unwritten:
            claimed, lease = self._unwritten.pop(decision.id)
            Journal.mark_sent(self, claimed, lease=lease)
        return super()._settled(decision, settle, **options)


class BelievingScheduling11(WatchedScheduling11):
    """It takes VP009 for a no."""

    def make_booking(self, request: MakeBooking, *, timeout: float) -> WriteResult:
        """Book a free time."""
        try:
            return super().make_booking(request, timeout=timeout)
        except FaultedWrite as error:
            if error.fault.platform_code == "VP009":
                raise Unavailable("VP009", source=self.name) from error
            raise


class ResendingScheduling11(WatchedScheduling11):
    """It sends a write again whose outcome is unknown."""

    def make_booking(self, request: MakeBooking, *, timeout: float) -> WriteResult:
        """Book a free time, and if need be once more."""
        try:
            return super().make_booking(request, timeout=timeout)
        except BookingUnconfirmed:
            return super().make_booking(request, timeout=timeout)


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
        "VP009 read as no": Mutant(adapter="believing_scheduling_1_1"),
        "SENT sent again": Mutant(adapter="resending_scheduling_1_1"),
    }
)
