"""
A resident's booked times at all sources.

A source with an aggregating address is asked once. Of another source only the units
with a booking in the journal are asked; the answer says so.

It has over 400 lines, since one place matches each listed booking with the journal.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import structlog

from fhir_gateway.model.booking import (
    BookedTimes,
    Booking,
    KeptPart,
    ManagedBooking,
)
from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.ids import BookingId, HsaId, LogicalAddress, SourceName
from fhir_gateway.model.interaction import Asker
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.source import SourceOutcome, SourceProblem
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.services.booking.current_booking import CurrentBookings
from fhir_gateway.services.booking.list_outcomes import (
    MOST_BOOKINGS,
    one_for_each_problem,
    outcomes_of_answers,
    outcomes_of_unasked,
)
from fhir_gateway.services.booking.list_request import (
    ListRequest,
    list_request_about,
    list_requests,
)
from fhir_gateway.services.booking.read_back import is_the_same_time, timeslot_of
from fhir_gateway.services.booking.settlement import Settlement
from fhir_gateway.services.source.source_access import SourceAccess
from fhir_gateway.stores.journal import (
    BookingIdTaken,
    BookingRecord,
    BookingState,
    Journal,
    WriteKind,
    WriteState,
)

__all__ = ["ResidentBookings", "ResidentsTimes"]

_log = structlog.get_logger()

_MOST_AT_ONCE: Final = 16
_UNSHOWN: Final = "a booking without a start, or one that repeats another"
_BEYOND: Final = f"a booking beyond {MOST_BOOKINGS} of one answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidentsTimes:
    """
    A resident's bookings, earliest first.

    Attributes:
        outcomes: What is missing, source by source.
    """

    bookings: tuple[ManagedBooking, ...]
    outcomes: tuple[SourceOutcome, ...]


class ResidentBookings:
    """
    Lists a resident's bookings.

    Args:
        access: The sources.
        journal: The bookings that this server knows.
        current: Reads single bookings.
        settlement: Corrects bookings that are wrongly NOT_MADE.
        clock: Returns the time.
    """

    def __init__(
        self,
        access: SourceAccess,
        journal: Journal,
        current: CurrentBookings,
        settlement: Settlement,
        *,
        clock: Clock = now,
    ) -> None:
        self._access = access
        self._journal = journal
        self._current = current
        self._settlement = settlement
        self._clock = clock

    def list_of(self, grant: Grant) -> ResidentsTimes:
        """
        Return a resident's booked, pending and cancelled times.

        The outcomes name each source that cannot be asked; its known bookings are
        returned in their last confirmed state. Only sources with units that the
        principal may see are asked, and only bookings that it may see are returned.

        Args:
            grant: Who asks, and for which resident.
        """
        number = grant.subject
        sources = [
            each
            for each in self._access.sources.values()
            if grant.reaches(each.prefixes)
        ]
        records = self._records(grant)
        questions = list_requests(records, sources)
        outcomes: list[SourceOutcome] = []
        answered: dict[SourceName, list[BookedTimes]] = {}
        unshown: Counter[SourceName] = Counter()
        beyond: Counter[SourceName] = Counter()
        described: dict[str, tuple[Booking, KeptPart | None]] = {}
        silent: set[tuple[SourceName, LogicalAddress]] = set()
        cut: set[tuple[SourceName, LogicalAddress]] = set()
        with ThreadPoolExecutor(
            max_workers=max(1, min(len(questions), _MOST_AT_ONCE))
        ) as executor:
            answers = executor.map(
                lambda question: self._ask(question, grant.asker), questions
            )
            for question, answer in zip(questions, answers, strict=True):
                if isinstance(answer, SourceOutcome):
                    outcomes.append(answer)
                    silent.add((question.source.name, question.address))
                    continue
                source = question.source.name
                answered.setdefault(source, []).append(answer)
                shown = self._first(answer.bookings)
                if len(shown) < len(answer.bookings):
                    beyond[source] += len(answer.bookings) - len(shown)
                    cut.add((source, question.address))
                kept = {part.unit.upper(): part for part in answer.kept}
                renumbered = self._find_renumbered(source, answer, records)
                astray = self._find_at_other_units(question, answer, records)
                found = self._find_or_adopt(
                    source,
                    shown,
                    number,
                    kept=kept,
                    renumbered=renumbered,
                    astray=astray,
                )
                for booking, record in zip(shown, found, strict=True):
                    if record is None or record.id in described:
                        unshown[source] += 1
                    else:
                        described[record.id] = booking, kept.get(booking.unit)
        for name, parts in answered.items():
            self._access.note_not_shown(
                name, {_UNSHOWN: unshown[name], _BEYOND: beyond[name]}
            )
            outcomes.extend(
                outcomes_of_answers(
                    self._access.sources[name], parts, unshown[name], beyond[name]
                )
            )
        outcomes.extend(outcomes_of_unasked(sources))
        records = self._records(grant)
        confirmed = self._confirm(records, described)

        def describe(record: BookingRecord) -> ManagedBooking:
            question = list_request_about(record, self._access.sources)
            if question in silent or (question in cut and record.id not in described):
                return self._current.describe_last_known(record)
            booking, part = described.get(record.id, (None, None))
            return self._describe(
                confirmed.get(record.id, record), booking, part, grant
            )

        # Some need a call of their own: in sequence, a slow source's would add up.
        with ThreadPoolExecutor(
            max_workers=max(1, min(len(records), _MOST_AT_ONCE))
        ) as executor:
            bookings = executor.map(describe, records)
        return ResidentsTimes(
            bookings=tuple(bookings), outcomes=one_for_each_problem(outcomes)
        )

    def _records(self, grant: Grant) -> tuple[BookingRecord, ...]:
        return tuple(
            record
            for record in self._journal.lookups.list_of_resident(grant.subject)
            if grant.covers(record.owner(is_hold=False))
        )

    def _ask(self, question: ListRequest, asker: Asker) -> BookedTimes | SourceOutcome:
        try:
            answer = self._access.booked_times(question.source, question.address, asker)
        except GatewayError as error:
            _log.warning(
                "source could not be asked",
                source=question.source.name,
                error=str(error),
            )
            return SourceOutcome(
                source=question.source.name,
                problem=SourceProblem.UNAVAILABLE,
                detail=(
                    f"{question.source.title} could not be asked; its bookings may be"
                    " missing or out of date."
                ),
            )
        if question.address != question.source.schedule_address:
            answer = answer.with_silence_of(question.address)
        return replace(answer, kept=tuple(map(self._without_future_age, answer.kept)))

    def _without_future_age(self, part: KeptPart) -> KeptPart:
        """Return a cached part, without its age if that is in the future."""
        if part.since is not None and part.since > self._clock():
            return replace(part, since=None)
        return part

    def _first(self, bookings: Sequence[Booking]) -> Sequence[Booking]:
        """Return at most `MOST_BOOKINGS` of one answer, the next ones first."""
        if len(bookings) <= MOST_BOOKINGS:
            return bookings
        moment = self._clock()

        def nearest(booking: Booking) -> tuple[bool, timedelta]:
            start = booking.start or moment
            return start < moment, abs(start - moment)

        return sorted(bookings, key=nearest)[:MOST_BOOKINGS]

    def _find_or_adopt(
        self,
        source: SourceName,
        reported: Sequence[Booking],
        number: PersonalIdentityNumber,
        *,
        kept: Mapping[str, KeptPart],
        renumbered: Mapping[BookingId, BookingRecord],
        astray: Collection[tuple[HsaId, BookingId]],
    ) -> list[BookingRecord | None]:
        """
        Return our records of reported bookings; insert those that are missing.

        None stands for a booking without a start (a booked Appointment has one: FHIR
        R4, 12.8, invariant app-3), for one with another booking's id, which is logged
        once for the whole answer, and for one with a known booking's id at another
        unit: reading that booking by itself shows where it is.

        Args:
            source: The source that answered.
            reported: The bookings of its answer.
            number: The resident's personal number.
            kept: The cached parts of the answer by unit, with their age.
            renumbered: Our records of bookings that have another id now, by that id.
            astray: The units and ids of known bookings that are listed at other units.
        """
        found: dict[int, BookingRecord | None] = {}
        new: dict[int, tuple[Booking, Timeslot]] = {}
        for place, booking in enumerate(reported):
            timeslot = booking.timeslot
            if timeslot is None:
                continue
            if booking.booking_id is not None and booking.booking_id in renumbered:
                found[place] = renumbered[booking.booking_id]
                continue
            if (booking.unit, booking.booking_id) in astray:
                found[place] = None
                continue
            try:
                record = self._find_known(
                    source, booking, timeslot, number, kept.get(booking.unit)
                )
            except BookingIdTaken:
                found[place] = None
                continue
            if record is None:
                new[place] = booking, timeslot
            else:
                found[place] = record
        adopted = self._journal.reports.adopt_all(source, number, list(new.values()))
        found.update(zip(new, adopted, strict=True))
        self._log_ids_taken(source, list(found.values()).count(None))
        return [found.get(place) for place in range(len(reported))]

    def _find_renumbered(
        self, source: SourceName, answer: BookedTimes, records: Iterable[BookingRecord]
    ) -> dict[BookingId, BookingRecord]:
        """
        Return our records of bookings that the region lists under a new id, by that id.

        The list lacks the id of the record, and has a booking of exactly its time under
        an id that we do not know.
        """
        listed = {each.booking_id for each in answer.bookings} | answer.lost_ids
        missing = [
            each
            for each in records
            if each.source == source
            and each.state is BookingState.BOOKED
            and each.booking_id is not None
            and each.booking_id not in listed
        ]
        found: dict[BookingId, BookingRecord] = {}
        for booking in answer.bookings:
            if booking.booking_id is None or not missing:
                continue
            record = next(
                (each for each in missing if is_the_same_time(booking, each.timeslot)),
                None,
            )
            if record is None or booking.booking_id in found:
                continue
            known = self._journal.lookups.find_by_booking_id(
                source, booking.unit, booking.booking_id
            )
            if known is None:
                found[booking.booking_id] = record
                missing.remove(record)
        return found

    def _find_at_other_units(
        self,
        question: ListRequest,
        answer: BookedTimes,
        records: Iterable[BookingRecord],
    ) -> set[tuple[HsaId, BookingId]]:
        """
        Return the units and ids of known bookings that a list has at other units only.

        A list that has an id at both units has two bookings: units may number alike.
        """
        source = question.source.name
        listed = {(each.unit, each.booking_id) for each in answer.bookings}
        missing = {
            each.booking_id
            for each in records
            if each.state is BookingState.BOOKED
            and each.booking_id is not None
            and (each.timeslot.schedule.unit, each.booking_id) not in listed
            and list_request_about(each, self._access.sources)
            == (source, question.address)
        }
        return {
            (booking.unit, booking.booking_id)
            for booking in answer.bookings
            if booking.booking_id is not None
            and booking.booking_id in missing
            and self._journal.lookups.find_by_booking_id(
                source, booking.unit, booking.booking_id
            )
            is None
        }

    def _find_known(
        self,
        source: SourceName,
        booking: Booking,
        timeslot: Timeslot,
        number: PersonalIdentityNumber,
        part: KeptPart | None,
    ) -> BookingRecord | None:
        """Return our record of a reported booking, if there is one."""
        known = (
            None
            if booking.booking_id is None
            else self._journal.lookups.find_by_booking_id(
                source, booking.unit, booking.booking_id
            )
        )
        if known is not None and known.number == number:
            if known.state is BookingState.BOOKED:
                return known
            if (
                part is not None
                and (part.since or known.updated_at) <= known.updated_at
            ):
                # Cancelled since: the cached part is older.
                return known
            if self._was_just_cancelled(known):
                return known
        denied = self._journal.outcomes.find_absent_make(source, number, timeslot)
        if denied is None:
            return None
        return self._settlement.correction.mend_not_made(denied, booking)

    def _was_just_cancelled(self, record: BookingRecord) -> bool:
        """
        Return whether the region may list a booking only because its list lags.

        A booking that is still listed long after its cancellation here is flagged.
        """
        intent = self._journal.lookups.find_latest(record.id)
        if (
            record.state is not BookingState.CANCELLED
            or intent is None
            or intent.kind is not WriteKind.CANCEL
            or intent.state is not WriteState.DONE
        ):
            return False
        within = self._access.source(record.source).settles_within
        if self._clock() - record.updated_at < within:
            return True
        self._settlement.correction.flag_standing(intent)
        return False

    def _confirm(
        self,
        records: Iterable[BookingRecord],
        described: Mapping[str, tuple[Booking, KeptPart | None]],
    ) -> dict[str, BookingRecord]:
        """Record what uncached lists report of booked records; return these updated."""
        reported = []
        for record in records:
            booking, part = described.get(record.id, (None, None))
            if (
                booking is None
                or part is not None
                or record.state is not BookingState.BOOKED
                or self._journal.lookups.find_pending(record.id) is not None
            ):
                continue
            reported.append((record, booking, timeslot_of(booking, record.timeslot)))
        confirmed = self._journal.reports.confirm_all(reported)
        taken: Counter[SourceName] = Counter()
        found = {}
        for (record, _, _), now_known in zip(reported, confirmed, strict=True):
            if now_known is None:
                taken[record.source] += 1
            else:
                found[record.id] = now_known
        for source, count in taken.items():
            self._log_ids_taken(source, count)
        return found

    def _log_ids_taken(self, source: SourceName, count: int) -> None:
        if count:
            _log.error("booking id is already in use", source=source, bookings=count)

    def _describe(
        self,
        record: BookingRecord,
        details: Booking | None,
        part: KeptPart | None,
        grant: Grant,
    ) -> ManagedBooking:
        if (
            details is None
            or record.state is not BookingState.BOOKED
            or (
                part is None
                and self._journal.lookups.find_pending(record.id) is not None
            )
        ):
            # Not in its source's list, or with an unsettled write: read by itself.
            return self._current.read(record.id, grant)
        managed = self._current.describe(record, details)
        # A cached part confirms the booking only as of its own age.
        return managed if part is None else replace(managed, confirmed_at=part.since)
