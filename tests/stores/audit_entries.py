"""
Entries of the audit trail, for tests.
"""

from typing import Any, Final

from fhir_gateway.model.audit_entry import AuditEntry
from fhir_gateway.model.grant import Basis
from fhir_gateway.model.ids import HsaId, SourceName
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.principal import Principal, Purpose, Role, StaffMember

__all__ = ["NURSE", "TOLVAN", "entry", "resident"]

TOLVAN: Final = PersonalIdentityNumber("191212121212")

NURSE: Final = Principal(
    role=Role.STAFF,
    issuer="https://idp.example.org",
    client="1177-vpt",
    user="nurse-7",
    purpose=Purpose.TREATMENT,
    staff=StaffMember(
        hsa_id=HsaId("SE2321000016-NURSE"),
        assignment=HsaId("SE2321000016-ASSIGN"),
        unit=HsaId("SE2321000016-UNIT"),
        provider=HsaId("SE2321000016-PROV"),
    ),
)


def resident(number: PersonalIdentityNumber) -> Principal:
    """Return a resident who has logged in."""
    return Principal(
        role=Role.RESIDENT,
        issuer="https://idp.example.org",
        client="app",
        user="user-1",
        number=number,
    )


def entry(
    subject: PersonalIdentityNumber | None = TOLVAN, **changed: Any
) -> AuditEntry:
    """Return the entry of a resident who reads an appointment of their own."""
    fields: dict[str, Any] = {
        "principal": resident(TOLVAN),
        "resource_type": "Appointment",
        "interaction": "read",
        "basis": Basis.SELF,
        "subject": subject,
        "booking": "019ab1f4-7c52-7d3e-9b0a-5d2f6c8e1a01",
        "sources": (SourceName("norr"),),
        "request": "request-1",
    }
    return AuditEntry(**fields | changed)
