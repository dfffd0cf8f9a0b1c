"""
The tables of the directory, which refer to each other.
"""

from typing import Final

from fhir_gateway.fhir.resource_table import ResourceTables
from fhir_gateway.web.directory.services import HEALTHCARE_SERVICE, SCHEDULE
from fhir_gateway.web.directory.staff import PRACTITIONER, PRACTITIONER_ROLE
from fhir_gateway.web.directory.units import LOCATION, ORGANIZATION

__all__ = ["DIRECTORY"]

DIRECTORY: Final = ResourceTables(
    (
        *(HEALTHCARE_SERVICE, SCHEDULE, LOCATION, ORGANIZATION),
        *(PRACTITIONER, PRACTITIONER_ROLE),
    )
)
"""The tables of the directory."""
