"""
GetLogicalAddresseesByServiceContract 2.0: which logical addresses support a contract?
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from fhir_gateway.model.service_contract import (
    GET_LOGICAL_ADDRESSEES_BY_SERVICE_CONTRACT,
)
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.element import element, elements
from fhir_gateway.rivta.limit import ANSWER
from fhir_gateway.rivta.registry_2_0.types import CORE, ServiceContractNamespaceType

__all__ = [
    "CONTRACT",
    "NAMESPACE",
    "FilterType",
    "LogicalAddresseeRecordType",
    "Request",
    "Response",
]

NAMESPACE: Final = (
    "urn:riv:infrastructure:itintegration:registry"
    ":GetLogicalAddresseesByServiceContractResponder:2"
)


@dataclass(frozen=True, kw_only=True, repr=False)
class FilterType:
    """What an addressee wants to be notified of."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    service_domain: str = element("serviceDomain", required=True)
    categorizations: tuple[str, ...] = elements("categorization")


@dataclass(frozen=True, kw_only=True, repr=False)
class LogicalAddresseeRecordType:
    """A logical address that supports the contract, for the consumer that asks."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    logical_address: str = element("logicalAddress", required=True)
    filters: tuple[FilterType, ...] = elements("filter", FilterType)


@dataclass(frozen=True, kw_only=True, repr=False)
class Request:
    """The body of GetLogicalAddresseesByServiceContract."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    service_consumer_hsa_id: str = element("serviceConsumerHsaId", required=True)
    contract: ServiceContractNamespaceType = element(
        "serviceContractNameSpace", ServiceContractNamespaceType, required=True
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class Response:
    """The body of GetLogicalAddresseesByServiceContractResponse."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    records: tuple[LogicalAddresseeRecordType, ...] = elements(
        "logicalAddressRecord", LogicalAddresseeRecordType, rejects_items=True
    )


CONTRACT: Final = Contract(
    GET_LOGICAL_ADDRESSEES_BY_SERVICE_CONTRACT,
    NAMESPACE,
    Request,
    Response,
    limit=ANSWER,
    address_namespace=CORE,
)
