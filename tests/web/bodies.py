"""
What clients send: appointments, and how they find a slot for one.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from fhir_gateway.model.timekeeping import civil_date, now

__all__ = [
    "COVID_VACCINATION",
    "FHIR_JSON",
    "JSON_PATCH",
    "PERSONNUMMER",
    "another_slot",
    "appointment",
    "book",
    "change",
    "free_slots",
    "key_of",
    "patch",
    "region_of",
    "slot_patch",
    "status_patch",
]

PERSONNUMMER: Final = "http://electronichealth.se/identifier/personnummer"
COVID_VACCINATION: Final = "http://snomed.info/sct|72791000052103"
FHIR_JSON: Final = "application/fhir+json"
JSON_PATCH: Final = "application/json-patch+json"


def appointment(slot: str, number: str, **changes: Any) -> dict[str, Any]:
    """Return a body that books a slot for a test person; a change to None removes."""
    identifier = {"system": PERSONNUMMER, "value": number}
    body = {
        "resourceType": "Appointment",
        "contained": [
            {
                "resourceType": "Patient",
                "id": "patient",
                "identifier": [identifier],
                "name": [{"family": "Testlund", "given": ["Anna"]}],
            }
        ],
        "status": "proposed",
        "slot": [{"reference": f"Slot/{slot}"}],
        "participant": [
            {
                "actor": {
                    "reference": "#patient",
                    "type": "Patient",
                    "identifier": identifier,
                },
                "status": "needs-action",
            }
        ],
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def key_of(number: str) -> str:
    """Return an Idempotency-Key that belongs to a test's own resident."""
    return f"key-{int(number):x}"


def region_of(resource: dict[str, Any]) -> str:
    """Return the name of the source that a resource comes from."""
    return str(resource["meta"]["source"].rpartition("/")[2])


def free_slots(
    client: FlaskClient, region: str | None = None, **parameters: str
) -> Iterator[dict[str, Any]]:
    """Yield free slots, those of one region if it is named, page by page."""
    query: dict[str, str] | None = {
        "service-type": COVID_VACCINATION,
        "_count": "200",
        **parameters,
    }
    url = "/fhir/Slot"
    while url:
        bundle = client.get(url, query_string=query).json
        assert bundle is not None
        for entry in bundle.get("entry", ()):
            slot = entry["resource"]
            if slot["resourceType"] == "Slot" and region in (None, region_of(slot)):
                yield slot
        links = {each["relation"]: each["url"] for each in bundle["link"]}
        url, query = links.get("next", "").removeprefix("http://gateway.test"), None


def another_slot(client: FlaskClient, body: dict[str, Any]) -> dict[str, Any]:
    """Return a free slot of some weeks ahead, of the kind of an appointment's own."""
    schedule = body["slot"][0]["reference"].partition("/")[2].rsplit(".", 2)[0]
    later = civil_date(now()) + timedelta(days=45)
    query = {"schedule": schedule, "start": f"ge{later}"}
    bundle = client.get("/fhir/Slot", query_string=query).json
    assert bundle is not None
    slot: dict[str, Any] = bundle["entry"][0]["resource"]
    return slot


def book(
    client: FlaskClient,
    region: str,
    number: str,
    *,
    headers: dict[str, str] | None = None,
    search: dict[str, str] | None = None,
    **changes: Any,
) -> TestResponse:
    """Book a region's first free slot that a search finds; return the answer."""
    slot = next(free_slots(client, region, **(search or {})))
    return client.post(
        "/fhir/Appointment",
        json=appointment(slot["id"], number, **changes),
        content_type=FHIR_JSON,
        headers=headers,
    )


def change(
    client: FlaskClient, body: dict[str, Any], *, headers: dict[str, str] | None = None
) -> TestResponse:
    """Send an appointment by PUT; return the answer."""
    return client.put(
        f"/fhir/Appointment/{body['id']}",
        json=body,
        content_type=FHIR_JSON,
        headers=headers,
    )


def patch(
    client: FlaskClient,
    identifier: str,
    operations: Any,
    *,
    headers: dict[str, str] | None = None,
) -> TestResponse:
    """Send a JSON Patch; return the answer."""
    return client.patch(
        f"/fhir/Appointment/{identifier}",
        json=operations,
        content_type=JSON_PATCH,
        headers=headers,
    )


def slot_patch(slot: str) -> list[dict[str, Any]]:
    """Return a patch that moves to a slot."""
    return [
        {"op": "replace", "path": "/slot/0/reference", "value": f"Slot/{slot}"},
    ]


def status_patch(status: str, **more: Any) -> list[dict[str, Any]]:
    """Return a patch that changes the status, and adds elements."""
    return [
        {"op": "replace", "path": "/status", "value": status},
        *({"op": "add", "path": f"/{name}", "value": more[name]} for name in more),
    ]
