"""
Canonical URLs and identifier systems: the only place that spells them.
"""

from dataclasses import dataclass
from typing import Final

from fhir_gateway.model.ids import HsaId, SourceName
from fhir_gateway.model.person import NumberKind

__all__ = [
    "APPOINTMENT_STATUS",
    "BOOKING_DEEP_LINK",
    "BOOKING_PHONE",
    "DAYS_OF_WEEK",
    "ERROR_CODE",
    "HAS_AVAILABILITY",
    "HSA_ID",
    "HSA_ID_ALIASES",
    "LAST_SOURCE_SYNC",
    "LOCATION_STATUS",
    "PARTICIPATION_STATUS",
    "PERSON_NUMBER_KINDS",
    "PERSON_NUMBER_OIDS",
    "PERSON_NUMBER_SYSTEMS",
    "SLOT_CAPACITY",
    "SLOT_STATUS",
    "SNOMED_CT",
    "SNOMED_CT_SWEDEN",
    "SPECIAL_VALUES",
    "STATISTICS",
    "Vocabulary",
    "is_system_of_time_types",
]

SNOMED_CT: Final = "http://snomed.info/sct"
SNOMED_CT_SWEDEN: Final = "http://snomed.info/sct/45991000052106"

# HL7 Sweden's base profiles write the first; Inera's RIV-TA mapping the second.
HSA_ID: Final = "urn:oid:1.2.752.29.4.19"
HSA_ID_ALIASES: Final = frozenset({HSA_ID, "urn:oid:1.2.752.129.2.1.4.1"})

PERSON_NUMBER_SYSTEMS: Final = {
    NumberKind.PERSONNUMMER: "http://electronichealth.se/identifier/personnummer",
    NumberKind.SAMORDNINGSNUMMER: (
        "http://electronichealth.se/identifier/samordningsnummer"
    ),
}
PERSON_NUMBER_KINDS: Final = {
    system: kind for kind, system in PERSON_NUMBER_SYSTEMS.items()
}

# The same two as RIV-TA names them: only compared with a number, never read as one.
PERSON_NUMBER_OIDS: Final = frozenset(
    {"urn:oid:1.2.752.129.2.1.3.1", "urn:oid:1.2.752.129.2.1.3.3"}
)

# The same in every installation, since clients' code contains it.
ERROR_CODE: Final = "https://fhir-gateway.example.org/CodeSystem/error-code"
STATISTICS: Final = "https://fhir-gateway.example.org/CodeSystem/statistics"

SPECIAL_VALUES: Final = "http://terminology.hl7.org/CodeSystem/special-values"
LOCATION_STATUS: Final = "http://hl7.org/fhir/location-status"
SLOT_STATUS: Final = "http://hl7.org/fhir/slotstatus"
APPOINTMENT_STATUS: Final = "http://hl7.org/fhir/appointmentstatus"
PARTICIPATION_STATUS: Final = "http://hl7.org/fhir/participationstatus"
DAYS_OF_WEEK: Final = "http://hl7.org/fhir/days-of-week"
LAST_SOURCE_SYNC: Final = "http://hl7.org/fhir/StructureDefinition/lastSourceSync"
SLOT_CAPACITY: Final = (
    "http://fhir-registry.smarthealthit.org/StructureDefinition/slot-capacity"
)
BOOKING_DEEP_LINK: Final = (
    "http://fhir-registry.smarthealthit.org/StructureDefinition/booking-deep-link"
)
BOOKING_PHONE: Final = (
    "http://fhir-registry.smarthealthit.org/StructureDefinition/booking-phone"
)
HAS_AVAILABILITY: Final = (
    "http://fhir-registry.smarthealthit.org/StructureDefinition/has-availability"
)
_OF_TIME_TYPES: Final = "/CodeSystem/time-types-"


def is_system_of_time_types(system: str) -> bool:
    """Return whether time types can have codes of a system."""
    base, separator, unit = system.rpartition(_OF_TIME_TYPES)
    if not separator:
        return system == SNOMED_CT
    try:
        HsaId(unit)
    except ValueError:
        return False
    return bool(base)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """
    Our own canonicals, under one base.

    Args:
        base: The base, without a slash at the end.
    """

    base: str = "https://fhir-gateway.example.org"

    def profile(self, name: str) -> str:
        """Return the canonical of one of our profiles or extensions."""
        return f"{self.base}/StructureDefinition/{name}"

    def search_parameter(self, name: str) -> str:
        """Return the canonical of one of our search parameters."""
        return f"{self.base}/SearchParameter/{name}"

    def operation(self, name: str) -> str:
        """Return the canonical of one of our operation definitions."""
        return f"{self.base}/OperationDefinition/{name}"

    @property
    def implementation_guide(self) -> str:
        """Return the canonical of our ImplementationGuide."""
        return f"{self.base}/ImplementationGuide/fhir-gateway"

    def source(self, name: SourceName) -> str:
        """Return the `meta.source` of a source."""
        return f"{self._sources_prefix}{name}"

    def source_of_uri(self, uri: str) -> SourceName | None:
        """
        Return the source name in a `meta.source`, or None; such a source may not exist.
        """
        if not uri.startswith(self._sources_prefix):
            return None
        try:
            return SourceName(uri.removeprefix(self._sources_prefix))
        except ValueError:
            return None

    def booking_ids(self, unit: HsaId) -> str:
        """Return the identifier system of a unit's booking ids."""
        return f"{self._booking_ids_prefix}{unit}"

    def unit_of_booking_ids(self, system: str) -> HsaId | None:
        """Return the unit in an identifier system of booking ids, or None."""
        if not system.startswith(self._booking_ids_prefix):
            return None
        try:
            return HsaId(system.removeprefix(self._booking_ids_prefix))
        except ValueError:
            return None

    def time_types(self, unit: HsaId) -> str:
        """Return the code system of a unit's own time types."""
        return f"{self._time_types_prefix}{unit}"

    def unit_of_time_types(self, system: str) -> HsaId | None:
        """Return the unit in a code system of a unit's own time types, or None."""
        if not system.startswith(self._time_types_prefix):
            return None
        try:
            return HsaId(system.removeprefix(self._time_types_prefix))
        except ValueError:
            return None

    @property
    def _booking_ids_prefix(self) -> str:
        return f"{self.base}/identifier/booking-id/"

    @property
    def _sources_prefix(self) -> str:
        return f"{self.base}/source/"

    @property
    def _time_types_prefix(self) -> str:
        return f"{self.base}{_OF_TIME_TYPES}"
