"""
The complex types that the interactions share (crm_scheduling_1.1.xsd).

Field for field in the schema's order; `firstName`, `middleName`, `lastName` of a
resident and `isInvitation` stand in the extension namespace.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from fhir_gateway.rivta.element import (
    BOOLEAN,
    DATE,
    FORMATTED,
    IDENTIFIER,
    NAME,
    PERMISSION,
    TEXT,
    TIME,
    Unreadable,
    element,
)

__all__ = [
    "CORE",
    "EXTENSION",
    "CareTypeType",
    "HealthcareFacilityInfoType",
    "PerformerAvailabilityByDateType",
    "PerformerInfoType",
    "SubjectOfCareType",
    "TimeTypeType",
    "TimeslotType",
]

CORE: Final = "urn:riv:crm:scheduling:1"
EXTENSION: Final = "urn:riv:crm:scheduling:1.1"


@dataclass(frozen=True, kw_only=True, repr=False)
class TimeslotType:
    """
    A free time, a booking or an invitation.

    Times are text, YYYYMMDDhhmmss, without a time zone; `model/timekeeping.py`
    converts them.
    """

    NAMESPACE: ClassVar[str] = CORE

    start_time_inclusive: str | None = element("startTimeInclusive", TIME)
    end_time_exclusive: str | None = element("endTimeExclusive", TIME)
    healthcare_facility: str = element("healthcare_facility", required=True)
    performer: str | None = element("performer", IDENTIFIER)
    booking_id: str | None = element("bookingId", IDENTIFIER)
    subject_of_care: str | None = element("subject_of_care")
    purpose: str | None = element("purpose", FORMATTED)
    reason: str | None = element("reason", TEXT)
    resource_name: str | None = element("resourceName", NAME)
    healthcare_facility_name: str | None = element("healthcare_facility_name", NAME)
    performer_name: str | None = element("performerName", NAME)
    resource_id: str | None = element("resourceID", IDENTIFIER)
    time_type_name: str | None = element("timeTypeName", NAME)
    time_type_id: str | None = element("timeTypeID", IDENTIFIER)
    care_type_name: str | None = element("careTypeName", NAME)
    care_type_id: str | None = element("careTypeID", IDENTIFIER)
    cancel_booking_allowed: bool | Unreadable | None = element(
        "cancel_booking_allowed", PERMISSION
    )
    rebooking_allowed: bool | Unreadable | None = element(
        "rebooking_allowed", PERMISSION
    )
    message_allowed: bool | Unreadable | None = element("message_allowed", PERMISSION)
    is_invitation: bool | None = element("isInvitation", BOOLEAN, namespace=EXTENSION)


@dataclass(frozen=True, kw_only=True, repr=False)
class SubjectOfCareType:
    """The resident; contact details come before names, in the schema's order."""

    NAMESPACE: ClassVar[str] = CORE

    phone: str | None = element("phone", TEXT)
    email: str | None = element("email", TEXT)
    address: str | None = element("address", TEXT)
    coaddress: str | None = element("coaddress", TEXT)
    first_name: str = element("firstName", TEXT, namespace=EXTENSION, required=True)
    middle_name: str | None = element("middleName", TEXT, namespace=EXTENSION)
    last_name: str = element("lastName", TEXT, namespace=EXTENSION, required=True)


@dataclass(frozen=True, kw_only=True)
class TimeTypeType:
    """
    A time type; its id is spelt `timeTypeId` here and `timeTypeID` elsewhere.

    The schema requires names and permits empty ones: those are "" here and below.
    """

    NAMESPACE: ClassVar[str] = CORE

    time_type_name: str = element("timeTypeName", NAME, required=True, absent="")
    time_type_id: str = element("timeTypeId", IDENTIFIER, required=True)


@dataclass(frozen=True, kw_only=True)
class CareTypeType:
    """A care type."""

    NAMESPACE: ClassVar[str] = CORE

    care_type_name: str = element("careTypeName", NAME, required=True, absent="")
    care_type_id: str = element("careTypeId", IDENTIFIER, required=True)


@dataclass(frozen=True, kw_only=True)
class PerformerInfoType:
    """A member of staff; the schema spells the element `perfomer`."""

    NAMESPACE: ClassVar[str] = CORE

    performer: str = element("perfomer", IDENTIFIER, required=True)
    first_name: str = element("firstName", NAME, required=True, absent="")
    last_name: str = element("lastName", NAME, required=True, absent="")
    title: str | None = element("title", NAME)


@dataclass(frozen=True, kw_only=True)
class HealthcareFacilityInfoType:
    """A unit that a resident can book at."""

    NAMESPACE: ClassVar[str] = CORE

    healthcare_facility: str = element("healthcare_facility", required=True)
    healthcare_facility_name: str | None = element("healthcare_facility_name", NAME)


@dataclass(frozen=True, kw_only=True)
class PerformerAvailabilityByDateType:
    """A day on which a performer or resource has a free time."""

    NAMESPACE: ClassVar[str] = "urn:riv:crm:scheduling:GetAvailableDatesResponder:1"

    healthcare_facility: str = element("healthcare_facility", required=True)
    performer: str | None = element("performer", IDENTIFIER)
    date: str = element("date", DATE, required=True)
    resource_name: str | None = element("resourceName", NAME)
    resource_id: str | None = element("resourceID", IDENTIFIER)
    time_type_name: str | None = element("timeTypeName", NAME)
    time_type_id: str | None = element("timeTypeID", IDENTIFIER)
    care_type_name: str | None = element("careTypeName", NAME)
    care_type_id: str | None = element("careTypeID", IDENTIFIER)
