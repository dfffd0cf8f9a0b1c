"""
Audit rows: how an entry is stored, hashed and sealed.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import RowMapping

from fhir_gateway.model.audit_entry import AuditEntry, AuditRecord
from fhir_gateway.model.grant import Basis
from fhir_gateway.model.ids import HsaId, SourceName
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.principal import Principal, Purpose, Role, StaffMember
from fhir_gateway.stores.audit.anchors import Link, is_hmac
from fhir_gateway.stores.audit.tables import CHAINED
from fhir_gateway.stores.sealing import Seal, SealBroken

__all__ = [
    "SUBJECT",
    "Persons",
    "fault_of_row",
    "is_authentic",
    "next_row",
    "record_from_row",
    "resealed",
]

SUBJECT: Final = "audit subject"
"""The purpose of the hash of the number of the person whom a row concerns."""

_ROW: Final = "audit row"
_NONCE_BYTES: Final = 16
_OF_STAFF: Final = ("staff", "assignment", "unit", "provider")

Persons = Mapping[str, str]
"""Who asks and for whom, as it is sealed."""


def next_row(
    entry: AuditEntry, after: Link, moment: float, seal: Seal
) -> tuple[dict[str, Any], Link]:
    """
    Return the row of an entry, and its place in the chain.

    Args:
        entry: The entry.
        after: The place of the row before.
        moment: When it is stored, by the database's clock.
        seal: Seals what is personal.
    """
    persons = _persons(entry)
    row: dict[str, Any] = {
        "sequence": after.sequence + 1,
        "id": str(uuid4()),
        # To the microsecond, as a datetime has it: so the two compare.
        "recorded_at": round(moment, 6),
        "role": entry.principal.role.value,
        "purpose": entry.principal.purpose.value,
        "resource_type": entry.resource_type,
        "interaction": entry.interaction,
        "basis": None if entry.basis is None else entry.basis.value,
        "booking": entry.booking,
        "sources": " ".join(entry.sources),
        "persons_digest": _digest(persons),
        "previous_hash": after.hash,
    }
    link = Link(row["sequence"], _hash(row))
    row |= {"hash": link.hash, **_keyed(persons, link, seal)}
    row["persons_sealed"] = seal.seal(persons)
    return row, link


def resealed(row: RowMapping, seal: Seal) -> dict[str, Any]:
    """
    Return the columns that change when a row is sealed with the newest key.

    Raises:
        SealBroken: None of this server's keys opens it.
    """
    if seal.is_newest(row["persons_sealed"]):
        return {}
    persons = seal.unseal(row["persons_sealed"])
    link = Link(row["sequence"], row["hash"])
    # A row that somebody changed must not get a new signature.
    if not is_hmac(seal, _ROW, str(link), row["hash_hmac"]):
        return {}
    return {"persons_sealed": seal.seal(persons), **_keyed(persons, link, seal)}


def is_authentic(row: RowMapping, seal: Seal) -> bool:
    """Return whether this server wrote a row exactly so, with any of its keys."""
    link = Link(row["sequence"], row["hash"])
    return row["hash"] == _hash(row) and is_hmac(
        seal, _ROW, str(link), row["hash_hmac"]
    )


def fault_of_row(row: RowMapping, after: Link, seal: Seal) -> str | None:
    """
    Return what is wrong with the row that should follow a place, for the operator.

    None where nothing is.
    """
    if row["sequence"] != after.sequence + 1:
        return "the row is missing"
    if not is_authentic(row, seal):
        return "this server did not write the row so, or the key it used is gone"
    if row["previous_hash"] != after.hash:
        return "the row was written after another row than the one before it"
    return _fault_of_persons(row, seal)


def _fault_of_persons(row: RowMapping, seal: Seal) -> str | None:
    try:
        persons = seal.unseal(row["persons_sealed"])
    except SealBroken:
        return "the row's sealed part was changed, or its key is gone"
    if row["persons_digest"] != _digest(persons):
        return "the row's sealed part is another row's"
    number = persons.get("subject")
    expected = (None,) if number is None else seal.lookups(SUBJECT, number)
    if row["subject_hmac"] not in expected:
        return "the row's keyed hash is not that of its person"
    return None


def record_from_row(row: RowMapping, seal: Seal) -> AuditRecord:
    """
    Return a stored entry.

    Raises:
        SealBroken: None of this server's keys opens it.
    """
    persons = seal.unseal(row["persons_sealed"])
    staff = None
    if "staff" in persons:
        staff = StaffMember(
            hsa_id=HsaId(persons["staff"]),
            assignment=HsaId(persons["assignment"]),
            unit=HsaId(persons["unit"]),
            provider=HsaId(persons["provider"]),
        )
    organisation = persons.get("organisation")
    return AuditRecord(
        sequence=row["sequence"],
        id=row["id"],
        recorded_at=datetime.fromtimestamp(row["recorded_at"], UTC),
        entry=AuditEntry(
            principal=Principal(
                role=Role(row["role"]),
                issuer=persons.get("issuer", ""),
                client=persons.get("client", ""),
                user=persons.get("user", ""),
                purpose=Purpose(row["purpose"]),
                number=_number(persons.get("number")),
                staff=staff,
                organisation=None if organisation is None else HsaId(organisation),
            ),
            resource_type=row["resource_type"],
            interaction=row["interaction"],
            basis=None if row["basis"] is None else Basis(row["basis"]),
            subject=_number(persons.get("subject")),
            booking=row["booking"],
            sources=tuple(map(SourceName, row["sources"].split())),
            request=persons.get("request"),
        ),
    )


def _persons(entry: AuditEntry) -> Persons:
    who = entry.principal
    staff = who.staff
    fields = {
        # Otherwise somebody who tries all numbers would find the digest's.
        "nonce": secrets.token_hex(_NONCE_BYTES),
        "issuer": who.issuer,
        "client": who.client,
        "user": who.user,
        "number": None if who.number is None else who.number.reveal(),
        "organisation": who.organisation,
        "subject": None if entry.subject is None else entry.subject.reveal(),
        "request": entry.request,
    }
    if staff is not None:
        parts = (staff.hsa_id, staff.assignment, staff.unit, staff.provider)
        fields |= dict(zip(_OF_STAFF, parts, strict=True))
    return {name: str(value) for name, value in fields.items() if value}


def _keyed(persons: Persons, link: Link, seal: Seal) -> dict[str, Any]:
    number = persons.get("subject")
    return {
        "subject_hmac": None if number is None else seal.lookup(SUBJECT, number),
        "hash_hmac": seal.lookup(_ROW, str(link)),
    }


def _number(digits: str | None) -> PersonalIdentityNumber | None:
    return None if digits is None else PersonalIdentityNumber(digits)


def _digest(persons: Persons) -> str:
    return _sha256([sorted(persons.items())])


def _hash(row: Mapping[str, Any] | RowMapping) -> str:
    return _sha256([row[name] for name in CHAINED])


def _sha256(values: list[Any]) -> str:
    # A text of JSON says where each value ends; a float's is exact.
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()
