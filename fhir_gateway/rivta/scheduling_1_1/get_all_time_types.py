"""
GetAllTimeTypes 1.1: the time types that a resident can book at a unit.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from fhir_gateway.model import scheduling
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.element import IDENTIFIER, element, elements
from fhir_gateway.rivta.limit import LIST
from fhir_gateway.rivta.scheduling_1_1.types import TimeTypeType

__all__ = ["CONTRACT", "EXTENSION", "NAMESPACE", "Request", "Response"]

NAMESPACE: Final = "urn:riv:crm:scheduling:GetAllTimeTypesResponder:1"
EXTENSION: Final = "urn:riv:crm:scheduling:GetAllTimeTypesResponder:1.1"


@dataclass(frozen=True, kw_only=True, repr=False)
class Request:
    """The body of GetAllTimeTypes."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    healthcare_facility: str = element("healthcare_facility", required=True)
    care_type_ids: tuple[str, ...] = elements(
        "careTypeIDs", IDENTIFIER, namespace=EXTENSION
    )
    subject_of_care: str = element(
        "subject_of_care", namespace=EXTENSION, required=True
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class Response:
    """The body of GetAllTimeTypesResponse."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    list_of_time_types: tuple[TimeTypeType, ...] = elements(
        "ListOfTimeTypes", TimeTypeType, rejects_items=True
    )


CONTRACT: Final = Contract(
    scheduling.GET_ALL_TIME_TYPES, NAMESPACE, Request, Response, limit=LIST
)
