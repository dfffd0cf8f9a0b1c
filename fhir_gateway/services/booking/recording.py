"""
Recording: after a region's yes, checks what the region did, and records it.
"""

from typing import TypeAlias

import structlog

from fhir_gateway.model.booking import (
    Booking,
    BookingPermissions,
    ResultCode,
    WriteResult,
)
from fhir_gateway.model.errors import (
    GatewayError,
    NotFound,
)
from fhir_gateway.model.ids import BookingId
from fhir_gateway.model.source import Source
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.services.booking.read_back import (
    ReadBack,
    is_the_same_time,
)
from fhir_gateway.services.booking.settlement import Settlement
from fhir_gateway.services.source.source_access import AnothersBookings, SourceAccess
from fhir_gateway.stores.journal import (
    Alarm,
    BookingIdTaken,
    BookingRecord,
    Journal,
    WriteIntent,
)

__all__ = ["Recording", "WriteOutcome", "log_not_read"]

_log = structlog.get_logger()

# A booking after a write, with its source's description, if there is one.
WriteOutcome: TypeAlias = tuple[BookingRecord, Booking | None]


class Recording:
    """
    Records the writes that regions confirmed.

    Args:
        access: The sources.
        journal: Where write intents are stored.
        read_back: Reads bookings at their sources.
        settlement: Raises alarms.
    """

    def __init__(
        self,
        access: SourceAccess,
        journal: Journal,
        read_back: ReadBack,
        settlement: Settlement,
    ) -> None:
        self._access = access
        self._journal = journal
        self._read_back = read_back
        self._settlement = settlement

    def record_made(
        self,
        source: Source,
        intent: WriteIntent,
        timeslot: Timeslot,
        result: WriteResult,
    ) -> WriteOutcome:
        """
        Record that a region made a booking, after checking that it is the wanted one.

        Args:
            source: The region's source.
            intent: The write.
            timeslot: The wanted time.
            result: The region's answer.
        """
        record = self._journal.lookups.get(intent.booking)
        try:
            details = self._find_details(record, timeslot, result.booking_id)
            is_asked_for = details is None or is_the_same_time(details, timeslot)
        except AnothersBookings:
            is_asked_for = False
        except NotFound as error:
            # Its list may lag behind its answer, or its answer may be wrong.
            _log.warning(
                "confirmed booking is not listed",
                source=record.source,
                booking=record.id,
                error=str(error),
            )
            return self._journal.settlements.settle_unknown(intent), None
        if not is_asked_for:
            # Another time, place or person than requested: what was booked is unknown,
            # so the booking stays pending.
            self._settlement.flag(
                intent, Alarm.SOMETHING_ELSE, "region booked something else"
            )
            return self._journal.settlements.settle_unknown(intent), None
        try:
            settled = self._journal.settlements.settle_booked(
                intent,
                booking_id=(
                    details.booking_id or result.booking_id
                    if details
                    else result.booking_id
                ),
                permissions=details.permissions if details else BookingPermissions(),
                is_invitation=bool(details and details.is_invitation),
                message=_text_to_show(result),
                look_again_in=None if details else source.settles_within,
            )
        except BookingIdTaken as error:
            return self._reject_booking_id(intent, error)
        if details is None:
            return settled, None
        if settled.timeslot.source_id == timeslot.source_id:
            # Settling has recorded all of the description.
            return settled, details
        return self._journal.reports.confirm(settled, details, timeslot), details

    def record_moved(
        self, intent: WriteIntent, timeslot: Timeslot, result: WriteResult
    ) -> WriteOutcome:
        """Record that a region moved a booking, after finding it at the new time."""
        record = self._journal.lookups.get(intent.booking)
        found = self._find_moved(record, timeslot)
        if not found:
            # The region confirmed it, but it was not found: its new id is unknown too.
            return self._journal.settlements.settle_unknown(intent), None
        details = found[0]
        try:
            moved = self._journal.settlements.settle_moved(
                intent,
                booking_id=details.booking_id,
                permissions=details.permissions,
                is_invitation=details.is_invitation,
                message=_text_to_show(result),
            )
        except BookingIdTaken as error:
            return self._reject_booking_id(intent, error)
        return self._read_back.confirm(moved, details), details

    def _reject_booking_id(
        self, intent: WriteIntent, error: BookingIdTaken
    ) -> WriteOutcome:
        _log.warning("booking id rejected", booking=intent.booking, error=str(error))
        self._settlement.flag(
            intent, Alarm.SOMETHING_ELSE, "booking id is already in use"
        )
        return self._journal.settlements.settle_unknown(intent), None

    def _find_details(
        self,
        record: BookingRecord,
        timeslot: Timeslot,
        booking_id: BookingId | None,
    ) -> Booking | None:
        """
        Return the source's description of a booking just made, if it can be asked.

        The resident's list comes first: it shows whether the platform has delivered the
        booking twice.

        Raises:
            AnothersBookings: The answer is about another person.
            NotFound: Its list can be read and lacks the booking, and it answers that no
                booking has that id.
        """
        try:
            found = self._read_back.look(record, timeslot).matches
            if found:
                named = [each for each in found if each.booking_id == booking_id]
                return (named or found)[0]
            if booking_id is not None:
                return self._access.booking_details(
                    record.source, timeslot.schedule.unit, booking_id, record.number
                )
        except (AnothersBookings, NotFound):
            raise
        except GatewayError as error:
            log_not_read(record, error)
        return None

    def _find_moved(
        self, record: BookingRecord, timeslot: Timeslot
    ) -> tuple[Booking, ...]:
        try:
            return self._read_back.look(record, timeslot).matches
        except GatewayError as error:
            log_not_read(record, error)
            return ()

    def record_cancelled(
        self, intent: WriteIntent, result: WriteResult
    ) -> WriteOutcome:
        """Record that a region has cancelled a booking."""
        cancelled = self._journal.settlements.settle_cancelled(
            intent, message=_text_to_show(result)
        )
        return cancelled, None


def log_not_read(record: BookingRecord, error: GatewayError) -> None:
    """Log that a booking could not be read back."""
    _log.info(
        "booking not read back",
        source=record.source,
        booking=record.id,
        error=str(error),
    )


def _text_to_show(result: WriteResult) -> str | None:
    """Return the text that must be shown by the contract: that of INFO."""
    return result.text if result.code is ResultCode.INFO else None
