"""
Conditional create: If-None-Exist with an identifier, or another search.

https://hl7.org/fhir/R4/http.html#ccreate
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from assertions import assert_outcome, issue
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from fhir_gateway.bootstrap import Program
from fhir_gateway.model.error_code import ErrorCode

from .bodies import FHIR_JSON, appointment, free_slots, key_of, patch, status_patch
from .dialects import BOOKINGS, appointment_of, call
from .guarded import Guarded
from .running import BASE_URL, Sandbox

_MAKE = "MakeBooking"
_VISITS = "https://app.example.org/visits"


def identifier(system: str = _VISITS, value: str | None = None) -> str:
    """Return a condition, of a visit of its own where it names none."""
    return f"identifier={system}|{value or uuid4()}"


def post(client: FlaskClient, body: Any, condition: str) -> TestResponse:
    """Send a body that books, under a condition; return the answer."""
    return client.post(
        "/fhir/Appointment",
        json=body,
        content_type=FHIR_JSON,
        headers={"If-None-Exist": condition},
    )


def wanted(client: FlaskClient, number: str, *, of: int = 0) -> dict[str, Any]:
    """Return a body that books one of norr's first free slots."""
    slots = free_slots(client, "norr")
    for _ in range(of):
        next(slots)
    return appointment(next(slots)["id"], number)


def made_writes(sandbox: Sandbox, number: str) -> int:
    """Return how many bookings norr was asked to make for a person."""
    return [each["interaction"] for each in sandbox.writes("norr", number)].count(_MAKE)


def test_no_match_creates_and_one_match_is_answered(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """The first is 201, a repeat is 200 with the same appointment and where it is."""
    body, condition = wanted(client, number), identifier()

    first = post(client, body, condition)
    second = post(client, body, condition)

    assert first.json is not None
    assert second.json is not None
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json["id"] == first.json["id"]
    assert second.headers["Content-Location"] == (
        f"{BASE_URL}/Appointment/{first.json['id']}"
    )
    assert made_writes(sandbox, number) == 1


def test_another_body_finds_what_the_first_made(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """R4: the server ignores the post and answers 200; it is no misuse of a key."""
    condition = identifier()
    first = post(client, wanted(client, number), condition)

    other = post(client, wanted(client, number, of=3) | {"comment": "x"}, condition)

    assert first.json is not None
    assert other.json is not None
    assert (other.status_code, other.json["id"]) == (200, first.json["id"])
    assert made_writes(sandbox, number) == 1


@pytest.mark.parametrize(
    "form",
    [
        pytest.param("http://host/fhir/Appointment?identifier={}", id="a whole URL"),
        pytest.param(BASE_URL + "/Appointment?identifier={}", id="of this server"),
        pytest.param("Appointment?identifier={}", id="a relative URL"),
        pytest.param("/fhir/Appointment?identifier={}", id="a path"),
        pytest.param("?identifier={}", id="with a question mark"),
    ],
)
def test_every_form_of_a_condition_is_the_same(
    client: FlaskClient, number: str, form: str
) -> None:
    """The part before the question mark, and percent signs, make no difference."""
    value = str(uuid4())
    first = post(client, wanted(client, number), identifier(value=value))

    token = quote(f"{_VISITS}|{value}", safe="")
    second = post(client, wanted(client, number, of=1), form.format(token))
    assert first.json is not None
    assert second.json is not None

    assert (second.status_code, second.json["id"]) == (200, first.json["id"])


def test_the_identifier_of_a_real_booking(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """The region's own booking id finds that booking, however it was made."""
    booked = client.post(
        "/fhir/Appointment", json=wanted(client, number), content_type=FHIR_JSON
    ).json
    assert booked is not None
    (known,) = booked["identifier"]

    found = post(
        client,
        wanted(client, number, of=1),
        identifier(known["system"], known["value"]),
    )

    assert found.json is not None
    assert (found.status_code, found.json["id"]) == (200, booked["id"])
    assert made_writes(sandbox, number) == 1


def test_another_persons_booking_is_not_found(
    client: FlaskClient, numbers: list[str]
) -> None:
    """An identifier leads to nobody else's appointment: the create is carried out."""
    condition = identifier()
    others = post(client, wanted(client, numbers[0]), condition).json
    assert others is not None
    (known,) = others["identifier"]

    answers = [
        post(client, wanted(client, numbers[1]), condition),
        post(
            client,
            wanted(client, numbers[1]),
            identifier(known["system"], known["value"]),
        ),
    ]

    assert [each.status_code for each in answers] == [201, 201]
    ids = [each.json["id"] for each in answers if each.json is not None]
    assert len({*ids, others["id"]}) == 3


def test_several_matches_are_refused(client: FlaskClient, number: str) -> None:
    """412 where the region's booking and another create have the identifier."""
    slot = next(free_slots(client, "norr"))["id"]
    unit = slot.split(".")[0]
    system = f"https://fhir-gateway.example.org/identifier/booking-id/{unit}"
    of_unit = {"schedule.actor:Location": f"Location/{unit}"}
    slots = free_slots(client, "norr", **of_unit)
    # The region counts its bookings: this one's id is the next but one's.
    before, count = last_booking_id(client, next(slots)["id"], number)
    coming = f"{before}-{int(count) + 2}"
    first = post(
        client, appointment(next(slots)["id"], number), identifier(system, coming)
    )
    second = client.post(
        "/fhir/Appointment",
        json=appointment(next(slots)["id"], number),
        content_type=FHIR_JSON,
    )
    assert second.json is not None
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json["identifier"] == [{"system": system, "value": coming}]

    third = post(client, wanted(client, number), identifier(system, coming))

    assert_outcome(
        third,
        412,
        issue(
            "multiple-matches",
            "Several appointments fit If-None-Exist: use an identifier that only one of"
            " them has.",
            location="http.If-None-Exist",
            error=ErrorCode.SEVERAL_APPOINTMENTS_FIT,
        ),
    )


def last_booking_id(client: FlaskClient, slot: str, number: str) -> tuple[str, str]:
    """Return the parts of the booking id that norr has given out last."""
    booked = client.post(
        "/fhir/Appointment", json=appointment(slot, number), content_type=FHIR_JSON
    ).json
    assert booked is not None
    patch(client, booked["id"], status_patch("cancelled"))
    before, _, count = booked["identifier"][0]["value"].rpartition("-")
    return before, count


def test_a_match_that_is_cancelled_says_so(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A cancelled appointment exists: 200, and it is not said to be booked."""
    body, condition = wanted(client, number), identifier()
    booked = post(client, body, condition).json
    assert booked is not None
    patch(client, booked["id"], status_patch("cancelled"))

    again = post(client, body, condition)

    assert again.json is not None
    assert (again.status_code, again.json["status"]) == (200, "cancelled")
    assert made_writes(sandbox, number) == 1


def test_what_was_refused_does_not_exist(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A refusal leaves no match, so the next create is carried out."""
    condition = identifier()
    sandbox.spoil("norr", "error", interactions=[_MAKE], text="Nej.")
    refused = post(client, wanted(client, number), condition)
    sandbox.heal()

    booked = post(client, wanted(client, number, of=1), condition)
    again = post(client, wanted(client, number, of=2), condition)

    assert [each.status_code for each in (refused, booked, again)] == [422, 201, 200]


def test_what_could_not_be_asked_does_not_exist(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A create that could not reach the region leaves no match either."""
    body, condition = wanted(client, number), identifier()
    sandbox.spoil("norr", "vp-fault", interactions=["GetAvailableTimeslots"])
    unsent = post(client, body, condition)
    sandbox.heal()

    booked = post(client, body, condition)

    assert (unsent.status_code, booked.status_code) == (503, 201)


def test_what_nobody_knows_yet_exists(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A pending booking is found in its present state, and no second one is made."""
    condition = identifier()
    sandbox.spoil("norr", "drop-after-processing", interactions=[_MAKE])
    pending = post(client, wanted(client, number), condition)
    sandbox.heal()

    found = post(client, wanted(client, number, of=1), condition)

    assert pending.json is not None
    assert found.json is not None
    assert (pending.status_code, found.status_code) == (202, 200)
    assert (found.json["id"], found.json["status"]) == (pending.json["id"], "booked")
    assert made_writes(sandbox, number) == 1


def test_of_many_creates_at_once_one_creates(
    client: FlaskClient, made: Program, sandbox: Sandbox, number: str
) -> None:
    """The others find what it made, or wait for it; their slots stay free."""
    condition = identifier()
    bodies = [wanted(client, number, of=each) for each in range(8)]
    sandbox.spoil("norr", "answer-late", interactions=[_MAKE], seconds=0.5)

    with ThreadPoolExecutor(8) as executor:
        answers = list(
            executor.map(
                lambda body: post(made.app.test_client(), body, condition), bodies
            )
        )

    codes = sorted(each.status_code for each in answers)
    assert codes.count(201) == 1
    assert set(codes) <= {200, 201, 409}
    assert made_writes(sandbox, number) == 1


def test_it_beats_an_idempotency_key(client: FlaskClient, number: str) -> None:
    """A condition recognises a repeat by itself: a key beside it changes nothing."""
    condition = identifier()
    headers = {"If-None-Exist": condition, "Idempotency-Key": key_of(number)}
    answers = [
        client.post(
            "/fhir/Appointment",
            json=wanted(client, number, of=each),
            content_type=FHIR_JSON,
            headers=headers,
        )
        for each in range(2)
    ]

    assert [each.status_code for each in answers] == [201, 200]


def test_book_takes_a_condition_too(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """$book of a slot makes an Appointment, and does so once."""
    headers = {"If-None-Exist": identifier()}
    slots = free_slots(client, "norr")

    first, second = (
        call(
            client, "book", BOOKINGS["ihe"](next(slots)["id"], number), headers=headers
        )
        for _ in range(2)
    )

    assert (first.status_code, second.status_code) == (201, 200)
    assert appointment_of(first)["id"] == appointment_of(second)["id"]
    assert made_writes(sandbox, number) == 1


@pytest.mark.parametrize(
    "condition",
    [
        pytest.param("colour=red", id="another parameter"),
        pytest.param("_count=1", id="no filter"),
        pytest.param("patient.identifier=x", id="a patient"),
        pytest.param(f"identifier={_VISITS}|1&status=booked", id="two parameters"),
        pytest.param(f"identifier={_VISITS}|1,{_VISITS}|2", id="two values"),
        pytest.param("identifier=1", id="no system"),
        pytest.param("identifier=|1", id="an empty system"),
        pytest.param(f"identifier={_VISITS}|", id="no value"),
        pytest.param("identifier=", id="empty"),
        pytest.param("status=", id="an empty filter"),
        pytest.param("status=booked&date=", id="an empty filter beside another"),
        pytest.param("identifier", id="no equals sign"),
        pytest.param("", id="nothing"),
        pytest.param("?", id="a question mark"),
        pytest.param(f"identifier:not={_VISITS}|1", id="a modifier"),
        pytest.param(f"Patient?identifier={_VISITS}|1", id="another type"),
        pytest.param(f"Appointment/1?identifier={_VISITS}|1", id="an instance"),
        pytest.param(f"identifier={_VISITS}|1#x", id="a fragment"),
        pytest.param(f"identifier={_VISITS}|%ff", id="no UTF-8"),
        pytest.param(f"identifier={_VISITS}|a b", id="a blank"),
    ],
)
def test_another_condition_is_refused(
    client: FlaskClient, sandbox: Sandbox, number: str, condition: str
) -> None:
    """An identifier stands alone with its system; nothing is booked."""
    answer = post(client, wanted(client, number), condition)

    assert_outcome(
        answer,
        400,
        issue(
            "value",
            "If-None-Exist must be identifier=system|value by itself, or other search"
            " parameters of Appointment, alone or after Appointment?.",
            location="http.If-None-Exist",
        ),
    )
    assert made_writes(sandbox, number) == 0


@pytest.mark.parametrize("character", ["%00", "%0A", "%1f", "%7F", "%c2%80"])
@pytest.mark.parametrize("place", ["{}|1{}", "{}{}|1"])
def test_a_control_character_is_refused(
    client: FlaskClient, sandbox: Sandbox, number: str, character: str, place: str
) -> None:
    """No database has to store one: PostgreSQL has no NUL."""
    system = f"{BASE_URL}/sid/booking-id/SE2321000016-1A2B"
    condition = f"identifier={place.format(system, character)}"
    answer = post(client, wanted(client, number), condition)

    assert_outcome(
        answer,
        400,
        issue(
            "value",
            "If-None-Exist has a control character.",
            location="http.If-None-Exist",
        ),
    )
    assert made_writes(sandbox, number) == 0


@pytest.mark.parametrize(
    "condition",
    [
        "identifier=http://electronichealth.se/identifier/personnummer|x",
        f"identifier={_VISITS}|191212121212",
        f"identifier={_VISITS}|visit-19121212-1212",
        "Appointment?identifier=https%3A%2F%2Fa.example%7C191212121212",
        f"identifier={_VISITS}|1912%31212-1212",
        f"identifier={_VISITS}|1912%2531212-1212",
    ],
)
def test_a_personal_number_is_refused(
    client: FlaskClient, number: str, condition: str
) -> None:
    """Logs store headers: 400, and the refusal repeats nothing."""
    answer = post(client, wanted(client, number), condition)

    assert_outcome(
        answer,
        400,
        issue(
            "security",
            "If-None-Exist must hold no personal number: name the visit by an"
            " identifier of its own.",
            location="http.If-None-Exist",
            error=ErrorCode.PERSONAL_NUMBER_IN_URL,
        ),
    )


# By another search.


def ours(slot: dict[str, Any]) -> str:
    """Return the own code of a slot's time type, as a token."""
    coding = slot["serviceType"][0]["coding"][-1]
    return f"{coding['system']}|{coding['code']}"


def test_a_search_finds_none_one_or_several(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """None is booked, one is answered with any body, and several are 412."""
    slot = next(free_slots(client, "norr"))
    condition = f"service-type={ours(slot)}&status=booked,pending"

    first = post(client, wanted(client, number), condition)
    again = post(client, wanted(client, number, of=1), f"Appointment?{condition}")
    assert first.json is not None
    assert again.json is not None
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json["id"] == first.json["id"]
    assert made_writes(sandbox, number) == 1
    alike = next(free_slots(client, "norr", **{"service-type": ours(slot)}))
    client.post(
        "/fhir/Appointment",
        json=appointment(alike["id"], number),
        content_type=FHIR_JSON,
    )
    several = post(client, wanted(client, number, of=2), condition)
    assert several.status_code == 412
    assert made_writes(sandbox, number) == 2


def test_a_search_remembers_nothing(client: FlaskClient, number: str) -> None:
    """What no longer fits is not found: a cancelled visit is booked anew."""
    condition = "status=booked,pending"
    first = post(client, wanted(client, number), condition)
    assert first.json is not None
    patch(client, first.json["id"], status_patch("cancelled"))

    second = post(client, wanted(client, number), condition)
    assert second.json is not None
    assert second.status_code == 201
    assert second.json["id"] != first.json["id"]


def test_the_search_is_among_the_residents_own(
    client: FlaskClient, numbers: list[str]
) -> None:
    """Another's appointments never match."""
    first = post(client, wanted(client, numbers[0]), "status=booked")
    second = post(client, wanted(client, numbers[1]), "status=booked")

    assert (first.status_code, second.status_code) == (201, 201)


def test_nothing_is_booked_where_nobody_can_know(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """A region that cannot be asked may have a match: 503, and nothing is sent."""
    body = wanted(client, number)
    sandbox.spoil("syd", "vp-fault")

    answer = post(client, body, "status=booked")
    assert answer.status_code == 503
    assert made_writes(sandbox, number) == 0
    sandbox.heal()
    assert post(client, body, "status=booked").status_code == 201


def test_creates_under_one_search_book_once(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """Of several at once, with slots of their own, one books."""
    bodies = [wanted(client, number, of=of) for of in range(4)]
    app = client.application

    def send(body: Any) -> int:
        return post(app.test_client(), body, "status=booked,pending").status_code

    with ThreadPoolExecutor(max_workers=4) as executor:
        answers = list(executor.map(send, bodies))
    assert answers.count(201) == 1
    assert set(answers) <= {201, 200, 409}
    assert made_writes(sandbox, number) == 1


@pytest.mark.parametrize(
    "condition", ["status=open", "date=ne2026-01-01", "slot=Patient/1"]
)
def test_a_search_that_cannot_be_answered_is_refused(
    client: FlaskClient, sandbox: Sandbox, number: str, condition: str
) -> None:
    """A wrong value is 400 and names the parameter."""
    answer = post(client, wanted(client, number), condition)

    assert answer.status_code == 400
    assert answer.json is not None
    (found,) = answer.json["issue"]
    assert found["location"] == ["http.If-None-Exist"]
    assert condition.partition("=")[0] in found["diagnostics"]
    assert made_writes(sandbox, number) == 0


@pytest.mark.flow
def test_who_may_not_read_searches_by_identifier_only(
    guarded: Guarded, number: str
) -> None:
    """Staff see no list, so that another search would never find anything."""
    nurse = guarded.client("staff")
    answer = post(nurse, wanted(nurse, number), "status=booked")

    assert answer.status_code == 400
