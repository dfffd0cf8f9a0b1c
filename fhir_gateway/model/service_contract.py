"""
The interactions that show which contracts a unit has (`tjänstekatalog`).
"""

from typing import Final

from fhir_gateway.model.interaction import Interaction

__all__ = [
    "GET_LOGICAL_ADDRESSEES_BY_SERVICE_CONTRACT",
    "GET_SUPPORTED_SERVICE_CONTRACTS",
    "PING_FOR_CONFIGURATION",
]

GET_SUPPORTED_SERVICE_CONTRACTS: Final = Interaction("GetSupportedServiceContracts")
GET_LOGICAL_ADDRESSEES_BY_SERVICE_CONTRACT: Final = Interaction(
    "GetLogicalAddresseesByServiceContract"
)
PING_FOR_CONFIGURATION: Final = Interaction("PingForConfiguration")
