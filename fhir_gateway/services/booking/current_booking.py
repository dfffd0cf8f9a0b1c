"""
How bookings stand now: what the journal knows, brought up to date by their sources.
"""

import structlog

from fhir_gateway.model.booking import Booking, BookingStatus, ManagedBooking
from fhir_gateway.model.client_request import RepeatedRequest
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.errors import (
    Conflict,
    GatewayError,
    Refused,
)
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
        settlement: Finds out how a write went.
    """

    def __init__(
        self, journal: Journal, read_back: ReadBack, settlement: Settlement
    ) -> None:
        self._journal = journal
        self._read_back = read_back
        self._settlement = settlement

    def read(self, booking: str) -> ManagedBooking:
        """
        Return a booking as it stands at its source now.

        When the source cannot be asked it is returned as it was last known.

        Raises:
            NotFound: There is no booking of that id.
        """
        return self.describe(*self.refresh(booking))

    def refresh(self, booking: str) -> tuple[BookingRecord, Booking | None]:
        """
        Return the record of a booking, with what its source said of it just now.

        Raises:
            NotFound: There is no booking of that id.
        """
        intent = self._journal.lookups.find_pending(booking)
        # One that is on its way is for its owner to settle.
        if intent is not None and intent.state is WriteState.UNKNOWN:
            try:
                self._settlement.settle(intent)
            except GatewayError as error:
                _log.info("still unknown", booking=booking, error=str(error))
        record = self._journal.lookups.get(booking)
        if record.state.is_void:
            record = self._settlement.correction.look_again(record)
        if record.state is not BookingState.BOOKED:
            return record, None
        return self._read_back.refresh(record)

    def describe(
        self,
        record: BookingRecord,
        details: Booking | None = None,
        *,
        reason: str | None = None,
    ) -> ManagedBooking:
        """
        Return a record and its source's description as one, as they stand now.

        Args:
            record: What the journal said.
            details: What the source said then, if it could be asked; left out where
                the booking has changed since.
            reason: What the resident wrote, where the source has not said it.
        """
        # A write may have been settled since the record was read: that none is pending
        # says nothing about how it stood before.
        current, intent = self._journal.lookups.get_with_pending(record.id)
        if current.version != record.version:
            details = None
        return _managed_booking(current, details, intent=intent, reason=reason)

    def describe_sent(
        self,
        record: BookingRecord,
        details: Booking,
        *,
        reason: str | None = None,
    ) -> ManagedBooking:
        """
        Return a booking after a write that its source has just shown.

        Args:
            record: How the booking stands after it.
            details: What its source has said of it: the write was settled, and was the
                only one that was not.
            reason: What the resident wrote, where the source has not said it.
        """
        return _managed_booking(record, details, intent=None, reason=reason)

    def describe_write(
        self, intent: WriteIntent, *, reason: str | None = None
    ) -> ManagedBooking:
        """
        Return how the booking of a write stands: pending while the write is under way.

        A client that asked for it must never take how the booking stood before for
        what has become of it. Where nothing is to be seen of the write it is pending
        too: its sender may not have ended, and one that stood still for minutes sends
        it now.

        Args:
            intent: The write.
            reason: What the resident wrote.

        Raises:
            Refused: The region said no to it.
            Conflict: It is certain by now that nothing came of it.
        """
        record, pending = self._journal.lookups.get_with_pending(intent.booking)
        if pending is None or pending.id != intent.id:
            found = self._journal.lookups.get_intent(intent.id)
            if found.state is WriteState.LEFT_NO_TRACE:
                pending = found
            else:
                _check_done(found, record.source)
        return _managed_booking(record, None, intent=pending, reason=reason)

    def replay(self, repeated: RepeatedRequest) -> ManagedBooking:
        """
        Return the booking of a request that was made before, as it stands now.

        Args:
            repeated: What the journal said of its key; it led to an intent.

        Raises:
            Refused: The region said no to it.
            Conflict: It is certain by now that nothing came of it, or it does not
                stand any more.
            NotFound: Its data have been wiped.
        """
        if repeated.booking is None or repeated.intent is None:
            raise TypeError("the request led to no intent")
        booking = self.read(repeated.booking)
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
        """Return a record without asking its source, which has just not answered."""
        return self.describe(record)


def _check_done(intent: WriteIntent, source: SourceName) -> None:
    if intent.state is WriteState.REFUSED:
        raise Refused(
            intent.message or "The region refused the request.", source=source
        )
    if intent.state in (WriteState.NOT_DONE, WriteState.LEFT_NO_TRACE):
        raise Conflict(
            "It is certain by now that nothing came of this request; make a new one,"
            " with a new key.",
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
        # It was pending once, or its id would not be known; nothing came of it.
        status = BookingStatus.CANCELLED
    held_until = None
    if intent is not None:
        held_until = intent.held_until
        status = (
            # Over, if not tidied up yet.
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
    )
