"""
Builders of posts of the engagement index.
"""

from datetime import UTC, datetime
from typing import Final

from fhir_gateway.model.engagement import Category, Engagement
from fhir_gateway.model.ids import BookingId, HsaId
from fhir_gateway.model.person import PersonalIdentityNumber

__all__ = ["MARKS", "TOLVAN", "post"]

TOLVAN: Final = PersonalIdentityNumber("191212121212")
MARKS: Final = (TOLVAN.reveal(), TOLVAN.reveal()[2:])


def post(
    which: int = 1,
    *,
    resident: PersonalIdentityNumber = TOLVAN,
    category: Category = Category.NOT_STATED,
    unit: str = "SE2321009901-UNIT1",
    starts_at: datetime | None = datetime(2027, 3, 1, 8, 30, tzinfo=UTC),
) -> Engagement:
    """Return the post of that ordinal."""
    return Engagement(
        resident=resident,
        category=category,
        unit=HsaId(unit),
        booking_id=BookingId(f"B-{which}"),
        source_system=HsaId("SE2321009901-SYSTEM1"),
        data_controller="232100-9901",
        starts_at=starts_at,
    )
