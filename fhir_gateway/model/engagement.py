"""
Posts of the engagement index (`engagemangsindex`): where a resident has bookings.

A post says that a resident has a booking or an invitation at a unit. Its key is all of
it but its time (itintegration:engagementindex 1.0, rules of crm:scheduling 1.1.5). So
only the time of a post can change; a change of anything else is a deletion and a new
post.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Final

from fhir_gateway.model.ids import BookingId, HsaId
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timekeeping import epoch_seconds, instant_from_epoch

__all__ = [
    "FIND_CONTENT",
    "MOST_POSTS",
    "PROCESS_NOTIFICATION",
    "SERVICE_DOMAIN",
    "UPDATE",
    "Category",
    "Engagement",
    "EngagementChange",
    "IndexedSource",
]

UPDATE: Final = Interaction("Update")
"""It is no `writes`: a post that is sent again changes nothing."""

PROCESS_NOTIFICATION: Final = Interaction("ProcessNotification")
FIND_CONTENT: Final = Interaction("FindContent")

SERVICE_DOMAIN: Final = "riv:crm:scheduling"
"""The service domain of bookings in the index; it has no `urn:` (crm:scheduling)."""

MOST_POSTS: Final = 1_000
"""The most posts of one message (engagement index, error EI000)."""


class Category(Enum):
    """
    What a post is about (`categorization`).

    Since crm:scheduling 1.1.2 every post has NOT_STATED; older sources still
    state BOOKING or INVITATION.
    """

    BOOKING = "Booking"
    INVITATION = "Invitation"
    NOT_STATED = "NA"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Engagement:
    """
    A post of the index about a booking or an invitation.

    Attributes:
        resident: The resident who has it.
        category: What it is about.
        unit: The unit to ask, by its HSA-id (`logicalAddress`).
        booking_id: The unit's id of the booking or invitation.
        source_system: The HSA-id of the booking system.
        data_controller: The care provider, as its source writes it.
        starts_at: When the visit begins; of an open invitation the day that the unit
            states for it (`mostRecentContent`). None where the post has none.
    """

    resident: PersonalIdentityNumber
    category: Category = Category.NOT_STATED
    unit: HsaId
    booking_id: BookingId
    source_system: HsaId
    data_controller: str
    starts_at: datetime | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(unit={self.unit!r})"

    @property
    def key(self) -> tuple[str, ...]:
        """Return what identifies the post; it holds the resident's number."""
        return (
            self.resident.reveal(),
            self.category.value,
            self.unit,
            self.booking_id,
            self.source_system,
            self.data_controller,
        )

    def without_start(self) -> "Engagement":
        """Return the post as a deletion has it: without its time."""
        return replace(self, starts_at=None)

    def as_mapping(self) -> dict[str, str]:
        """Return all of it, for an encrypted row."""
        start = (
            {}
            if self.starts_at is None
            else {"starts_at": str(epoch_seconds(self.starts_at))}
        )
        return {
            "number": self.resident.reveal(),
            "category": self.category.value,
            "unit": self.unit,
            "booking": self.booking_id,
            "source_system": self.source_system,
            "data_controller": self.data_controller,
            **start,
        }

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, str]) -> "Engagement":
        """Return the post of an encrypted row."""
        start = mapping.get("starts_at")
        return cls(
            resident=PersonalIdentityNumber(mapping["number"]),
            category=Category(mapping["category"]),
            unit=HsaId(mapping["unit"]),
            booking_id=BookingId(mapping["booking"]),
            source_system=HsaId(mapping["source_system"]),
            data_controller=mapping["data_controller"],
            starts_at=None if start is None else instant_from_epoch(int(start)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EngagementChange:
    """
    A post that is new, has another time, or is deleted.

    Attributes:
        is_deleted: The index has it no more.
        updated_at: When the index got the change, where it says so.
    """

    engagement: Engagement
    is_deleted: bool = False
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedSource:
    """
    What the posts of a source have in common, where this program keeps the index.

    Attributes:
        source_system: The HSA-id of its booking system.
        data_controller: The care provider of its posts.
    """

    source_system: HsaId
    data_controller: str
