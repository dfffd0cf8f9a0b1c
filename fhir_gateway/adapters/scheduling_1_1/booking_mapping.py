"""
Maps bookings and residents between the contract's types and the model.

An impossible value raises `MalformedElement` with the name of the element, never with
the value.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from fhir_gateway.adapters.scheduling_1_1.directory_mapping import unit_from_wire
from fhir_gateway.model.booking import (
    Booking,
    BookingPermissions,
    KeptPart,
    Silence,
    SilenceCause,
    Wish,
)
from fhir_gateway.model.ids import (
    BookingId,
    CareTypeId,
    LogicalAddress,
    PerformerId,
    ResourceId,
    TimeTypeId,
)
from fhir_gateway.model.person import (
    PersonalIdentityNumber,
    SubjectOfCare,
    is_possible_number,
)
from fhir_gateway.model.timekeeping import (
    end_from_contract,
    start_from_contract,
)
from fhir_gateway.rivta.element import UNREADABLE
from fhir_gateway.rivta.envelope import ContractAnswer
from fhir_gateway.rivta.fault import Fault
from fhir_gateway.rivta.processing_status import StatusCode, SynchError
from fhir_gateway.rivta.rejection import MalformedElement
from fhir_gateway.rivta.scheduling_1_1.types import (
    SubjectOfCareType,
    TimeslotType,
)

__all__ = [
    "answered_units",
    "booking_from_wire",
    "cached_parts",
    "check_booking_id",
    "lost_starts",
    "names_any",
    "silences",
    "subject_of_care_info",
    "unreached_units",
]

# Twelve characters: the engagement index permits more than the contract does.
_TEMPORARY: Final = re.compile(r"[0-9]{8}[0-9A-Za-z]{4}")
_PLATFORM_CAUSES: Final = {
    "VP004": SilenceCause.NOT_SUPPORTED,
    "VP007": SilenceCause.NOT_PERMITTED,
}
_GATEWAY_TIMEOUT: Final = "504"
_HYPHEN: Final = re.compile(r"(?<=[0-9]{8})[-+ ](?=[0-9A-Za-z]{4}$)")


def booking_from_wire(wire: TimeslotType, left_out: list[str]) -> Booking:
    """
    Return a booking, or an open invitation when it has neither start nor end.

    Args:
        wire: The source's description.
        left_out: Receives the fault of an impossible end, which is left out.
    """
    start, end = _booked_period(wire, left_out)
    number = _number_from_wire(wire.subject_of_care)
    return Booking(
        unit=unit_from_wire(wire.healthcare_facility),
        booking_id=BookingId(wire.booking_id) if wire.booking_id else None,
        start=start,
        end=end,
        subject_of_care=number,
        time_type_id=TimeTypeId(wire.time_type_id) if wire.time_type_id else None,
        time_type_name=wire.time_type_name,
        performer=PerformerId(wire.performer) if wire.performer else None,
        performer_name=wire.performer_name,
        resource_id=ResourceId(wire.resource_id) if wire.resource_id else None,
        resource_name=wire.resource_name,
        care_type_id=CareTypeId(wire.care_type_id) if wire.care_type_id else None,
        care_type_name=wire.care_type_name,
        purpose=wire.purpose,
        reason=wire.reason,
        permissions=BookingPermissions(
            cancel=bool(wire.cancel_booking_allowed),
            rebook=bool(wire.rebooking_allowed),
            message=bool(wire.message_allowed),
            unreadable=frozenset(
                wish
                for wish, flag in (
                    (Wish.CANCEL, wire.cancel_booking_allowed),
                    (Wish.REBOOK, wire.rebooking_allowed),
                    (Wish.MESSAGE, wire.message_allowed),
                )
                if flag is UNREADABLE
            ),
        ),
        is_invitation=bool(wire.is_invitation),
    )


def check_booking_id(booking: Booking, asked: BookingId) -> None:
    """
    Check that a description is of the booking that was asked about.

    A description without a booking id passes.

    Raises:
        MalformedElement: It describes another booking.
    """
    described = booking.booking_id
    if described is not None and described != asked:
        raise MalformedElement("bookingId", "is another booking than the requested one")


def subject_of_care_info(subject: SubjectOfCare) -> SubjectOfCareType:
    """Return the details of a resident that a region receives."""
    return SubjectOfCareType(
        phone=subject.phone,
        email=subject.email,
        address=subject.address,
        first_name=subject.first_name,
        middle_name=subject.middle_name,
        last_name=subject.last_name,
    )


def lost_starts(
    answer: ContractAnswer, start_texts: Iterable[str | None]
) -> frozenset[datetime | None]:
    """
    Return the start of each booking that is left out; None for an unreadable start.

    Args:
        answer: The answer, with the items that reading left out.
        start_texts: The starts of bookings that mapping left out, as in the contract.
    """
    starts: set[datetime | None] = set()
    for text in (*answer.lost, *start_texts):
        try:
            starts.add(None if text is None else start_from_contract(text))
        except ValueError:
            starts.add(None)
    return frozenset(starts)


def cached_parts(answer: ContractAnswer) -> tuple[KeptPart, ...]:
    """Return the parts of an aggregated answer that come from its cache."""
    return tuple(
        KeptPart(
            unit=LogicalAddress(record.logical_address),
            since=_synch_from_wire(record.last_successful_synch),
            is_failed=(
                record.status_code == StatusCode.DATA_FROM_CACHE_SYNCH_FAILED.value
            ),
        )
        for record in answer.processing_status or ()
        if record.is_from_cache
    )


def unreached_units(answer: ContractAnswer) -> tuple[LogicalAddress, ...]:
    """Return the units of which an aggregating service has no data."""
    return tuple(
        LogicalAddress(record.logical_address)
        for record in answer.processing_status or ()
        if not record.is_from_source and not record.is_from_cache
    )


def silences(answer: ContractAnswer) -> tuple[Silence, ...]:
    """Return why an aggregating service has no data of each of the other units."""
    return tuple(
        Silence(
            unit=LogicalAddress(record.logical_address),
            cause=_cause_of(record.last_unsuccessful_synch_error),
            last_answered_at=_synch_from_wire(record.last_successful_synch),
        )
        for record in answer.processing_status or ()
        if not record.is_from_source and not record.is_from_cache
    )


def _cause_of(error: SynchError | None) -> SilenceCause:
    """
    Return why a unit did not answer.

    The aggregating service (skltp/agp) puts the fault's text into `text`, with the
    platform's code at its start, and 504 into `code` where the unit was too slow.
    """
    if error is None:
        return SilenceCause.UNKNOWN
    text = error.text or ""
    platform_code = Fault(code=error.code or "", text=text).platform_code
    if platform_code in _PLATFORM_CAUSES:
        return _PLATFORM_CAUSES[platform_code]
    if error.code == _GATEWAY_TIMEOUT or "timed out" in text.lower():
        return SilenceCause.TIMEOUT
    if platform_code is not None:
        return SilenceCause.UNREACHABLE
    if error.causing_agent == "engagement_index":
        return SilenceCause.INDEX_FAILED
    return SilenceCause.UNKNOWN


def answered_units(answer: ContractAnswer) -> frozenset[LogicalAddress] | None:
    """Return the units of which an aggregating service has data; None without one."""
    if answer.processing_status is None:
        return None
    return frozenset(
        LogicalAddress(record.logical_address)
        for record in answer.processing_status
        if record.is_from_source or record.is_from_cache
    )


def names_any(answer: ContractAnswer, asked: Iterable[str]) -> bool:
    """
    Return whether an answer speaks for one of the addresses that were asked.

    An aggregating service names each unit that it asked, and leaves out without a word
    the units that it may not ask.
    """
    if answer.processing_status is None:
        return True
    named = {each.logical_address.strip().upper() for each in answer.processing_status}
    return not named.isdisjoint(each.strip().upper() for each in asked)


def _synch_from_wire(text: str | None) -> datetime | None:
    try:
        return None if text is None else start_from_contract(text)
    except ValueError:
        return None


def _number_from_wire(text: str | None) -> PersonalIdentityNumber | None:
    """
    Return a personal number; None for no number, and for a temporary one.

    A text in the form of a personal number must be a valid one.
    """
    if text is None:
        return None
    digits = _HYPHEN.sub("", text)
    # National temporary numbers contain letters, local ones impossible dates.
    if _TEMPORARY.fullmatch(digits) and not is_possible_number(digits):
        return None
    try:
        return PersonalIdentityNumber(digits)
    except ValueError as error:
        raise MalformedElement("subject_of_care", str(error)) from None


def _booked_period(
    wire: TimeslotType, left_out: list[str]
) -> tuple[datetime | None, datetime | None]:
    if wire.start_time_inclusive is None and wire.end_time_exclusive is None:
        return None, None
    if wire.start_time_inclusive is None:
        raise MalformedElement("startTimeInclusive", "is missing")
    try:
        start = start_from_contract(wire.start_time_inclusive)
    except ValueError as error:
        raise MalformedElement("startTimeInclusive", str(error)) from None
    if wire.end_time_exclusive is None:
        return start, None
    if wire.end_time_exclusive == wire.start_time_inclusive:
        return start, start
    try:
        return start, end_from_contract(wire.end_time_exclusive, start)
    except ValueError as error:
        left_out.append(f"endTimeExclusive: {error}")
        return start, None
