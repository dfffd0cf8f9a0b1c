"""
The present state of bookings: the journal's record, updated from the source.
"""

from dataclasses import replace

import structlog

from fhir_gateway.model.booking import (
    Booking,
    BookingStatus,
    CancelledBy,
    ManagedBooking,
)
from fhir_gateway.model.client_request import RepeatedRequest
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.errors import (
    Conflict,
    GatewayError,
    Refused,
)
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.ids import SourceName
from fhir_gateway.services.booking.read_back import ReadBack
from fhir_gateway.services.booking.settlement import Settlement
from fhir_gateway.stores.journal import (
    BookingRecord,
    BookingState,
    Journal,
    WriteIntent,
    WriteKind,
    WriteState,
)

__all__ = ["CurrentBookings"]

_log = structlog.get_logger()


class CurrentBookings:
    """
    Reads single bookings.

    Args:
        journal: The bookings that this server knows.
        read_back: Reads bookings at their sources.
        settlement: Finds the outcome of a write.
    """

    def __init__(
        self, journal: Journal, read_back: ReadBack, settlement: Settlement
    ) -> None:
        self._journal = journal
        self._read_back = read_back
        self._settlement = settlement

    def read(self, booking: str, grant: Grant) -> ManagedBooking:
        """
        Return a booking in its present state at its source.

        If the source cannot be asked, it is returned in its last known state.

        Args:
            booking: Our id of the booking.
            grant: Who asks.

        Raises:
            NotFound: There is no booking of that id, or not of that resident.
        """
        return self.describe(*self.refresh(booking, grant))

    def refresh(
        self, booking: str, grant: Grant
    ) -> tuple[BookingRecord, Booking | None]:
        """
        Return the updated record of a booking, with its source's description, if any.

        Raises:
            NotFound: There is no booking of that id, or not of that resident.
        """
        known, intent = self._journal.lookups.get_with_pending(booking)
        grant.check_subject(known.number)
        # A write under way is settled by its own process.
        if intent is not None and intent.state is WriteState.UNKNOWN:
            try:
                self._settlement.settle(intent)
            except GatewayError as error:
                _log.info("outcome still unknown", booking=booking, error=str(error))
        record = self._journal.lookups.get(booking)
        if record.state.is_void:
            record = self._settlement.correction.recheck_not_made(record)
        if record.state is not BookingState.BOOKED:
            return record, None
        updated, details = self._read_back.refresh(replace(record, actor=grant.actor))
        return replace(updated, actor=record.actor), details

    def describe(
        self,
        record: BookingRecord,
        details: Booking | None = None,
        *,
        reason: str | None = None,
    ) -> ManagedBooking:
        """
        Return the present state of a booking, with its source's description.

        Args:
            record: The booking as the caller read it.
            details: The source's description, if it could be asked; not used if the
                booking has changed since `record` was read.
            reason: The resident's text to the unit, if the source does not return it.
        """
        # Both of one moment: a write may have been settled since `record` was read.
        current, intent = self._journal.lookups.get_with_pending(record.id)
        if current.version != record.version:
            details = None
        return self._managed(current, details, intent=intent, reason=reason)

    def describe_sent(
        self,
        record: BookingRecord,
        details: Booking,
        *,
        reason: str | None = None,
    ) -> ManagedBooking:
        """
        Return a booking after a settled write, with its source's description.

        Args:
            record: The booking after the write, which was its only unsettled one.
            details: The source's description of the booking after the write.
            reason: The resident's text to the unit, if the source does not return it.
        """
        return self._managed(record, details, intent=None, reason=reason)

    def describe_write(
        self, intent: WriteIntent, *, reason: str | None = None
    ) -> ManagedBooking:
        """
        Return the booking of a write; pending while the write is under way.

        A client must never get the state before its write as the result of the write. A
        write that left no trace counts as pending here, too: its process may have stood
        still for minutes, and may send it now.

        Args:
            intent: The write.
            reason: The resident's text to the unit.

        Raises:
            Refused: The region refused the write.
            Conflict: The write was certainly not done.
        """
        record, pending = self._journal.lookups.get_with_pending(intent.booking)
        if pending is None or pending.id != intent.id:
            found = self._journal.lookups.get_intent(intent.id)
            if found.state is WriteState.LEFT_NO_TRACE:
                pending = found
            else:
                _check_done(found, record.source)
        return self._managed(record, None, intent=pending, reason=reason)

    def replay(self, repeated: RepeatedRequest, grant: Grant) -> ManagedBooking:
        """
        Return the booking of an earlier request, in its present state.

        Args:
            repeated: The journal's error for its key, which led to an intent.
            grant: Who asks.

        Raises:
            Refused: The region refused the request.
            Conflict: It certainly had no effect, or its booking has been cancelled.
            NotFound: Its data have been wiped.
        """
        if repeated.booking is None or repeated.intent is None:
            raise TypeError("the request led to no intent")
        booking = self.read(repeated.booking, grant)
        intent = self._journal.lookups.get_intent(repeated.intent)
        _check_done(intent, booking.source)
        is_cancelled = booking.status is BookingStatus.CANCELLED
        if is_cancelled and intent.kind is not WriteKind.CANCEL:
            raise Conflict(
                "The appointment of this request has been cancelled since: to book"
                " again, make a new request with a new key.",
                source=booking.source,
                error_code=ErrorCode.APPOINTMENT_IS_ALREADY_CANCELED,
            )
        return booking

    def describe_last_known(self, record: BookingRecord) -> ManagedBooking:
        """Return a booking in its last known state, without asking its source."""
        return self.describe(record)

    def _managed(
        self,
        record: BookingRecord,
        details: Booking | None,
        *,
        intent: WriteIntent | None,
        reason: str | None,
    ) -> ManagedBooking:
        managed = _managed_booking(record, details, intent=intent, reason=reason)
        if record.state is not BookingState.CANCELLED or record.confirmed_at is None:
            # A hold that was released was never booked.
            return managed
        return replace(managed, cancelled_by=self._cancelled_by(record))

    def _cancelled_by(self, record: BookingRecord) -> CancelledBy:
        last = self._journal.lookups.find_latest(record.id)
        if (
            last is None
            or last.kind is not WriteKind.CANCEL
            or last.state is not WriteState.DONE
        ):
            return CancelledBy.ELSEWHERE
        is_residents = record.actor is None
        return CancelledBy.RESIDENT if is_residents else CancelledBy.PROFESSIONAL


def _check_done(intent: WriteIntent, source: SourceName) -> None:
    if intent.state is WriteState.REFUSED:
        raise Refused(intent.message or Refused.UNEXPLAINED, source=source)
    if intent.state in (WriteState.NOT_DONE, WriteState.LEFT_NO_TRACE):
        raise Conflict(
            "This request had no effect: nothing was booked, moved or cancelled. Make a"
            " new request with a new key.",
            source=source,
        )


def _managed_booking(
    record: BookingRecord,
    details: Booking | None,
    *,
    intent: WriteIntent | None,
    reason: str | None = None,
) -> ManagedBooking:
    status = {
        BookingState.BOOKED: BookingStatus.BOOKED,
        BookingState.CANCELLED: BookingStatus.CANCELLED,
    }.get(record.state, BookingStatus.PENDING)
    if record.state.is_void:
        # A client may know its id from when it was pending.
        status = BookingStatus.CANCELLED
    held_until = None
    if intent is not None:
        held_until = intent.held_until
        status = (
            # Expired, but not cleaned up yet.
            BookingStatus.CANCELLED if intent.is_lapsed else BookingStatus.PENDING
        )
    return ManagedBooking(
        id=record.id,
        version=record.version,
        status=status,
        source=record.source,
        timeslot=record.timeslot,
        booking_id=record.booking_id,
        number=record.number,
        permissions=record.permissions,
        is_invitation=record.is_invitation,
        created_at=record.created_at,
        updated_at=record.updated_at,
        confirmed_at=record.confirmed_at,
        message=record.message,
        purpose=details.purpose if details else None,
        reason=(details.reason if details else None) or reason,
        held_until=held_until,
        cancellation=(
            record.cancellation if status is BookingStatus.CANCELLED else None
        ),
        is_described=details is not None,
    )
