"""
What GetAvailableDates 1.1 and GetAvailableTimeslots 1.1 ask alike.
"""

from dataclasses import dataclass

from fhir_gateway.rivta.element import DATE, IDENTIFIER, NAME, element, elements

__all__ = ["AvailabilityRequest"]


@dataclass(frozen=True, kw_only=True, repr=False)
class AvailabilityRequest:
    """
    The elements of both bodies, in their order.

    In each body `subject_of_care` follows, in a namespace of the contract's own.
    """

    healthcare_facility: str = element("healthcare_facility", required=True)
    booking_id: str | None = element("bookingId", IDENTIFIER)
    start_date_inclusive: str = element("startDateInclusive", DATE, required=True)
    end_date_inclusive: str = element("endDateInclusive", DATE, required=True)
    performer: tuple[str, ...] = elements("performer", IDENTIFIER)
    time_type_name: str | None = element("timeTypeName", NAME)
    time_type_id: str | None = element("timeTypeID", IDENTIFIER)
    care_type_name: str | None = element("careTypeName", NAME)
    care_type_id: str | None = element("careTypeID", IDENTIFIER)
