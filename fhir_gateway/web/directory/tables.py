"""
The tables of the directory, which refer to each other.
"""

from fhir_gateway.fhir.resource_table import ResourceTables
from fhir_gateway.fhir.terminology import Terminology
from fhir_gateway.web.directory.services import healthcare_service_table, schedule_table
from fhir_gateway.web.directory.slots import SLOT
from fhir_gateway.web.directory.staff import PRACTITIONER, PRACTITIONER_ROLE
from fhir_gateway.web.directory.units import LOCATION, ORGANIZATION

__all__ = ["directory_tables"]


def directory_tables(terminology: Terminology | None = None) -> ResourceTables:
    """
    Return the tables of the directory.

    Args:
        terminology: Knows the codes of time types; without it, none is below another.
    """
    return ResourceTables(
        (
            *(healthcare_service_table(terminology), schedule_table(terminology)),
            *(SLOT, LOCATION, ORGANIZATION, PRACTITIONER, PRACTITIONER_ROLE),
        )
    )
