"""
GetSupportedServiceContracts 2.0: which contracts does a logical address support?
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from fhir_gateway.model.service_contract import GET_SUPPORTED_SERVICE_CONTRACTS
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.element import element, elements
from fhir_gateway.rivta.limit import LIST
from fhir_gateway.rivta.registry_2_0.types import CORE, ServiceContractNamespaceType

__all__ = ["CONTRACT", "NAMESPACE", "Request", "Response"]

NAMESPACE: Final = (
    "urn:riv:infrastructure:itintegration:registry"
    ":GetSupportedServiceContractsResponder:2"
)


@dataclass(frozen=True, kw_only=True, repr=False)
class Request:
    """
    The body of GetSupportedServiceContracts.

    The schema spells the address with one d.
    """

    NAMESPACE: ClassVar[str] = NAMESPACE

    service_consumer_hsa_id: str | None = element("serviceConsumerHsaId")
    logical_address: str = element("logicalAdress", required=True)


@dataclass(frozen=True, kw_only=True, repr=False)
class Response:
    """The body of GetSupportedServiceContractsResponse."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    contracts: tuple[ServiceContractNamespaceType, ...] = elements(
        "serviceContractNamespace", ServiceContractNamespaceType, rejects_items=True
    )


CONTRACT: Final = Contract(
    GET_SUPPORTED_SERVICE_CONTRACTS,
    NAMESPACE,
    Request,
    Response,
    limit=LIST,
    address_namespace=CORE,
)
