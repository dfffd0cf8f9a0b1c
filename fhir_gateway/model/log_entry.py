"""
Log entries (`loggpost`): which employee used which patient's data, when and why.

The Patient Data Act (`patientdatalagen`) requires them of each access by care staff. A
national log service stores them (informationsecurity:auditing:log, StoreLog 2.0).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.interaction import Interaction
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.principal import StaffMember
from fhir_gateway.model.timekeeping import epoch_seconds, instant_from_epoch

__all__ = ["STORE_LOG", "LogActivity", "LogEntry", "LogResult"]

STORE_LOG: Final = Interaction("StoreLog")
"""It is no `writes`: that an entry is sent again with the same id is harmless."""


class LogActivity(Enum):
    """What the employee did: the log service's own words."""

    READ = "Läsa"
    WRITE = "Skriva"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LogEntry:
    """
    One access of an employee to a patient's data.

    Attributes:
        id: A UUID, the same each time that the entry is sent (`logId`).
        activity: What the employee did.
        at: When, to the second.
        staff: The employee and the assignment.
        patient: The patient's number.
    """

    id: str
    activity: LogActivity
    at: datetime
    staff: StaffMember
    patient: PersonalIdentityNumber

    def __repr__(self) -> str:
        return f"{type(self).__name__}(id={self.id})"

    def as_mapping(self) -> dict[str, str]:
        """Return everything but the id, for an encrypted row."""
        return {
            "activity": self.activity.name,
            "at": str(epoch_seconds(self.at)),
            "employee": self.staff.hsa_id,
            "assignment": self.staff.assignment,
            "unit": self.staff.unit,
            "provider": self.staff.provider,
            "patient": self.patient.reveal(),
        }

    @classmethod
    def from_mapping(cls, entry_id: str, mapping: Mapping[str, str]) -> "LogEntry":
        """Return the entry of an encrypted row."""
        return cls(
            id=entry_id,
            activity=LogActivity[mapping["activity"]],
            at=instant_from_epoch(int(mapping["at"])),
            staff=StaffMember(
                hsa_id=HsaId(mapping["employee"]),
                assignment=HsaId(mapping["assignment"]),
                unit=HsaId(mapping["unit"]),
                provider=HsaId(mapping["provider"]),
            ),
            patient=PersonalIdentityNumber(mapping["patient"]),
        )


class LogResult(Enum):
    """
    What a log service did with all entries of a message: it stores all or none.

    STORED: it has them (`OK`, `INFO`).
    INVALID: the content of one or more is wrong (`VALIDATION_ERROR`).
    DENIED: we may not log (`ACCESSDENIED`).
    FAILED: it could not store them (`ERROR`, or another code).
    """

    STORED = "stored"
    INVALID = "invalid"
    DENIED = "denied"
    FAILED = "failed"
