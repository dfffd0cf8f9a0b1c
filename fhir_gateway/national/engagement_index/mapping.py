"""
Posts of the engagement index as its contracts have them.
"""

from typing import Final

from fhir_gateway.model.engagement import (
    SERVICE_DOMAIN,
    Category,
    Engagement,
    EngagementChange,
)
from fhir_gateway.model.ids import BookingId, HsaId
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timekeeping import civil_time_text, start_from_contract
from fhir_gateway.rivta.engagement_index_1_0.types import (
    EngagementTransactionType,
    EngagementType,
)

__all__ = [
    "change_from_transaction",
    "engagement_from_type",
    "transaction_from_change",
    "type_from_engagement",
]

_NOT_STATED: Final = "NA"
_CATEGORIES: Final = {each.value.upper(): each for each in Category}


def type_from_engagement(engagement: Engagement) -> EngagementType:
    """Return a post as the contracts have it."""
    start = engagement.starts_at
    return EngagementType(
        registered_resident_identification=engagement.resident.reveal(),
        service_domain=SERVICE_DOMAIN,
        categorization=engagement.category.value,
        logical_address=engagement.unit,
        business_object_instance_identifier=engagement.booking_id,
        clinical_process_interest_id=_NOT_STATED,
        most_recent_content=None if start is None else civil_time_text(start),
        source_system=engagement.source_system,
        data_controller=engagement.data_controller,
    )


def transaction_from_change(change: EngagementChange) -> EngagementTransactionType:
    """Return a changed post; a deleted one has no time (crm:scheduling 1.1.5)."""
    post = change.engagement
    return EngagementTransactionType(
        delete_flag=change.is_deleted,
        engagement=type_from_engagement(
            post.without_start() if change.is_deleted else post
        ),
    )


def engagement_from_type(post: EngagementType) -> Engagement | None:
    """
    Return a post that the index has written; None for one of no use here.

    Such are posts of other service domains and categories, about persons without a
    personal number, and with an address that is no HSA-id.
    """
    if post.service_domain.removeprefix("urn:") != SERVICE_DOMAIN:
        return None
    category = _CATEGORIES.get(post.categorization.upper())
    if category is None:
        return None
    try:
        return Engagement(
            resident=PersonalIdentityNumber(post.registered_resident_identification),
            category=category,
            unit=HsaId(post.logical_address),
            booking_id=BookingId(post.business_object_instance_identifier),
            source_system=HsaId(post.source_system),
            data_controller=post.data_controller,
            starts_at=(
                None
                if post.most_recent_content is None
                else start_from_contract(post.most_recent_content)
            ),
        )
    except ValueError:
        return None


def change_from_transaction(
    transaction: EngagementTransactionType,
) -> EngagementChange | None:
    """Return a changed post; None for one of no use here."""
    engagement = engagement_from_type(transaction.engagement)
    if engagement is None:
        return None
    updated = transaction.engagement.update_time
    return EngagementChange(
        engagement=engagement,
        is_deleted=transaction.delete_flag,
        updated_at=None if updated is None else start_from_contract(updated),
    )
