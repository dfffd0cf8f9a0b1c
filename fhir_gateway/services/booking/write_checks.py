"""
Checks before a write is sent.
"""

from typing import Final

from fhir_gateway.model.booking import (
    Booking,
    Wish,
)
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.errors import (
    Conflict,
    Forbidden,
    Incorrect,
    MalformedAnswer,
    Stale,
    Unavailable,
)
from fhir_gateway.model.ids import BookingId, HsaId, SourceName
from fhir_gateway.model.source import Source
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.model.unit_ability import UnitAbility
from fhir_gateway.services.source.source_access import SourceAccess
from fhir_gateway.services.source.unit_lack import lack_sentence
from fhir_gateway.stores.journal import (
    BookingRecord,
    BookingState,
    WriteIntent,
)

__all__ = [
    "check_ability",
    "check_booked",
    "check_readable",
    "check_reason",
    "require_booking_id",
    "target_of",
]


_ERROR_CODES: Final = {
    UnitAbility.BOOK: ErrorCode.APPOINTMENT_IS_NOT_ALLOWED,
    UnitAbility.RESCHEDULE: ErrorCode.UPDATE_APPOINTMENT_IS_NOT_ALLOWED,
    UnitAbility.CANCEL: ErrorCode.CANCEL_IS_NOT_ALLOWED,
    UnitAbility.LIST: ErrorCode.REGION_CANNOT_EXPRESS_IT,
}


def check_booked(record: BookingRecord, version: int | None) -> None:
    """Check that a booking is booked, and has the version that its client read."""
    if record.state is not BookingState.BOOKED:
        raise Conflict(
            "The appointment is not booked, so it cannot be changed; read it again.",
            error_code=(
                ErrorCode.APPOINTMENT_IS_ALREADY_CANCELED
                if record.state is BookingState.CANCELLED
                else None
            ),
        )
    if version is not None and version != record.version:
        raise Stale("The appointment has changed since you read it; read it again.")


def check_ability(access: SourceAccess, unit: HsaId, ability: UnitAbility) -> None:
    """
    Check that a unit is not known to lack an ability.

    Raises:
        Forbidden: It lacks it; the message says what to do instead.
    """
    known = access.find_unit(unit)
    if known is None:
        return
    sentence = lack_sentence(known, ability, access.sources.get(known.source))
    if sentence is not None:
        raise Forbidden(
            sentence,
            source=known.source,
            error_code=_ERROR_CODES[ability],
        )


def check_readable(details: Booking | None, wish: Wish, source: SourceName) -> None:
    """Check that the source's permission for a wish could be read."""
    if details is not None and wish in details.permissions.unreadable:
        raise MalformedAnswer(
            "The region's permission for this change of the booking could not be read;"
            " try again, or contact the unit.",
            element="timeslotDetail",
            source=source,
        )


def check_reason(source: Source, reason: str | None) -> None:
    """Check that a source accepts a resident's text of that length."""
    if reason is None or source.reason_limit is None:
        return
    if len(reason) > source.reason_limit:
        raise Incorrect(
            f"{source.title} takes at most {source.reason_limit} characters of"
            " comment.",
            source=source.name,
        )


def target_of(intent: WriteIntent) -> Timeslot:
    """Return the time that a write books or moves to."""
    if intent.timeslot is None:
        raise TypeError("a cancellation has no time to book")
    return intent.timeslot


def require_booking_id(record: BookingRecord) -> BookingId:
    """Return the region's id of a booking; raise Unavailable if it is not known."""
    if record.booking_id is None:
        raise Unavailable(
            "The region has not sent the booking's id yet; try again in a minute.",
            source=record.source,
        )
    return record.booking_id
