"""
Types of infrastructure:itintegration:registry 2.0.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from fhir_gateway.rivta.element import element

__all__ = ["CORE", "ServiceContractNamespaceType"]

CORE: Final = "urn:riv:infrastructure:itintegration:registry:2"


@dataclass(frozen=True, kw_only=True, repr=False)
class ServiceContractNamespaceType:
    """The namespace of a contract, with its major version."""

    NAMESPACE: ClassVar[str] = CORE

    service_contract_namespace: str = element("ServiceContractNamespace", required=True)
