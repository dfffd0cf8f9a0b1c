"""
AuditEvent (FHIR R4, 6.4) from a record of the audit trail.

The codes are those of IHE's Basic Audit Log Patterns (BALP 1.1). A resident sees which
care unit asked, not which employee; and of another person that it was a guardian, or
somebody else, and not who.
"""

from typing import Any, Final

from fhir_gateway.fhir.vocabulary import HSA_ID, PERSON_NUMBER_SYSTEMS, Vocabulary
from fhir_gateway.model.audit_entry import AuditEntry, AuditRecord
from fhir_gateway.model.grant import Basis
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.principal import Purpose, Role
from fhir_gateway.model.timekeeping import exact_instant_text

__all__ = ["audit_event_from_record"]

_DICOM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_HL7: Final = "http://terminology.hl7.org/CodeSystem"
_RESTFUL: Final = "http://hl7.org/fhir/restful-interaction"
_OPERATION: Final = "operation"

# AuditEventAction, and the code of the interaction; BALP writes "search" for each.
_INTERACTIONS: Final = {
    "read": ("R", "read"),
    "search-type": ("E", "search"),
    "create": ("C", "create"),
    "update": ("U", "update"),
    "patch": ("U", "patch"),
}
_PURPOSES: Final = {
    Purpose.PATIENT_REQUEST: "patient requested",
    Purpose.TREATMENT: "treatment",
    Purpose.CARE_MANAGEMENT: "care management",
    Purpose.OPERATIONS: "healthcare operations",
}
# What a resident reads of somebody who acted for them.
_OTHERS: Final = {
    Basis.GUARDIAN: "A guardian",
    Basis.PROXY: "A person with a mandate",
    Basis.DEMO: "Anybody: the server is an open demo",
}
_SUCCESS: Final = "0"
_MINOR_FAILURE: Final = "4"
_URI: Final = "5"


def audit_event_from_record(
    record: AuditRecord, *, base_url: str, vocabulary: Vocabulary
) -> dict[str, Any]:
    """
    Return an AuditEvent for the resident whom a record concerns.

    Args:
        record: The record.
        base_url: This server's FHIR base.
        vocabulary: Our canonicals.
    """
    entry = record.entry
    action, code = _INTERACTIONS.get(entry.interaction, ("E", _OPERATION))
    event: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": record.id,
        "type": {
            "system": f"{_HL7}/audit-event-type",
            "code": "rest",
            "display": "RESTful Operation",
        },
        "subtype": [{"system": _RESTFUL, "code": code, "display": code}],
        "action": action,
        "recorded": exact_instant_text(record.recorded_at),
        "outcome": _SUCCESS if entry.is_permitted else _MINOR_FAILURE,
    }
    if not entry.is_permitted:
        event["outcomeDesc"] = "refused: nothing was read or done"
    return event | {
        "purposeOfEvent": [_purpose(entry)],
        "agent": _agents(entry, action, base_url),
        "source": {
            "site": base_url,
            "observer": {"display": "fhir-gateway"},
            "type": [
                {
                    "system": f"{_HL7}/security-source-type",
                    "code": "4",
                    "display": "Application Server",
                }
            ],
        },
        "entity": _entities(entry, code, vocabulary),
    }


def _purpose(entry: AuditEntry) -> dict[str, Any]:
    purpose = entry.principal.purpose
    return {
        "coding": [
            {
                "system": f"{_HL7}/v3-ActReason",
                "code": purpose.value,
                "display": _PURPOSES[purpose],
            }
        ]
    }


def _agents(entry: AuditEntry, action: str, base_url: str) -> list[dict[str, Any]]:
    # DICOM's pattern: what a read returns flows from the server to the client, and all
    # else from the client to the server.
    client, server = ("110152", "110153") if action == "R" else ("110153", "110152")
    names = {"110152": "Destination Role ID", "110153": "Source Role ID"}
    principal = entry.principal
    is_program = principal.role in (Role.SYSTEM, Role.OPERATOR)
    agents: list[dict[str, Any]] = []
    if not is_program:
        agents.append(
            {
                "type": _type(
                    f"{_HL7}/v3-ParticipationType", "IRCP", "information recipient"
                ),
                "role": [{"text": principal.role.value}],
                "who": _who(entry),
                "requestor": True,
                "purposeOfUse": [_purpose(entry)],
            }
        )
    if principal.client:
        program: dict[str, Any] = {
            "type": _type(_DICOM, client, names[client]),
            "who": _program(entry),
            "requestor": is_program,
        }
        if is_program:
            program["purposeOfUse"] = [_purpose(entry)]
        agents.append(program)
    agents.append(
        {
            "type": _type(_DICOM, server, names[server]),
            "who": {"display": "fhir-gateway"},
            "requestor": False,
            "network": {"address": base_url, "type": _URI},
        }
    )
    return agents


def _type(system: str, code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": display}]}


def _who(entry: AuditEntry) -> dict[str, Any]:
    """Return the user of the program, as far as the resident may know them."""
    principal = entry.principal
    if principal.staff is not None:
        return _organization(principal.staff.unit)
    number = principal.number
    if number is not None and number == entry.subject:
        return _patient(number)
    if entry.basis is None:
        return {"display": "Somebody else"}
    return {"display": _OTHERS.get(entry.basis, "Somebody else")}


def _program(entry: AuditEntry) -> dict[str, Any]:
    organisation = entry.principal.organisation
    if organisation is not None:
        return _organization(organisation)
    if not entry.is_permitted and entry.principal.number != entry.subject:
        # The program of a stranger may say who they are.
        return {"display": "A program of somebody else"}
    return {"display": entry.principal.client}


def _organization(hsa_id: str) -> dict[str, Any]:
    return {
        "type": "Organization",
        "identifier": {"system": HSA_ID, "value": str(hsa_id)},
    }


def _patient(number: PersonalIdentityNumber) -> dict[str, Any]:
    return {
        "type": "Patient",
        "identifier": {
            "system": PERSON_NUMBER_SYSTEMS[number.kind],
            "value": number.reveal(),
        },
    }


def _entities(
    entry: AuditEntry, code: str, vocabulary: Vocabulary
) -> list[dict[str, Any]]:
    entities: list[dict[str, Any]] = []
    if entry.subject is not None:
        entities.append(
            {
                "what": _patient(entry.subject),
                **_kind("1", "Person", "1", "Patient"),
            }
        )
    data: dict[str, Any] = _kind("2", "System Object", "4", "Domain Resource")
    if entry.booking is not None:
        data["what"] = {"reference": f"{entry.resource_type}/{entry.booking}"}
    data["name"] = entry.resource_type
    if code == _OPERATION:
        data["detail"] = [{"type": _OPERATION, "valueString": entry.interaction}]
    entities.append(data)
    entities.extend(
        {
            "what": {
                "identifier": {
                    "system": "urn:ietf:rfc:3986",
                    "value": vocabulary.source(source),
                }
            },
            **_kind("2", "System Object", "17", "Data Repository"),
            "name": str(source),
        }
        for source in entry.sources
    )
    return entities


def _kind(kind: str, kind_display: str, role: str, role_display: str) -> dict[str, Any]:
    return {
        "type": {
            "system": f"{_HL7}/audit-entity-type",
            "code": kind,
            "display": kind_display,
        },
        "role": {
            "system": f"{_HL7}/object-role",
            "code": role,
            "display": role_display,
        },
    }
