"""
Reads a request as strictly as the contract permits: crm:scheduling 1.1.5 and its TKB.

Each rule that a request breaks is a fault of the service platform, or of the consumer.
"""

import re
from typing import Any, Final

from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.envelope import Call, read_request
from fhir_gateway.rivta.rejection import MalformedElement
from fhir_gateway.rivta.scheduling_1_1.make_booking import Request as MakeBookingRequest
from fhir_gateway.rivta.scheduling_1_1.types import TimeslotType
from fhir_gateway.rivta.scheduling_1_1.update_booking import (
    Request as UpdateBookingRequest,
)
from fhir_gateway.sandbox.producer import client_fault, platform_fault
from fhir_gateway.sandbox.strictness import first_difference

__all__ = ["read_checked_request"]

# The schema's own pattern. In XSD "^" and "$" would be ordinary characters.
_SUBJECT_OF_CARE: Final = re.compile(r"[0-9]{8}[0-9pPtTfF][0-9]{3}")


def read_checked_request(
    contract: Contract[Any, Any],
    call: Call,
    *,
    soap_action: str,
    aggregated_address: str | None,
) -> Any:  # noqa: ANN401 - each contract has its own
    """
    Return the request that a call carries.

    Args:
        contract: The contract that the body names.
        call: The message.
        soap_action: The value of its header SOAPAction.
        aggregated_address: The address that stands for all units of the region.

    Raises:
        ProducerFault: The message breaks a rule.
    """
    if soap_action.strip().strip('"') != contract.action:
        raise platform_fault("VP015", "SOAPAction")
    if call.actor is None:
        raise platform_fault("VP015", "Actor")
    try:
        request = read_request(contract, call)
    except MalformedElement as error:
        raise platform_fault("VP015", error.element) from None
    difference = first_difference(contract, request, call.body)
    if difference:
        raise platform_fault("VP015", difference)
    _check_subject(request)
    if call.logical_address != aggregated_address:
        _check_address(request, call)
    return request


def _check_subject(request: Any) -> None:  # noqa: ANN401 - the request of any contract
    slot = getattr(request, "requested_timeslot", None)
    holder = request if slot is None else slot
    number = getattr(holder, "subject_of_care", "")
    if slot is not None:
        _check_requested_time(slot)
        if isinstance(request, UpdateBookingRequest) and slot.booking_id is None:
            raise platform_fault("VP015", "bookingId")
    if number and not _SUBJECT_OF_CARE.fullmatch(number):
        raise platform_fault("VP015", "subject_of_care")


def _check_requested_time(slot: TimeslotType) -> None:
    """
    Check a requested time against the TKB's table, which is narrower than the schema.

    Raises:
        ProducerFault: A time or the resident is missing, or the request has a flag that
            only a producer may set.
    """
    for name, value in (
        ("startTimeInclusive", slot.start_time_inclusive),
        ("endTimeExclusive", slot.end_time_exclusive),
        ("subject_of_care", slot.subject_of_care),
    ):
        if value is None:
            raise platform_fault("VP015", name)
    for name, flag in (
        ("cancel_booking_allowed", slot.cancel_booking_allowed),
        ("rebooking_allowed", slot.rebooking_allowed),
        ("message_allowed", slot.message_allowed),
        ("isInvitation", slot.is_invitation),
    ):
        if flag is not None:
            raise platform_fault("VP015", name)


def _check_address(request: Any, call: Call) -> None:  # noqa: ANN401 - any
    # The contract does not say which unit's address a move to another unit has: both
    # are accepted.
    if isinstance(request, UpdateBookingRequest):
        return
    facility = (
        request.requested_timeslot.healthcare_facility
        if isinstance(request, MakeBookingRequest)
        else request.healthcare_facility
    )
    if (call.logical_address or "").upper() != facility.upper():
        raise client_fault("LogicalAddress är inte mottagningens adress")
