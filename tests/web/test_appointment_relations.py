"""
Appointment/$relations and $relate: the units that a resident's list asks.
"""

from typing import Any

import pytest
from assertions import assert_outcome, issue
from flask.testing import FlaskClient

from fhir_gateway.model.error_code import ErrorCode
from web.guarded import Guarded

from .bodies import FHIR_JSON, PERSONNUMMER, book
from .dialects import call, parameters, reference
from .running import Sandbox


def patient(number: str) -> dict[str, Any]:
    """Return the parameter that names a resident."""
    return {
        "name": "patient",
        "valueIdentifier": {"system": PERSONNUMMER, "value": number},
    }


def kinds(body: Any) -> dict[str, list[str]]:
    """Return the relations of an answer: unit and kinds."""
    return {
        each["part"][0]["valueReference"]["reference"]: [
            part["valueCode"] for part in each["part"][1:]
        ]
        for each in body.get("parameter", ())
    }


def unit_of(client: FlaskClient, region: str) -> str:
    """Return a unit of a region that the directory has."""
    prefix = {"norr": "SE2321009901", "mitt": "SE2321009902", "syd": "SE2321009903"}
    units = client.get("/fhir/Location?_count=500").json
    return next(
        each["resource"]["id"]
        for each in units["entry"]
        if each["resource"]["id"].startswith(prefix[region])
    )


def test_a_booked_unit_is_a_relation(client: FlaskClient, number: str) -> None:
    """Where this server knows a booking, the relation is `booked`."""
    made = book(client, "mitt", number).json
    assert made is not None
    unit = made["identifier"][0]["system"].rpartition("/")[2]

    response = call(client, "relations", parameters(patient(number)))

    assert response.status_code == 200, response.text
    assert kinds(response.json) == {f"Location/{unit}": ["booked"]}


def test_a_unit_is_added_and_removed(client: FlaskClient, number: str) -> None:
    """`$relate` answers with the relations as they are then."""
    unit = unit_of(client, "mitt")
    relation = reference("add", f"Location/{unit}")
    name = client.get(f"/fhir/Location/{unit}").json["name"]

    added = call(client, "relate", parameters(patient(number), relation))
    removed = call(
        client,
        "relate",
        parameters(patient(number), reference("remove", f"Location/{unit}")),
    )

    assert added.json == {
        "resourceType": "Parameters",
        "parameter": [
            {
                "name": "relation",
                "part": [
                    {
                        "name": "unit",
                        "valueReference": {
                            "reference": f"Location/{unit}",
                            "display": name,
                        },
                    },
                    {"name": "kind", "valueCode": "added"},
                ],
            }
        ],
    }
    assert (removed.status_code, kinds(removed.json)) == (200, {})


def test_a_list_asks_an_added_unit(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """The unit is asked for the list: when it fails, an outcome names it."""
    unit = unit_of(client, "mitt")
    added = reference("add", f"Location/{unit}")
    call(client, "relate", parameters(patient(number), added))
    sandbox.spoil("mitt", "vp-fault", interactions=["GetSubjectOfCareSchedule"])

    bundle = client.post(
        "/fhir/Appointment/_search",
        data={"patient.identifier": f"{PERSONNUMMER}|{number}"},
    ).json

    name = client.get(f"/fhir/Location/{unit}").json["name"]
    assert any(
        each["diagnostics"].startswith(f"{name} (Region Mitt (sandlåda)) could not be")
        for each in bundle["entry"][-1]["resource"]["issue"]
    )


@pytest.mark.parametrize(
    ("operation", "given", "diagnostics"),
    [
        pytest.param(
            "relations",
            [],
            "Name the resident: patient, as an Identifier.",
            id="nobody",
        ),
        pytest.param(
            "relate",
            [patient("191212121212")],
            "Name units to add or to remove.",
            id="nothing to do",
        ),
        pytest.param(
            "relate",
            [
                patient("191212121212"),
                reference("add", "Location/SE2321009901-1001"),
                reference("remove", "Location/SE2321009901-1001"),
            ],
            "Each unit is to be added or to be removed, not both.",
            id="both",
        ),
    ],
)
def test_a_call_without_sense_is_refused(
    client: FlaskClient, operation: str, given: list[Any], diagnostics: str
) -> None:
    """400 says what to send."""
    response = call(client, operation, parameters(*given))

    assert response.status_code == 400
    assert diagnostics in [each["diagnostics"] for each in response.json["issue"]]


def test_every_fault_of_a_call_is_named(client: FlaskClient) -> None:
    """A wrong number, a wrong reference and an unknown parameter: three issues."""
    response = call(
        client,
        "relate",
        parameters(
            patient("191212121213"),
            reference("add", "Patient/1"),
            reference("unit", "Location/1"),
        ),
    )

    assert response.status_code == 400
    assert len(response.json["issue"]) == 3
    assert "191212121213" not in response.text


def test_a_unit_that_there_is_not_is_refused(client: FlaskClient, number: str) -> None:
    """422 names the unit, and where to look for others."""
    response = call(
        client,
        "relate",
        parameters(patient(number), reference("add", "Location/SE1-NONE")),
    )

    assert_outcome(
        response,
        422,
        issue(
            "business-rule",
            "There is no unit SE1-NONE; search Location for the units there are.",
            error=ErrorCode.RULE_IS_BROKEN,
        ),
    )


def test_a_resident_needs_no_body(guarded: Guarded, number: str) -> None:
    """A token names the resident; a GET has neither a body nor its media type."""
    client = guarded.client("resident", number)

    response = client.get("/fhir/Appointment/$relations")

    assert (response.status_code, kinds(response.json)) == (200, {})


def test_a_number_in_a_url_is_refused(client: FlaskClient) -> None:
    """A parameter in the URL of a call is 400."""
    response = client.post(
        "/fhir/Appointment/$relations?patient=191212121212",
        json=parameters(),
        content_type=FHIR_JSON,
    )

    assert response.status_code == 400
    assert response.json["issue"][0]["code"] == "security"


@pytest.mark.flow
def test_each_resident_has_their_own_relations(
    guarded: Guarded, numbers: list[str]
) -> None:
    """A token says who asks; nobody sees or changes another resident's."""
    mine, other = (guarded.client("resident", each) for each in numbers[:2])
    unit = unit_of(mine, "mitt")
    add = reference("add", f"Location/{unit}")

    added = call(mine, "relate", parameters(add))
    by_get = mine.get("/fhir/Appointment/$relations")
    named = mine.get(f"/fhir/Appointment/$relations?patient={numbers[1]}")
    denied = [
        call(other, name, parameters(patient(numbers[0]), *given))
        for name, given in (("relations", []), ("relate", [add]))
    ]

    assert kinds(added.json) == {f"Location/{unit}": ["added"]}
    assert by_get.json == added.json
    assert named.status_code == 400
    assert numbers[1] not in named.text
    assert kinds(call(other, "relations", parameters()).json) == {}
    assert [each.status_code for each in denied] == [404, 404]
    for role in ("staff", "system", "operator"):
        refused = call(
            guarded.client(role), "relations", parameters(patient(numbers[0]))
        )
        assert refused.status_code == 403
    assert (
        guarded.client()
        .post("/fhir/Appointment/$relations", json=parameters(), content_type=FHIR_JSON)
        .status_code
        == 401
    )
