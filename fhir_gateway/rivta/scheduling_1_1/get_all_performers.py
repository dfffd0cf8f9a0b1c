"""
GetAllPerformers 1.1: the staff that a resident can choose.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from fhir_gateway.model import scheduling
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.element import IDENTIFIER, element, elements
from fhir_gateway.rivta.limit import LIST
from fhir_gateway.rivta.scheduling_1_1.types import PerformerInfoType

__all__ = ["CONTRACT", "NAMESPACE", "Request", "Response"]

NAMESPACE: Final = "urn:riv:crm:scheduling:GetAllPerformersResponder:1"


@dataclass(frozen=True, kw_only=True, repr=False)
class Request:
    """The body of GetAllPerformers."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    healthcare_facility: str = element("healthcare_facility", required=True)
    time_type_ids: tuple[str, ...] = elements("timeTypeIDs", IDENTIFIER)
    care_type_ids: tuple[str, ...] = elements("careTypeIDs", IDENTIFIER)
    subject_of_care: str = element("subject_of_care", required=True)


@dataclass(frozen=True, kw_only=True, repr=False)
class Response:
    """The body of GetAllPerformersResponse."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    performer_infos: tuple[PerformerInfoType, ...] = elements(
        "performerInfos", PerformerInfoType, rejects_items=True
    )


CONTRACT: Final = Contract(
    scheduling.GET_ALL_PERFORMERS, NAMESPACE, Request, Response, limit=LIST
)
