"""
AuditEvent: what a resident reads of the audit trail, and what not.
"""

from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_gateway.fhir.audit_event import audit_event_from_record
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.audit_entry import AuditEntry, AuditRecord
from fhir_gateway.model.grant import Basis
from fhir_gateway.model.ids import HsaId, SourceName
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.principal import Principal, Purpose, Role, StaffMember

TOLVAN = PersonalIdentityNumber("191212121212")
OTHER = PersonalIdentityNumber("198001019804")
RESIDENT = Principal(role=Role.RESIDENT, client="app", user="u-1", number=TOLVAN)
STRANGER = Principal(role=Role.RESIDENT, client="anna", user="u-2", number=OTHER)
NURSE = Principal(
    role=Role.STAFF,
    client="1177-vpt",
    user="nurse",
    purpose=Purpose.TREATMENT,
    staff=StaffMember(
        hsa_id=HsaId("SE1-NURSE"),
        assignment=HsaId("SE1-A"),
        unit=HsaId("SE1-UNIT"),
        provider=HsaId("SE1-PROV"),
    ),
)
SYSTEM = Principal(
    role=Role.SYSTEM,
    client="region-norr",
    purpose=Purpose.CARE_MANAGEMENT,
    organisation=HsaId("SE2-1"),
)


def event(**changed: Any) -> dict[str, Any]:
    """Return the AuditEvent of a record."""
    fields: dict[str, Any] = {
        "principal": RESIDENT,
        "resource_type": "Appointment",
        "interaction": "read",
        "basis": Basis.SELF,
        "subject": TOLVAN,
        "booking": "b-1",
        "sources": (SourceName("norr"),),
    }
    return audit_event_from_record(
        AuditRecord(
            sequence=7,
            id="0fca9c56-1f0a-4766-b473-548c9350eb8b",
            recorded_at=datetime(2026, 11, 28, 1, 2, 3, 4, UTC),
            entry=AuditEntry(**fields | changed),
        ),
        base_url="https://gateway.example.org/fhir",
        vocabulary=Vocabulary(),
    )


def test_a_read_of_ones_own_is_whole() -> None:
    """A resident's own read has who, what, why, when and where."""
    patient = {
        "type": "Patient",
        "identifier": {
            "system": "http://electronichealth.se/identifier/personnummer",
            "value": "191212121212",
        },
    }
    purpose = {
        "coding": [
            {
                "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
                "code": "PATRQT",
                "display": "patient requested",
            }
        ]
    }
    found = event()

    agents = found.pop("agent")
    entities = found.pop("entity")
    assert found == {
        "resourceType": "AuditEvent",
        "id": "0fca9c56-1f0a-4766-b473-548c9350eb8b",
        "type": {
            "system": "http://terminology.hl7.org/CodeSystem/audit-event-type",
            "code": "rest",
            "display": "RESTful Operation",
        },
        "subtype": [
            {
                "system": "http://hl7.org/fhir/restful-interaction",
                "code": "read",
                "display": "read",
            }
        ],
        "action": "R",
        "recorded": "2026-11-28T02:02:03.000004+01:00",
        "outcome": "0",
        "purposeOfEvent": [purpose],
        "source": {
            "site": "https://gateway.example.org/fhir",
            "observer": {"display": "fhir-gateway"},
            "type": [
                {
                    "system": (
                        "http://terminology.hl7.org/CodeSystem/security-source-type"
                    ),
                    "code": "4",
                    "display": "Application Server",
                }
            ],
        },
    }
    assert [
        (each["type"]["coding"][0]["code"], each["who"], each["requestor"])
        for each in agents
    ] == [
        ("IRCP", patient, True),
        ("110152", {"display": "app"}, False),
        ("110153", {"display": "fhir-gateway"}, False),
    ]
    assert agents[0]["purposeOfUse"] == [purpose]
    assert [(each["role"]["code"], each.get("what")) for each in entities] == [
        ("1", patient),
        ("4", {"reference": "Appointment/b-1"}),
        (
            "17",
            {
                "identifier": {
                    "system": "urn:ietf:rfc:3986",
                    "value": "https://fhir-gateway.example.org/source/norr",
                }
            },
        ),
    ]


@pytest.mark.parametrize(
    ("interaction", "action", "code", "detail"),
    [
        ("read", "R", "read", None),
        ("search-type", "E", "search", None),
        ("create", "C", "create", None),
        ("update", "U", "update", None),
        ("patch", "U", "patch", None),
        ("$hold", "E", "operation", "$hold"),
        ("$cancel", "E", "operation", "$cancel"),
    ],
)
def test_each_interaction_has_its_codes(
    interaction: str, action: str, code: str, detail: str | None
) -> None:
    """The codes are those of IHE's patterns; an operation is named in full."""
    found = event(interaction=interaction)

    details = found["entity"][1].get("detail", [{"valueString": None}])
    assert found["action"] == action
    assert found["subtype"][0]["code"] == code
    assert [each["valueString"] for each in details] == [detail]


@pytest.mark.parametrize(
    ("changed", "who"),
    [
        pytest.param(
            {"principal": NURSE, "basis": Basis.STAFF},
            {
                "type": "Organization",
                "identifier": {
                    "system": "urn:oid:1.2.752.29.4.19",
                    "value": "SE1-UNIT",
                },
            },
            id="staff",
        ),
        pytest.param(
            {"principal": STRANGER, "basis": Basis.GUARDIAN},
            {"display": "A guardian"},
            id="guardian",
        ),
        pytest.param(
            {"principal": STRANGER, "basis": None},
            {"display": "Somebody else"},
            id="refused",
        ),
        pytest.param(
            {"principal": Principal(role=Role.DEMO), "basis": Basis.DEMO},
            {"display": "Anybody: the server is an open demo"},
            id="demo",
        ),
        pytest.param(
            {"principal": SYSTEM, "basis": Basis.OWN_UNITS},
            {
                "type": "Organization",
                "identifier": {"system": "urn:oid:1.2.752.29.4.19", "value": "SE2-1"},
            },
            id="system",
        ),
    ],
)
def test_a_resident_learns_who_asked(
    changed: dict[str, Any], who: dict[str, Any]
) -> None:
    """The one who asked is the first agent, and no other agent is."""
    agents = event(**changed)["agent"]

    assert agents[0]["who"] == who
    assert [each["requestor"] for each in agents] == [True] + [False] * (
        len(agents) - 1
    )


@pytest.mark.parametrize(
    ("changed", "hidden"),
    [
        pytest.param(
            {"principal": NURSE, "basis": Basis.STAFF},
            ["SE1-NURSE", "SE1-A", "'nurse'"],
            id="staff",
        ),
        pytest.param(
            {"principal": STRANGER, "basis": Basis.GUARDIAN},
            ["198001019804", "u-2"],
            id="guardian",
        ),
        pytest.param(
            {"principal": STRANGER, "basis": None},
            ["198001019804", "u-2", "anna"],
            id="refused",
        ),
        pytest.param({"request": "Anna's request"}, ["Anna"], id="request"),
    ],
)
def test_a_resident_does_not_learn_more(
    changed: dict[str, Any], hidden: list[str]
) -> None:
    """No employee, no other person's number and no text of a client is shown."""
    text = repr(event(**changed))

    assert [each for each in hidden if each in text] == []


def test_a_refusal_is_a_failure() -> None:
    """A refused request says that nothing was read."""
    found = event(principal=STRANGER, basis=None, booking=None, sources=())

    assert found["outcome"] == "4"
    assert found["outcomeDesc"] == "refused: nothing was read or done"
    assert [each["role"]["code"] for each in found["entity"]] == ["1", "4"]
