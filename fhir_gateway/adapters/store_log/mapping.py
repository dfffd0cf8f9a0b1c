"""
Log entries as the contract StoreLog 2.0 has them.
"""

from typing import Final

from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.log_entry import LogEntry, LogResult
from fhir_gateway.model.person import NumberKind
from fhir_gateway.model.timekeeping import instant_text
from fhir_gateway.rivta.store_log_2_0.types import (
    ActivityType,
    CareProviderType,
    CareUnitType,
    IIType,
    LogType,
    PatientType,
    ResourcesType,
    ResourceType,
    SystemType,
    UserType,
)

__all__ = ["log_from_entry", "result_from_code"]

_PURPOSE: Final = "Vård och behandling"
_RESOURCE: Final = "Bokning"
_ROOTS: Final = {
    NumberKind.PERSONNUMMER: "1.2.752.129.2.1.3.1",
    NumberKind.SAMORDNINGSNUMMER: "1.2.752.129.2.1.3.3",
}
_RESULTS: Final = {
    "OK": LogResult.STORED,
    "INFO": LogResult.STORED,
    "VALIDATION_ERROR": LogResult.INVALID,
    "ACCESSDENIED": LogResult.DENIED,
}


def log_from_entry(
    entry: LogEntry, *, system_id: HsaId, system_name: str | None
) -> LogType:
    """
    Return an entry as the contract has it.

    The contract requires the care provider of the resource. An employee makes a new
    booking under an assignment, so it is the care provider of the assignment.

    Args:
        entry: The entry.
        system_id: Our HSA-id.
        system_name: Our name.
    """
    staff = entry.staff
    provider = CareProviderType(care_provider_id=staff.provider)
    unit = CareUnitType(care_unit_id=staff.unit)
    return LogType(
        log_id=entry.id,
        system=SystemType(system_id=system_id, system_name=system_name),
        activity=ActivityType(
            activity_type=entry.activity.value,
            start_date=instant_text(entry.at),
            purpose=_PURPOSE,
        ),
        user=UserType(
            user_id=staff.hsa_id,
            assignment=staff.assignment,
            care_provider=provider,
            care_unit=unit,
        ),
        resources=ResourcesType(
            resources=(
                ResourceType(
                    resource_type=_RESOURCE,
                    patient=PatientType(
                        patient_id=IIType(
                            root=_ROOTS[entry.patient.kind],
                            extension=entry.patient.reveal(),
                        )
                    ),
                    care_provider=provider,
                    care_unit=unit,
                ),
            )
        ),
    )


def result_from_code(code: str) -> LogResult:
    """
    Return what a result code means.

    "Alla svarskoder förutom OK och INFO betyder att åtgärden inte genomfördes"
    (informationsecurity:auditing:log 2.0, ResultType).
    """
    return _RESULTS.get(code.strip().upper(), LogResult.FAILED)
