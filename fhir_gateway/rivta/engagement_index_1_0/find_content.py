"""
FindContent 1.0: ask the index which posts a resident has.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from fhir_gateway.model.engagement import FIND_CONTENT
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.element import IDENTIFIER, TIME, element, elements
from fhir_gateway.rivta.engagement_index_1_0.types import EngagementType
from fhir_gateway.rivta.limit import PERSONAL

__all__ = ["CONTRACT", "NAMESPACE", "Request", "Response"]

NAMESPACE: Final = "urn:riv:itintegration:engagementindex:FindContentResponder:1"


@dataclass(frozen=True, kw_only=True, repr=False)
class Request:
    """
    The body of FindContent.

    Each filter is an equality, except `most_recent_content`: at or after.
    """

    NAMESPACE: ClassVar[str] = NAMESPACE

    registered_resident_identification: str = element(
        "registeredResidentIdentification", required=True
    )
    service_domain: str = element("serviceDomain", required=True)
    categorization: str | None = element("categorization")
    logical_address: str | None = element("logicalAddress")
    business_object_instance_identifier: str | None = element(
        "businessObjectInstanceIdentifier", IDENTIFIER
    )
    clinical_process_interest_id: str | None = element("clinicalProcessInterestId")
    most_recent_content: str | None = element("mostRecentContent", TIME)
    source_system: str | None = element("sourceSystem")
    data_controller: str | None = element("dataController")
    owner: str | None = element("owner")


@dataclass(frozen=True, kw_only=True, repr=False)
class Response:
    """The body of FindContentResponse."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    engagements: tuple[EngagementType, ...] = elements(
        "engagement", EngagementType, rejects_items=True
    )


CONTRACT: Final = Contract(FIND_CONTENT, NAMESPACE, Request, Response, limit=PERSONAL)
