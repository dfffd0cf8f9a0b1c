"""
PingForConfiguration 1.0: does a service component answer, and which one is it?
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from fhir_gateway.model.service_contract import PING_FOR_CONFIGURATION
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.element import NAME, TIME, element, elements
from fhir_gateway.rivta.limit import PERSONAL

__all__ = ["CONTRACT", "NAMESPACE", "ConfigurationType", "Request", "Response"]

NAMESPACE: Final = "urn:riv:itintegration:monitoring:PingForConfigurationResponder:1"


@dataclass(frozen=True, kw_only=True, repr=False)
class ConfigurationType:
    """A name and a value that the component states about itself."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    name: str = element("name", NAME, required=True)
    value: str = element("value", NAME, required=True)


@dataclass(frozen=True, kw_only=True, repr=False)
class Request:
    """The body of PingForConfiguration; both elements are for who forwards it."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    service_contract_namespace: str = element("serviceContractNamespace", required=True)
    logical_address: str = element("logicalAddress", required=True)


@dataclass(frozen=True, kw_only=True, repr=False)
class Response:
    """The body of PingForConfigurationResponse."""

    NAMESPACE: ClassVar[str] = NAMESPACE

    version: str = element("version", NAME, required=True)
    ping_date_time: str = element("pingDateTime", TIME, required=True)
    configuration: tuple[ConfigurationType, ...] = elements(
        "configuration", ConfigurationType, rejects_items=True
    )


CONTRACT: Final = Contract(
    PING_FOR_CONFIGURATION, NAMESPACE, Request, Response, limit=PERSONAL
)
