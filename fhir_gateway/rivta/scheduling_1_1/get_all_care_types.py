"""
GetAllCareTypes 1.1: a unit's own grouping of its time types.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from fhir_gateway.model import scheduling
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.element import IDENTIFIER, element, elements
from fhir_gateway.rivta.limit import LIST
from fhir_gateway.rivta.scheduling_1_1.types import CareTypeType

__all__ = ["CONTRACT", "NAMESPACE", "Request", "Response"]

NAMESPACE: Final = "urn:riv:crm:scheduling:GetAllCareTypesResponder:1"


@dataclass(frozen=True, kw_only=True, repr=False)
class Request:
    """The body of GetAllCareTypes."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    healthcare_facility: str = element("healthcare_facility", required=True)
    time_type_ids: tuple[str, ...] = elements("timeTypeIDs", IDENTIFIER)
    performer: tuple[str, ...] = elements("performer", IDENTIFIER)
    subject_of_care: str = element("subject_of_care", required=True)


@dataclass(frozen=True, kw_only=True, repr=False)
class Response:
    """The body of GetAllCareTypesResponse."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    care_types: tuple[CareTypeType, ...] = elements(
        "careTypes", CareTypeType, rejects_items=True
    )


CONTRACT: Final = Contract(
    scheduling.GET_ALL_CARE_TYPES, NAMESPACE, Request, Response, limit=LIST
)
