"""
The only place where FHIR classes are imported: the FHIR version is decided here.

fhir.resources 8 has no R4 package; its R4B classes have R4's elements for all that is
used here (see docs/adr). They check neither required bindings nor invariants, so those
are checked where a resource is read.
"""

from fhir.resources.R4B import fhirtypes  # noqa: TID251 - the one place
from fhir.resources.R4B.appointment import Appointment  # noqa: TID251 - the one place

__all__ = ["Appointment", "is_type"]


def is_type(name: str) -> bool:
    """Return whether R4 has a type of that name."""
    return hasattr(fhirtypes, f"{name}Type")
