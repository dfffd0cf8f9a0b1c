"""
An open invitation (`öppen kallelse`): a unit asks a resident to choose a time.
"""

from dataclasses import dataclass
from datetime import datetime

from fhir_gateway.model.booking import BookingPermissions, BookingStatus
from fhir_gateway.model.ids import BookingId, HsaId, SourceName, TimeTypeId
from fhir_gateway.model.interaction import Actor, Asker
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timeslot import NO_TIME_TYPE, Schedule

__all__ = ["OpenInvitation"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OpenInvitation:
    """
    An open invitation that this server has an id for.

    Once it is booked, the booking has its id, and this is no more.

    Attributes:
        id: Our own id.
        version: It grows by one at each change that a client can see.
        status: PROPOSED, or CANCELLED when its unit has taken it back.
        schedule: The inviting unit, and what the visit is about.
        booking_id: The region's id.
        purpose: The unit's own text; None where its source could not be asked.
        confirmed_at: When its source last confirmed it.
    """

    id: str
    version: int
    status: BookingStatus
    source: SourceName
    schedule: Schedule
    booking_id: BookingId
    number: PersonalIdentityNumber
    permissions: BookingPermissions
    created_at: datetime
    updated_at: datetime
    confirmed_at: datetime
    purpose: str | None = None

    @property
    def unit(self) -> HsaId:
        """Return the unit that invites."""
        return self.schedule.unit

    @property
    def time_type_id(self) -> TimeTypeId | None:
        """Return the only time type that can be booked; None where none is stated."""
        time_type = self.schedule.time_type_id
        return None if time_type == NO_TIME_TYPE else time_type

    @property
    def asker(self) -> Asker:
        """Return the resident as who asks its source."""
        return Asker(resident=self.number, actor=Actor.resident(self.number))
