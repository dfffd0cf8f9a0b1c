"""
The service catalogue (infrastructure:itintegration:registry 2.0): port and adapter.
"""

from fhir_gateway.national.service_catalogue.adapter import ServiceCatalogue20
from fhir_gateway.national.service_catalogue.options import (
    ConfiguredServiceCatalogue,
    WrongServiceCatalogues,
    load_service_catalogues,
)
from fhir_gateway.national.service_catalogue.port import ServiceCatalogue

__all__ = [
    "ConfiguredServiceCatalogue",
    "ServiceCatalogue",
    "ServiceCatalogue20",
    "WrongServiceCatalogues",
    "load_service_catalogues",
]
