"""
The types of informationsecurity:auditing:log 2.0, as far as StoreLog needs them.

Optional elements that this program never writes are absent here: names and personal
numbers of employees, titles, and names of patients, units and care providers.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Final

from fhir_gateway.rivta.element import CODE, NAME, TEXT, element, elements

__all__ = [
    "LOG",
    "ActivityType",
    "CareProviderType",
    "CareUnitType",
    "IIType",
    "LogType",
    "PatientType",
    "ResourceType",
    "ResourcesType",
    "ResultType",
    "SystemType",
    "UserType",
]

LOG: Final = "urn:riv:informationsecurity:auditing:log:2"

_ID: Final = replace(CODE, most=36)
_HSA_ID: Final = replace(CODE, most=32)


@dataclass(frozen=True, kw_only=True, repr=False)
class IIType:
    """An identifier: the OID of its kind, and the identifier itself."""

    NAMESPACE: ClassVar[str] = LOG

    root: str = element("root", required=True)
    extension: str | None = element("extension")


@dataclass(frozen=True, kw_only=True, repr=False)
class SystemType:
    """The system that made the entry."""

    NAMESPACE: ClassVar[str] = LOG

    system_id: str = element("systemId", _HSA_ID, required=True)
    system_name: str | None = element("systemName", NAME)


@dataclass(frozen=True, kw_only=True, repr=False)
class ActivityType:
    """What was done, when (xs:dateTime) and for what purpose."""

    NAMESPACE: ClassVar[str] = LOG

    activity_type: str = element("activityType", required=True)
    start_date: str = element("startDate", required=True)
    purpose: str = element("purpose", required=True)


@dataclass(frozen=True, kw_only=True, repr=False)
class CareProviderType:
    """A care provider."""

    NAMESPACE: ClassVar[str] = LOG

    care_provider_id: str = element("careProviderId", _HSA_ID, required=True)


@dataclass(frozen=True, kw_only=True, repr=False)
class CareUnitType:
    """A care unit."""

    NAMESPACE: ClassVar[str] = LOG

    care_unit_id: str = element("careUnitId", _HSA_ID, required=True)


@dataclass(frozen=True, kw_only=True, repr=False)
class UserType:
    """The employee, and the assignment that they acted under."""

    NAMESPACE: ClassVar[str] = LOG

    user_id: str = element("userId", _HSA_ID, required=True)
    assignment: str | None = element("assignment")
    care_provider: CareProviderType = element(
        "careProvider", CareProviderType, required=True
    )
    care_unit: CareUnitType = element("careUnit", CareUnitType, required=True)


@dataclass(frozen=True, kw_only=True, repr=False)
class PatientType:
    """The patient."""

    NAMESPACE: ClassVar[str] = LOG

    patient_id: IIType = element("patientId", IIType, required=True)


@dataclass(frozen=True, kw_only=True, repr=False)
class ResourceType:
    """What was used, of which patient, and at which care provider."""

    NAMESPACE: ClassVar[str] = LOG

    resource_type: str = element("resourceType", required=True)
    patient: PatientType | None = element("patient", PatientType)
    care_provider: CareProviderType = element(
        "careProvider", CareProviderType, required=True
    )
    care_unit: CareUnitType | None = element("careUnit", CareUnitType)


@dataclass(frozen=True, kw_only=True, repr=False)
class ResourcesType:
    """What was used; the schema requires one resource at least."""

    NAMESPACE: ClassVar[str] = LOG

    resources: tuple[ResourceType, ...] = elements("resource", ResourceType)


@dataclass(frozen=True, kw_only=True, repr=False)
class LogType:
    """An entry."""

    NAMESPACE: ClassVar[str] = LOG

    log_id: str = element("logId", _ID, required=True)
    system: SystemType = element("system", SystemType, required=True)
    activity: ActivityType = element("activity", ActivityType, required=True)
    user: UserType = element("user", UserType, required=True)
    resources: ResourcesType = element("resources", ResourcesType, required=True)


@dataclass(frozen=True, kw_only=True, repr=False)
class ResultType:
    """Whether the entries were stored: all of them, or none."""

    NAMESPACE: ClassVar[str] = LOG

    result_code: str = element("resultCode", required=True)
    result_text: str | None = element("resultText", TEXT)
