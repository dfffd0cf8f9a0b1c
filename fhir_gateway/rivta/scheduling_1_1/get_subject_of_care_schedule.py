"""
GetSubjectOfCareSchedule 1.1: every booked time of a resident.

Open invitations are never among them.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from fhir_gateway.model import scheduling
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.element import element, elements
from fhir_gateway.rivta.scheduling_1_1.types import TimeslotType

__all__ = ["CONTRACT", "NAMESPACE", "Request", "Response"]

NAMESPACE: Final = "urn:riv:crm:scheduling:GetSubjectOfCareScheduleResponder:1"


@dataclass(frozen=True, kw_only=True, repr=False)
class Request:
    """The body of GetSubjectOfCareSchedule."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    healthcare_facility: str = element("healthcare_facility", required=True)
    subject_of_care: str = element("subject_of_care", required=True)


@dataclass(frozen=True, kw_only=True, repr=False)
class Response:
    """The body of GetSubjectOfCareScheduleResponse."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    timeslot_detail: tuple[TimeslotType, ...] = elements(
        "timeslotDetail", TimeslotType, rejects_items=True, key="startTimeInclusive"
    )


CONTRACT: Final = Contract(
    scheduling.GET_SUBJECT_OF_CARE_SCHEDULE, NAMESPACE, Request, Response
)
