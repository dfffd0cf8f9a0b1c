"""
The types of itintegration:engagementindex 1.0.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Final

from fhir_gateway.rivta.element import BOOLEAN, IDENTIFIER, TIME, element

__all__ = [
    "ENGAGEMENT_INDEX",
    "EngagementTransactionType",
    "EngagementType",
]

ENGAGEMENT_INDEX: Final = "urn:riv:itintegration:engagementindex:1"

# Whether to delete a post is never guessed: a flag that cannot be read is a fault.
_FLAG: Final = replace(BOOLEAN, can_be_left_out=False)
# A time that the index itself sets; nothing depends on one that cannot be read.
_STAMP: Final = replace(TIME, can_be_left_out=True)


@dataclass(frozen=True, kw_only=True, repr=False)
class EngagementType:
    """A post of the index."""

    NAMESPACE: ClassVar[str] = ENGAGEMENT_INDEX

    registered_resident_identification: str = element(
        "registeredResidentIdentification", required=True
    )
    service_domain: str = element("serviceDomain", required=True)
    categorization: str = element("categorization", required=True)
    logical_address: str = element("logicalAddress", required=True)
    business_object_instance_identifier: str = element(
        "businessObjectInstanceIdentifier", IDENTIFIER, required=True
    )
    clinical_process_interest_id: str = element(
        "clinicalProcessInterestId", required=True
    )
    most_recent_content: str | None = element("mostRecentContent", TIME)
    source_system: str = element("sourceSystem", required=True)
    creation_time: str | None = element("creationTime", _STAMP)
    update_time: str | None = element("updateTime", _STAMP)
    data_controller: str = element("dataController", required=True)
    owner: str | None = element("owner")


@dataclass(frozen=True, kw_only=True, repr=False)
class EngagementTransactionType:
    """A post, and whether it is deleted."""

    NAMESPACE: ClassVar[str] = ENGAGEMENT_INDEX

    delete_flag: bool = element("deleteFlag", _FLAG, required=True)
    engagement: EngagementType = element("engagement", EngagementType, required=True)
