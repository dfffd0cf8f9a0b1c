"""
Update 1.0: hand changed posts to the index.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from fhir_gateway.model.engagement import UPDATE
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.element import TEXT, element, elements
from fhir_gateway.rivta.engagement_index_1_0.types import EngagementTransactionType
from fhir_gateway.rivta.limit import LIST

__all__ = ["CONTRACT", "NAMESPACE", "Request", "Response"]

NAMESPACE: Final = "urn:riv:itintegration:engagementindex:UpdateResponder:1"


@dataclass(frozen=True, kw_only=True, repr=False)
class Request:
    """The body of Update; the schema requires one post at least."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    transactions: tuple[EngagementTransactionType, ...] = elements(
        "engagementTransaction", EngagementTransactionType
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class Response:
    """The body of UpdateResponse; the schema writes a capital R."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    result_code: str = element("ResultCode", required=True)
    comment: str | None = element("comment", TEXT)


CONTRACT: Final = Contract(UPDATE, NAMESPACE, Request, Response, limit=LIST)
