"""
Changing: moves and cancels bookings.
"""

from dataclasses import replace

import structlog

from fhir_gateway.model.booking import (
    BookingStatus,
    CancellationReason,
    ManagedBooking,
    Wish,
)
from fhir_gateway.model.client_request import RequestKey
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.errors import (
    Forbidden,
    GatewayError,
    Incorrect,
)
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.ids import BookingId, SourceName
from fhir_gateway.model.interaction import Asker
from fhir_gateway.model.scheduling import CancelBooking, UpdateBooking
from fhir_gateway.model.timekeeping import Clock
from fhir_gateway.model.timeslot import Timeslot, TimeslotToken
from fhir_gateway.model.unit_ability import UnitAbility
from fhir_gateway.services.booking.bulkhead import Permit
from fhir_gateway.services.booking.carrying_out import carry_out
from fhir_gateway.services.booking.claiming import Claiming, check_start
from fhir_gateway.services.booking.current_booking import CurrentBookings
from fhir_gateway.services.booking.holding import Holding
from fhir_gateway.services.booking.request import (
    MoveRequest,
)
from fhir_gateway.services.booking.sending import Sending
from fhir_gateway.services.booking.write_checks import (
    check_ability,
    check_booked,
    check_readable,
    check_reason,
    require_booking_id,
    target_of,
)
from fhir_gateway.services.source.source_access import SourceAccess
from fhir_gateway.stores.journal import (
    BookingRecord,
    BookingState,
    Journal,
    WriteKind,
)

__all__ = ["Changing"]

_log = structlog.get_logger()


class Changing:
    """
    Moves and cancels; raises as `BookingService.move` and `cancel` document.

    Args:
        access: The sources.
        journal: Where write intents are stored.
        claiming: Finds a place.
        sending: Sends writes.
        current: Reads the present state of bookings.
        holding: Releases holds.
        clock: Returns the time.
    """

    def __init__(
        self,
        access: SourceAccess,
        journal: Journal,
        claiming: Claiming,
        sending: Sending,
        current: CurrentBookings,
        *,
        holding: Holding,
        clock: Clock,
    ) -> None:
        self._access = access
        self._journal = journal
        self._claiming = claiming
        self._sending = sending
        self._current = current
        self._holding = holding
        self._clock = clock

    def move(
        self, permit: Permit, booking: str, request: MoveRequest, version: int | None
    ) -> ManagedBooking:
        """Move a booking, as `BookingService.move` documents."""
        grant = request.grant
        record, details = self._current.refresh(booking, grant)
        check_booked(record, version)
        check_readable(details, Wish.REBOOK, record.source)
        if not record.permissions.rebook:
            raise Forbidden(
                "The region does not let this booking be moved; contact the unit.",
                source=record.source,
                error_code=ErrorCode.UPDATE_APPOINTMENT_IS_NOT_ALLOWED,
            )
        source = self._access.source_of(request.token)
        check_start(request.token, self._clock)
        check_reason(source, request.reason)
        for unit in {record.timeslot.schedule.unit, request.token.unit}:
            check_ability(self._access, unit, UnitAbility.RESCHEDULE)
        booking_id = require_booking_id(record)
        self._check_unit(record, request.token, booking_id)
        subject = request.subject or record.subject
        if subject is None:
            raise Incorrect(
                "The booking was made elsewhere, so the resident's name is not known"
                " here: send it as a contained Patient.",
                error_code=ErrorCode.ELEMENT_IS_MISSING,
            )
        intent = self._claiming.claim(
            request.token,
            grant.asker,
            lambda timeslot, capacity: self._journal.intents.claim_update(
                record, timeslot, capacity, grant=grant, request=request.request
            ),
            moving=booking_id,
        )

        def look_for_old_time(present: Timeslot) -> None:
            # So searches show it at once, not only after the next refresh.
            if present != record.timeslot:
                self._look_for_freed(record.source, record.timeslot, grant.asker)

        moved = UpdateBooking(
            booking_id=booking_id,
            timeslot=target_of(intent),
            subject_of_care=subject,
            reason=request.reason,
            actor=grant.actor,
        )
        made = carry_out(
            self._current,
            permit,
            intent,
            lambda: self._sending.move(source, intent, moved),
            afterwards=lambda outcome: look_for_old_time(outcome[0].timeslot),
        )
        if made.status is BookingStatus.BOOKED:
            look_for_old_time(made.timeslot)
        return made

    def cancel(
        self,
        permit: Permit,
        booking: str,
        *,
        grant: Grant,
        reason: CancellationReason | None,
        version: int | None,
        request: RequestKey | None,
    ) -> ManagedBooking:
        """Cancel a booking, as `BookingService.cancel` documents."""
        record, details = self._current.refresh(booking, grant)
        if record.state is BookingState.CANCELLED:
            return self._current.describe(record)
        intent = self._journal.lookups.find_pending(booking)
        if intent is not None and intent.held_until is not None:
            return self._current.describe(self._holding.release(booking, reason=reason))
        if intent is not None and intent.kind is WriteKind.CANCEL:
            return self._current.describe_write(intent)
        check_booked(record, version)
        check_readable(details, Wish.CANCEL, record.source)
        if not record.permissions.cancel:
            raise Forbidden(
                "The region does not let this booking be cancelled; contact the unit.",
                source=record.source,
                error_code=ErrorCode.CANCEL_IS_NOT_ALLOWED,
            )
        check_ability(self._access, record.timeslot.schedule.unit, UnitAbility.CANCEL)
        if reason is not None:
            check_readable(details, Wish.MESSAGE, record.source)
        if reason is not None and not record.permissions.message:
            raise Forbidden(
                "This booking takes no message: cancel it without cancelationReason.",
                source=record.source,
                error_code=ErrorCode.CANCEL_IS_NOT_ALLOWED,
            )
        booking_id = require_booking_id(record)
        source = self._access.source(record.source)
        intent = self._journal.intents.claim_cancel(
            record, grant=grant, reason=reason, request=request
        )

        def look_for_its_time() -> bool | None:
            return self._look_for_freed(record.source, record.timeslot, grant.asker)

        cancelled = CancelBooking(
            unit=record.timeslot.schedule.unit,
            booking_id=booking_id,
            actor=grant.actor,
            message=None if reason is None else reason.text,
        )
        made = carry_out(
            self._current,
            permit,
            intent,
            lambda: self._sending.cancel(source, intent, cancelled),
            afterwards=lambda outcome: (
                outcome[0].state is BookingState.CANCELLED and look_for_its_time()
            ),
        )
        if made.status is not BookingStatus.CANCELLED:
            return made
        return replace(made, is_offered_again=look_for_its_time())

    def _look_for_freed(
        self, source: SourceName, timeslot: Timeslot, asker: Asker
    ) -> bool | None:
        """Return whether a released time is listed again; None: not known."""
        if timeslot.start <= self._clock():
            return None
        try:
            return self._access.is_offered_again(timeslot, asker)
        except GatewayError as error:
            _log.info("released slot not looked up", source=source, error=str(error))
            return None

    def _check_unit(
        self, record: BookingRecord, token: TimeslotToken, booking_id: BookingId
    ) -> None:
        unit = record.timeslot.schedule.unit
        if token.unit == unit:
            return
        if not self._access.can_be_moved_to(
            token.unit,
            source=record.source,
            unit=unit,
            booking_id=booking_id,
            asker=record.asker,
        ):
            raise Forbidden(
                "The region does not let this booking be moved to that unit: book the"
                " new time, then cancel this one.",
                source=record.source,
                error_code=ErrorCode.UPDATE_APPOINTMENT_IS_NOT_ALLOWED,
            )
