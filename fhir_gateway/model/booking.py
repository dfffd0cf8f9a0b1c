"""
A booked time, what it permits, and what a region answers to a write.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from fhir_gateway.model.ids import (
    BookingId,
    CareTypeId,
    HsaId,
    ResourceId,
    TimeTypeId,
)
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timeslot import Schedule

__all__ = ["Booking", "BookingPermissions", "ResultCode", "WriteResult"]


class ResultCode(Enum):
    """What a region answers to a write (crm:scheduling 1.1, `ResultCodeEnum`)."""

    OK = "OK"
    INFO = "INFO"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteResult:
    """
    A region's answer to MakeBooking, UpdateBooking or CancelBooking.

    OK and INFO both mean done; the text of INFO and ERROR must be shown.
    """

    code: ResultCode
    text: str | None = None
    booking_id: BookingId | None = None

    @property
    def is_done(self) -> bool:
        """Return whether the region did what it was asked."""
        return self.code is not ResultCode.ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingPermissions:
    """What the region lets the resident do with a booking; absent means no."""

    cancel: bool = False
    rebook: bool = False
    message: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """
    A booked time or an invitation (`kallelse`) as its source describes it.

    An open invitation has neither start nor end.

    Attributes:
        purpose: What the unit says of it, as plain text.
        reason: What the resident wrote when booking.
    """

    unit: HsaId
    booking_id: BookingId | None
    start: datetime | None
    end: datetime | None
    subject_of_care: PersonalIdentityNumber | None = None
    time_type_id: TimeTypeId | None = None
    time_type_name: str | None = None
    performer: HsaId | None = None
    performer_name: str | None = None
    resource_id: ResourceId | None = None
    resource_name: str | None = None
    care_type_id: CareTypeId | None = None
    care_type_name: str | None = None
    purpose: str | None = None
    reason: str | None = None
    permissions: BookingPermissions = BookingPermissions()
    is_invitation: bool = False

    @property
    def schedule(self) -> Schedule | None:
        """Return whose time it is, where the source says its time type."""
        if self.time_type_id is None:
            return None
        return Schedule(
            unit=self.unit,
            time_type_id=self.time_type_id,
            time_type_name=self.time_type_name or self.time_type_id,
            performer=self.performer,
            performer_name=self.performer_name,
            resource_id=self.resource_id,
            resource_name=self.resource_name,
            care_type_id=self.care_type_id,
            care_type_name=self.care_type_name,
        )
