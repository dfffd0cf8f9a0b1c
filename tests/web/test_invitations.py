"""
Invitations: read, found, booked once, moved, and nobody else's.

https://hl7.org/fhir/R4/appointment.html (app-2, app-3)
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from fhir_gateway.model.ids import BookingId
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.scheduling import MakeBooking
from fhir_gateway.model.timekeeping import civil_date, now
from fhir_gateway.model.timeslot import Timeslot, TimeslotToken
from web.guarded import Guarded

from .bodies import FHIR_JSON, JSON_PATCH, PERSONNUMMER, appointment

pytestmark = pytest.mark.flow

_NOBODYS: Final = "11111111-1111-4111-8111-111111111111"
_IS_INVITATION: Final = "is-invitation"
# The same time type in the contract's words of each region, at its first unit.
_REGIONS: Final = ("norr", "syd")


@dataclass(frozen=True, slots=True)
class Invited:
    """A resident with an open invitation, who has found it."""

    guarded: Guarded
    client: FlaskClient
    number: str
    region: str
    order: Mapping[str, Any]
    appointment: dict[str, Any]

    @property
    def url(self) -> str:
        """Return the URL of the Appointment."""
        return f"/fhir/Appointment/{self.appointment['id']}"

    def read(self) -> dict[str, Any]:
        """Read the Appointment."""
        response = self.client.get(self.url)
        assert response.status_code == 200
        body: dict[str, Any] = response.json
        return body

    def slot(self, key: str = "dsk", which: int = 0, **query: str) -> str:
        """Return a free slot of a time type of the inviting unit."""
        time_type = _time_type(self.guarded, self.region, key)
        found = self.client.get(
            "/fhir/Slot",
            query_string={
                "schedule.actor:Location": self.order["unit"],
                "start": f"ge{civil_date(now()) + timedelta(days=2)}",
                "_count": "200",
                **query,
            },
        ).json
        slots = [
            each["resource"]["id"]
            for each in found["entry"]
            if any(
                coding["code"] == time_type
                for coding in each["resource"]["serviceType"][0]["coding"]
            )
        ]
        slot: str = slots[which]
        return slot

    def answered(self, slot: str, **changes: Any) -> dict[str, Any]:
        """Return the Appointment as a client sends it to book a slot."""
        wanted = appointment(slot, self.number)
        return {
            **self.appointment,
            "status": "booked",
            **{name: wanted[name] for name in ("contained", "slot", "participant")},
            **changes,
        }

    def put(self, slot: str, **changes: Any) -> TestResponse:
        """Book a slot by PUT."""
        return self.client.put(
            self.url, json=self.answered(slot, **changes), content_type=FHIR_JSON
        )

    def writes(self) -> list[tuple[str, str, str]]:
        """Return the writes that the region received: what, with which id, result."""
        return [
            (row["interaction"], row["booking_id_sent"], row["result"])
            for row in self.guarded.sandbox.writes(self.region, self.number)
        ]


def _time_type(guarded: Guarded, region: str, key: str) -> str:
    units = next(
        each.units for each in guarded.sandbox.server.regions() if each.name == region
    )
    return next(each.id for each in units[0].time_types if each.key == key)


def _search(client: FlaskClient, **query: str) -> Any:
    return client.get("/fhir/Appointment", query_string=query).json


def _appointments(bundle: Any) -> list[dict[str, Any]]:
    return [
        each["resource"]
        for each in bundle.get("entry", ())
        if each["search"]["mode"] == "match"
    ]


def _identifier(order: Mapping[str, Any]) -> str:
    system = f"https://fhir-gateway.example.org/identifier/booking-id/{order['unit']}"
    return f"{system}|{order['booking_id']}"


def _extension(resource: dict[str, Any], name: str) -> Any:
    return next(
        each for each in resource["extension"] if each["url"].rpartition("/")[2] == name
    )


@pytest.fixture(name="invite")
def _invite(guarded: Guarded, numbers: list[str]) -> Callable[..., Invited]:
    """Give what invites a resident of its own, who then finds the invitation."""
    left = iter(numbers)

    def invite(region: str = "norr", **order: Any) -> Invited:
        number = next(left)
        client = guarded.client("resident", number)
        made = guarded.sandbox.invite(region, number, **order)
        (found,) = _appointments(_search(client, identifier=_identifier(made)))
        return Invited(guarded, client, number, region, made, found)

    return invite


@pytest.mark.parametrize("region", _REGIONS)
def test_an_open_invitation_is_a_proposed_appointment(
    invite: Callable[..., Invited], region: str
) -> None:
    """It has its unit, its time type and its purpose, and neither start nor end."""
    invited = invite(region, purpose="Dags för kontroll.")
    shown = invited.appointment

    assert (shown["status"], shown["patientInstruction"]) == (
        "proposed",
        "Dags för kontroll.",
    )
    assert not {"start", "end", "slot"} & shown.keys()
    assert _extension(shown, _IS_INVITATION)["valueBoolean"] is True
    assert _time_type(invited.guarded, region, "dsk") in [
        each["code"] for each in shown["serviceType"][0]["coding"]
    ]
    assert shown["participant"][0] == {
        "actor": {
            "type": "Patient",
            "identifier": {"system": PERSONNUMMER, "value": invited.number},
        },
        "status": "needs-action",
    }
    assert shown["participant"][1]["actor"]["reference"] == (
        f"Location/{invited.order['unit']}"
    )
    assert invited.read()["id"] == shown["id"]


def test_a_found_invitation_stays_in_the_list(invite: Callable[..., Invited]) -> None:
    """Once it is known, every list has it once, also by its status."""
    invited = invite()
    ids = [
        [each["id"] for each in _appointments(_search(invited.client, **query))]
        for query in ({}, {"status": "proposed"}, {"status": "booked"}, {})
    ]

    mine = [invited.appointment["id"]]
    assert ids == [mine, mine, [], mine]


def test_an_invitation_fits_no_search_for_a_time(
    invite: Callable[..., Invited],
) -> None:
    """It has no time, so that a search by date does not find it."""
    invited = invite()

    assert _appointments(_search(invited.client, date="ge2020-01-01")) == []


def test_an_invitation_is_nobody_elses(
    invite: Callable[..., Invited], guarded: Guarded, numbers: list[str]
) -> None:
    """To another resident it is as an id of nobody, in each interaction."""
    invited = invite()
    stranger = guarded.client("resident", numbers[-1])

    def ask(identifier: str) -> list[tuple[int, bytes, dict[str, str]]]:
        url = f"/fhir/Appointment/{identifier}"
        body = {**invited.answered(invited.slot()), "id": identifier}
        return [
            guarded.outward(response)
            for response in (
                stranger.get(url),
                stranger.put(url, json=body, content_type=FHIR_JSON),
                stranger.patch(
                    url,
                    json=[{"op": "replace", "path": "/status", "value": "cancelled"}],
                    content_type=JSON_PATCH,
                ),
                stranger.post(f"{url}/$cancel", json={"resourceType": "Parameters"}),
            )
        ]

    answers = ask(invited.appointment["id"])
    assert answers == ask(_NOBODYS)
    assert {each[0] for each in answers} == {404}
    found = _search(stranger, identifier=_identifier(invited.order))
    assert _appointments(found) == []
    assert invited.writes() == []


@pytest.mark.parametrize("region", _REGIONS)
def test_an_open_invitation_is_booked_by_put(
    invite: Callable[..., Invited], region: str
) -> None:
    """MakeBooking carries its id, once; the same Appointment is booked then."""
    invited = invite(region)
    slot = invited.slot()
    response = invited.put(slot)

    assert response.status_code == 200, response.text
    booked = response.json
    assert (booked["id"], booked["status"]) == (invited.appointment["id"], "booked")
    assert booked["slot"] == [{"reference": f"Slot/{slot}"}]
    assert int(booked["meta"]["versionId"]) > int(
        invited.appointment["meta"]["versionId"]
    )
    assert _extension(booked, _IS_INVITATION)["valueBoolean"] is False
    assert invited.writes() == [("MakeBooking", invited.order["booking_id"], "OK")]
    (listed,) = _appointments(_search(invited.client))
    assert (listed["id"], listed["status"]) == (booked["id"], "booked")


def test_an_open_invitation_is_booked_by_patch(
    invite: Callable[..., Invited],
) -> None:
    """A JSON Patch that adds the slot and the name books it."""
    invited = invite()
    slot = invited.slot()
    wanted = appointment(slot, invited.number)
    response = invited.client.patch(
        invited.url,
        json=[
            {"op": "replace", "path": "/status", "value": "booked"},
            {"op": "add", "path": "/slot", "value": wanted["slot"]},
            {"op": "add", "path": "/contained", "value": wanted["contained"]},
            {
                "op": "replace",
                "path": "/participant/0/actor",
                "value": wanted["participant"][0]["actor"],
            },
        ],
        content_type=JSON_PATCH,
    )

    assert response.status_code == 200, response.text
    assert (response.json["id"], response.json["status"]) == (
        invited.appointment["id"],
        "booked",
    )
    assert invited.writes() == [("MakeBooking", invited.order["booking_id"], "OK")]


def test_an_open_invitation_is_booked_by_book(
    invite: Callable[..., Invited],
) -> None:
    """`$book` of it, with a slot and the name, books it."""
    invited = invite()
    response = invited.client.post(
        "/fhir/Appointment/$book",
        json={
            "resourceType": "Parameters",
            "parameter": [
                {
                    "name": "appt-resource",
                    "resource": invited.answered(invited.slot(), status="proposed"),
                }
            ],
        },
        content_type=FHIR_JSON,
    )

    assert response.status_code == 201, response.text
    assert response.json["id"] == invited.appointment["id"]
    assert invited.writes() == [("MakeBooking", invited.order["booking_id"], "OK")]


@pytest.mark.parametrize("status", ["proposed", "booked"])
def test_a_repeat_is_no_second_booking(
    invite: Callable[..., Invited], status: str
) -> None:
    """The same request again answers with the booking, and sends nothing."""
    invited = invite()
    slot = invited.slot()
    assert invited.put(slot, status=status).status_code == 200

    again = invited.put(slot, status=status)
    assert (again.status_code, again.json["status"]) == (200, "booked")
    assert len(invited.writes()) == 1


@pytest.mark.parametrize("status", ["proposed", "booked"])
def test_a_second_booking_of_it_is_a_conflict(
    invite: Callable[..., Invited], status: str
) -> None:
    """Another slot for an invitation that is booked is 409, and sends nothing."""
    invited = invite()
    first, second = invited.slot(), invited.slot(which=1)
    assert invited.put(first).status_code == 200

    assert invited.put(second, status=status).status_code == 409
    assert len(invited.writes()) == 1


def test_an_invitation_answered_elsewhere_is_a_conflict(
    invite: Callable[..., Invited],
) -> None:
    """What the unit has booked by telephone is booked, under the same id."""
    invited = invite()
    slot = invited.slot()
    # The last one, since the gateway goes on offering it to other tests.
    elsewhere = _accept_elsewhere(invited, invited.slot(which=-1))
    response = invited.put(slot, status="proposed")

    assert elsewhere
    assert response.status_code == 409
    (listed,) = _appointments(_search(invited.client))
    assert (listed["id"], listed["status"]) == (invited.appointment["id"], "booked")


def _accept_elsewhere(invited: Invited, slot: str) -> bool:
    """Book a slot for the invitation behind the gateway's back."""
    made = invited.guarded.made
    token = TimeslotToken.parse(slot)
    known = made.view.snapshot.known(token.schedule)
    assert known is not None
    adapter = next(
        each.adapter for each in made.sources if each.source.name == invited.region
    )
    result = adapter.make_booking(
        MakeBooking(
            timeslot=Timeslot(
                schedule=known.schedule, start=token.starts_at, end=token.ends_at
            ),
            subject_of_care=SubjectOfCare(
                number=PersonalIdentityNumber(invited.number),
                first_name="Anna",
                last_name="Testlund",
            ),
            invitation=BookingId(invited.order["booking_id"]),
        ),
        timeout=10,
    )
    return result.is_done


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"key": "lakare"}, 422, "another time type"),
        ({"contained": None}, 422, "contained Patient"),
    ],
)
def test_what_the_invitation_does_not_permit_is_422(
    invite: Callable[..., Invited],
    changes: dict[str, Any],
    status: int,
    words: str,
) -> None:
    """Another time type, or no name, is refused before anything is sent."""
    invited = invite()
    slot = invited.slot(changes.get("key", "dsk"))
    body = invited.answered(slot)
    if "contained" in changes:
        del body["contained"]
        body["participant"] = invited.appointment["participant"]
    response = invited.client.put(invited.url, json=body, content_type=FHIR_JSON)

    assert response.status_code == status
    assert words in response.text
    assert invited.writes() == []
    assert invited.read()["status"] == "proposed"


def test_a_unit_that_is_not_listed_is_422(invite: Callable[..., Invited]) -> None:
    """A unit that the region does not list for the invitation is refused."""
    invited = invite(time_type="influensa")
    regions = {each.name: each for each in invited.guarded.sandbox.server.regions()}
    elsewhere = next(
        unit
        for unit in regions["norr"].units
        if unit.kind != regions["norr"].unit(invited.order["unit"]).kind
        and any(each.key == "influensa" for each in unit.time_types)
    )
    slot = invited.slot("influensa", **{"schedule.actor:Location": elsewhere.hsa_id})
    response = invited.put(slot)

    assert response.status_code == 422
    assert invited.writes() == []


def test_a_refusal_is_told_in_the_regions_words(
    invite: Callable[..., Invited],
) -> None:
    """After an ERROR the invitation is still open, and can be booked."""
    invited = invite()
    invited.guarded.sandbox.spoil(
        "norr",
        "error",
        interactions=["MakeBooking"],
        text="Ring oss först.",
        count=1,
    )
    try:
        refused = invited.put(invited.slot())
    finally:
        invited.guarded.sandbox.heal()

    assert (refused.status_code, "Ring oss först." in refused.text) == (422, True)
    open_again = invited.read()
    assert open_again["status"] == "proposed"
    booked = invited.client.put(
        invited.url,
        json={**invited.answered(invited.slot(which=1)), "meta": open_again["meta"]},
        content_type=FHIR_JSON,
    )
    assert booked.status_code == 200, booked.text
    assert booked.json["status"] == "booked"
    assert [result for _, _, result in invited.writes()] == ["ERROR", "OK"]


def test_a_lost_answer_leaves_it_pending_and_then_booked(
    invite: Callable[..., Invited],
) -> None:
    """An unknown outcome is 202, and the next read finds the booking, sent once."""
    invited = invite()
    slot = invited.slot()
    invited.guarded.sandbox.spoil(
        "norr",
        "drop-after-processing",
        interactions=["MakeBooking"],
        count=1,
    )
    try:
        lost = invited.put(slot)
    finally:
        invited.guarded.sandbox.heal()

    assert lost.status_code == 202, lost.text
    assert lost.json["id"] == invited.appointment["id"]
    read = invited.read()
    assert (read["status"], read["slot"]) == (
        "booked",
        [{"reference": f"Slot/{slot}"}],
    )
    assert len(invited.writes()) == 1


@pytest.mark.parametrize("region", _REGIONS)
def test_an_invitation_that_is_taken_back_is_cancelled(
    invite: Callable[..., Invited], region: str
) -> None:
    """It stays as cancelled, once, and cannot be booked."""
    invited = invite(region)
    slot = invited.slot()
    invited.guarded.sandbox.withdraw(region, invited.order["booking_id"])

    assert invited.read()["status"] == "cancelled"
    (listed,) = _appointments(_search(invited.client))
    assert (listed["id"], listed["status"]) == (
        invited.appointment["id"],
        "cancelled",
    )
    assert invited.put(slot).status_code == 409
    assert invited.writes() == []


def test_an_open_invitation_is_neither_moved_nor_cancelled(
    invite: Callable[..., Invited],
) -> None:
    """No contract declines it: each try is refused and sends nothing."""
    invited = invite()
    answers = [
        invited.client.post(
            f"{invited.url}/$cancel",
            json={"resourceType": "Parameters"},
            content_type=FHIR_JSON,
        ),
        invited.client.patch(
            invited.url,
            json=[{"op": "replace", "path": "/status", "value": "cancelled"}],
            content_type=JSON_PATCH,
        ),
        invited.client.post(
            f"{invited.url}/$reschedule",
            json={
                "resourceType": "Parameters",
                "parameter": [
                    {
                        "name": "slot-reference",
                        "valueReference": {"reference": f"Slot/{invited.slot()}"},
                    }
                ],
            },
            content_type=FHIR_JSON,
        ),
    ]

    assert [each.status_code for each in answers] == [422, 422, 422]
    assert invited.writes() == []


def test_a_timed_invitation_is_booked_and_moved(
    guarded: Guarded, numbers: list[str]
) -> None:
    """It is `booked` with the mark; a move makes it an ordinary booking."""
    number = numbers[0]
    client = guarded.client("resident", number)
    order = guarded.sandbox.invite("norr", number, in_days=5)
    (shown,) = _appointments(_search(client))
    assert (shown["status"], shown["identifier"][0]["value"]) == (
        "booked",
        order["booking_id"],
    )
    assert _extension(shown, _IS_INVITATION)["valueBoolean"] is True

    schedule = shown["slot"][0]["reference"].partition("/")[2].rsplit(".", 2)[0]
    later = civil_date(now()) + timedelta(days=20)
    slot = client.get(
        "/fhir/Slot", query_string={"schedule": schedule, "start": f"ge{later}"}
    ).json["entry"][-1]["resource"]["id"]
    wanted = appointment(slot, number)
    moved = client.put(
        f"/fhir/Appointment/{shown['id']}",
        json={
            **{name: shown[name] for name in shown if name not in ("start", "end")},
            **{name: wanted[name] for name in ("contained", "slot", "participant")},
        },
        content_type=FHIR_JSON,
    )
    assert moved.status_code == 200, moved.text
    assert moved.json["id"] == shown["id"]
    assert _extension(moved.json, _IS_INVITATION)["valueBoolean"] is False
    assert [
        (row["interaction"], row["booking_id_sent"])
        for row in guarded.sandbox.writes("norr", number)
    ] == [("UpdateBooking", order["booking_id"])]


def test_no_number_stands_in_the_identifiers_url(
    invite: Callable[..., Invited],
) -> None:
    """The search that finds an invitation names the unit's id of it, and nobody."""
    invited = invite()

    assert invited.number not in quote(_identifier(invited.order))


def _slots(bundle: Any) -> list[dict[str, Any]]:
    return [
        each["resource"]
        for each in bundle.get("entry", ())
        if each["search"]["mode"] == "match"
    ]


@pytest.mark.parametrize("region", _REGIONS)
def test_the_slots_of_an_invitation_are_of_its_time_type_and_units(
    invite: Callable[..., Invited], region: str
) -> None:
    """The search finds what the region lists for it: no other time type or unit."""
    invited = invite(region)
    response = invited.client.get(
        "/fhir/Slot",
        query_string={"invitation": f"Appointment/{invited.appointment['id']}"},
    )
    found = _slots(response.json)

    assert response.status_code == 200, response.text
    assert found
    assert {
        coding["code"]
        for slot in found
        for coding in slot["serviceType"][0]["coding"]
        if "time-types-" in coding["system"]
    } == {_time_type(invited.guarded, region, "dsk")}
    assert {slot["id"].split(".")[0] for slot in found} == {invited.order["unit"]}
    assert [slot["start"] for slot in found] == sorted(slot["start"] for slot in found)
    assert response.headers["Cache-Control"] == "no-store"
    assert "ETag" not in response.headers


def test_the_slots_of_an_invitation_are_in_pages(
    invite: Callable[..., Invited],
) -> None:
    """Each page continues after the last; together they have each slot once."""
    invited = invite()
    query: dict[str, str] | None = {
        "invitation": invited.appointment["id"],
        "_count": "7",
    }
    url, found, totals = "/fhir/Slot", [], set()
    while url:
        bundle = invited.client.get(url, query_string=query).json
        found += [slot["id"] for slot in _slots(bundle)]
        totals.add(bundle["total"])
        links = {each["relation"]: each["url"] for each in bundle["link"]}
        url, query = links.get("next", "").removeprefix("http://gateway.test"), None

    assert len(found) > 7
    assert totals == {len(found)}
    assert len(set(found)) == len(found)


def test_protected_slots_are_shown_to_the_invited_and_booked(
    invite: Callable[..., Invited],
) -> None:
    """Times that no region lists to others are found and booked by the invitation."""
    invited = invite("norr", time_type="fasteprov", protected=True)
    # The gateway has listed the day before it was protected: only the region knows.
    (first, *_) = _slots(
        invited.client.post(
            "/fhir/Slot/_search", data={"invitation": invited.appointment["id"]}
        ).json
    )
    response = invited.put(first["id"])

    assert response.status_code == 200, response.text
    assert (response.json["status"], response.json["start"]) == (
        "booked",
        first["start"],
    )
    assert invited.writes() == [("MakeBooking", invited.order["booking_id"], "INFO")]


def test_find_proposes_the_slots_of_an_invitation(
    invite: Callable[..., Invited],
) -> None:
    """`$find` with the invitation proposes the same times, and `$book` books one."""
    invited = invite()
    found = _slots(
        invited.client.get(
            "/fhir/Appointment/$find",
            query_string={"invitation": invited.appointment["id"], "_count": "3"},
        ).json
    )
    booked = invited.client.post(
        f"{invited.url}/$book",
        json={
            "resourceType": "Parameters",
            "parameter": [
                {"name": "slot-reference", "valueReference": found[-1]["slot"][0]},
                {
                    "name": "patient-resource",
                    "resource": {
                        "resourceType": "Patient",
                        "identifier": [
                            {"system": PERSONNUMMER, "value": invited.number}
                        ],
                        "name": [{"family": "Testlund", "given": ["Anna"]}],
                    },
                },
            ],
        },
        content_type=FHIR_JSON,
    )

    assert [each["status"] for each in found] == ["proposed"] * 3
    assert booked.status_code == 201, booked.text
    assert invited.writes() == [("MakeBooking", invited.order["booking_id"], "OK")]


def test_the_slots_of_an_invitation_are_nobody_elses(
    guarded: Guarded, invite: Callable[..., Invited], numbers: list[str]
) -> None:
    """Another resident's search, and one for an id of nobody, are the same 404."""
    invited = invite()
    stranger = guarded.client("resident", numbers[-1])

    def ask(identifier: str) -> list[tuple[int, bytes, dict[str, str]]]:
        return [
            guarded.outward(stranger.get(url, query_string={"invitation": identifier}))
            for url in ("/fhir/Slot", "/fhir/Appointment/$find")
        ]

    answers = ask(invited.appointment["id"])
    assert answers == ask(_NOBODYS)
    assert {each[0] for each in answers} == {404}


def test_the_slots_of_an_invitation_need_a_token(
    guarded: Guarded, invite: Callable[..., Invited]
) -> None:
    """Without a token the search is 401, though other searches need none."""
    invited = invite()
    anybody = guarded.client()

    assert (
        anybody.get(
            "/fhir/Slot", query_string={"invitation": invited.appointment["id"]}
        ).status_code
        == 401
    )


def test_an_invitation_has_a_unit_and_a_time_type_of_its_own(
    invite: Callable[..., Invited],
) -> None:
    """Other parameters of the search are refused, each by its name."""
    invited = invite()
    response = invited.client.get(
        "/fhir/Slot",
        query_string={
            "invitation": invited.appointment["id"],
            "service-type": "http://snomed.info/sct|72791000052103",
            "first-per": "unit",
        },
    )

    assert response.status_code == 400
    assert [each["code"] for each in response.json["issue"]] == ["not-supported"] * 2


def test_a_booked_invitation_has_no_slots(invite: Callable[..., Invited]) -> None:
    """The search says that it is no open invitation any more."""
    invited = invite()
    assert invited.put(invited.slot()).status_code == 200
    bundle = invited.client.get(
        "/fhir/Slot", query_string={"invitation": invited.appointment["id"]}
    ).json

    assert _slots(bundle) == []
    assert "total" not in bundle
    assert [each["code"] for each in bundle["entry"][0]["resource"]["issue"]] == [
        "business-rule"
    ]


def test_a_silent_region_is_said_beside_the_slots(
    invite: Callable[..., Invited],
) -> None:
    """A region that lists no times is an outcome, never an empty answer."""
    invited = invite()
    invited.guarded.sandbox.spoil(
        "norr", "vp-fault", interactions=["GetAvailableTimeslots"]
    )
    try:
        bundle = invited.client.get(
            "/fhir/Slot", query_string={"invitation": invited.appointment["id"]}
        ).json
    finally:
        invited.guarded.sandbox.heal()

    assert _slots(bundle) == []
    assert "total" not in bundle
    assert len(bundle["entry"][0]["resource"]["issue"]) == 1


def test_many_requests_at_once_book_it_once(
    guarded: Guarded, invite: Callable[..., Invited]
) -> None:
    """Of eight answers with eight slots one is booked, and the region gets one."""
    invited = invite()
    slots = [invited.slot(which=which, _count="1000") for which in range(2, 10)]

    def put(slot: str) -> int:
        client = guarded.client("resident", invited.number)
        return client.put(
            invited.url, json=invited.answered(slot), content_type=FHIR_JSON
        ).status_code

    with ThreadPoolExecutor(max_workers=len(slots)) as executor:
        statuses = sorted(executor.map(put, slots))

    assert statuses == [200, *[409] * 7]
    assert [result for *_, result in invited.writes()] == ["OK"]


def test_a_timed_invitation_is_cancelled_where_its_region_permits_it(
    guarded: Guarded, numbers: list[str]
) -> None:
    """CancelBooking is sent for one that may be cancelled, and for no other."""
    number = numbers[0]
    client = guarded.client("resident", number)
    answers = {}
    for key in ("lakare", "halsosamtal"):
        order = guarded.sandbox.invite("norr", number, in_days=9, time_type=key)
        shown = next(
            each
            for each in _appointments(_search(client))
            if each["identifier"][0]["value"] == order["booking_id"]
        )
        answers[key] = client.patch(
            f"/fhir/Appointment/{shown['id']}",
            json=[{"op": "replace", "path": "/status", "value": "cancelled"}],
            content_type=JSON_PATCH,
        ).status_code

    assert answers == {"lakare": 200, "halsosamtal": 422}
    assert [row["interaction"] for row in guarded.sandbox.writes("norr", number)] == [
        "CancelBooking"
    ]
