"""
Who gets in, and to what: the policy over the web, with real tokens.
"""

from typing import Any, Final

import pytest
from flask.testing import FlaskClient

from fhir_gateway.access.policy import (
    NOTIFY,
    POLICY,
    PUBLIC,
    SYSTEM,
    Interaction,
    Rule,
    row_of,
)
from fhir_gateway.model.principal import Role
from web.guarded import Guarded, token_for

from .bodies import (
    FHIR_JSON,
    JSON_PATCH,
    PERSONNUMMER,
    another_slot,
    appointment,
    free_slots,
)

_ROLES: Final = ("resident", "staff", "system", "operator")
_NOBODYS: Final = "11111111-1111-4111-8111-111111111111"


def slot_of(client: FlaskClient, region: str = "norr") -> str:
    """Return a free slot of a region."""
    slot: str = next(free_slots(client, region))["id"]
    return slot


def made_by(client: FlaskClient, number: str, region: str = "norr") -> dict[str, Any]:
    """Book a slot; return the Appointment."""
    response = client.post(
        "/fhir/Appointment",
        json=appointment(slot_of(client, region), number),
        content_type=FHIR_JSON,
    )
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json
    return body


def search(client: FlaskClient, number: str) -> Any:
    """Search for a person's appointments."""
    return client.post(
        "/fhir/Appointment/_search",
        data={"patient.identifier": f"{PERSONNUMMER}|{number}"},
    )


def ids_of(bundle: Any) -> set[str]:
    """Return the ids of the appointments of a searchset."""
    return {
        each["resource"]["id"]
        for each in bundle.get("entry", ())
        if each["search"]["mode"] == "match"
    }


@pytest.mark.flow
def test_a_resident_has_their_own_bookings(
    guarded: Guarded, numbers: list[str]
) -> None:
    """A resident books, reads, lists and cancels with a token of their own."""
    mine = guarded.client("resident", numbers[0])
    made = made_by(mine, numbers[0])

    assert mine.get(f"/fhir/Appointment/{made['id']}").status_code == 200
    assert made["id"] in ids_of(search(mine, numbers[0]).json)
    cancelled = mine.patch(
        f"/fhir/Appointment/{made['id']}",
        json=[{"op": "replace", "path": "/status", "value": "cancelled"}],
        content_type=JSON_PATCH,
    )
    assert (cancelled.status_code, cancelled.json["status"]) == (200, "cancelled")


@pytest.mark.flow
def test_a_resident_finds_their_own_by_get(
    guarded: Guarded, numbers: list[str]
) -> None:
    """The token says who asks, so that no URL names anybody; pages go on by GET."""
    mine, other = (guarded.client("resident", number) for number in numbers[:2])
    made = {made_by(mine, numbers[0], region)["id"] for region in ("norr", "syd")}
    others = made_by(other, numbers[1])

    assert ids_of(mine.get("/fhir/Appointment").json) == made
    assert ids_of(mine.get("/fhir/Appointment?status=booked&_sort=-date").json) == made
    page = mine.get("/fhir/Appointment?_count=1").json
    links = {each["relation"]: each["url"] for each in page["link"]}
    following = links["next"].removeprefix("http://gateway.test")
    assert ids_of(page) | ids_of(mine.get(following).json) == made
    assert other.get(following).status_code == 404
    for query in (
        {"_id": others["id"]},
        {"slot": others["slot"][0]["reference"]},
        {"identifier": others["identifier"][0]["value"]},
    ):
        assert ids_of(mine.get("/fhir/Appointment", query_string=query).json) == set()


@pytest.mark.flow
def test_a_system_finds_single_ones_at_its_own_units(
    guarded: Guarded, number: str
) -> None:
    """A region's system finds no list by GET, and single ones at its own units only."""
    resident, system = guarded.client("resident", number), guarded.client("system")
    norrs, syds = (made_by(resident, number, each) for each in ("norr", "syd"))

    assert system.get("/fhir/Appointment?status=booked").status_code == 400
    for made, expected in ((norrs, {norrs["id"]}), (syds, set())):
        (identifier,) = made["identifier"]
        for query in (
            {"_id": made["id"]},
            {"slot": made["slot"][0]["reference"]},
            {"identifier": f"{identifier['system']}|{identifier['value']}"},
        ):
            bundle = system.get("/fhir/Appointment", query_string=query).json
            assert ids_of(bundle) == expected, query
        # Units number their bookings alike.
        for text in (identifier["value"], f"{identifier['system']}|"):
            answer = system.get("/fhir/Appointment", query_string={"identifier": text})
            assert answer.status_code == 400, text
            assert "identifier as system|value" in answer.text


def every_use(id_: str, slot: str, number: str) -> list[tuple[str, dict[str, Any]]]:
    """Return each request about one appointment: method and path, and options."""
    body = {**appointment(slot, number), "id": id_}
    reference = {
        "resourceType": "Parameters",
        "parameter": [
            {
                "name": "appointment-reference",
                "valueReference": {"reference": f"Appointment/{id_}"},
            }
        ],
    }
    here = f"/fhir/Appointment/{id_}"
    return [
        (f"GET {here}", {}),
        (f"PUT {here}", {"json": body, "content_type": FHIR_JSON}),
        (
            f"PATCH {here}",
            {
                "json": [{"op": "replace", "path": "/status", "value": "cancelled"}],
                "content_type": JSON_PATCH,
            },
        ),
        (
            f"PATCH {here}",
            {
                "json": [
                    {
                        "op": "test",
                        "path": "/participant/0/actor/identifier/value",
                        "value": number,
                    }
                ],
                "content_type": JSON_PATCH,
            },
        ),
        (f"POST {here}/$cancel", {"content_type": FHIR_JSON}),
        (f"POST {here}/$hold", {"content_type": FHIR_JSON}),
        (f"POST {here}/$book", {"content_type": FHIR_JSON}),
        (
            "POST /fhir/Appointment/$cancel",
            {"json": reference, "content_type": FHIR_JSON},
        ),
        (
            f"POST {here}/$reschedule",
            {
                "json": {
                    "resourceType": "Parameters",
                    "parameter": [
                        {
                            "name": "slot-reference",
                            "valueReference": {"reference": f"Slot/{slot}"},
                        }
                    ],
                },
                "content_type": FHIR_JSON,
            },
        ),
    ]


def sent(client: FlaskClient, use: tuple[str, dict[str, Any]]) -> Any:
    """Send a request."""
    method, _, path = use[0].partition(" ")
    return client.open(path, method=method, **use[1])


@pytest.mark.flow
def test_anothers_booking_looks_as_if_it_did_not_exist(
    guarded: Guarded, numbers: list[str]
) -> None:
    """Each use of another person's appointment is answered as that of none."""
    made = made_by(guarded.client("resident", numbers[0]), numbers[0])
    other = guarded.client("resident", numbers[1])
    slot = slot_of(other)

    for number in (numbers[0], numbers[1]):
        theirs = every_use(made["id"], slot, number)
        nobodys = every_use(_NOBODYS, slot, number)
        for use, same in zip(theirs, nobodys, strict=True):
            answer, expected = sent(other, use), sent(other, same)
            assert answer.status_code == 404, use
            assert guarded.outward(answer) == guarded.outward(expected), use

    mine = guarded.client("resident", numbers[0])
    read = mine.get(f"/fhir/Appointment/{made['id']}").json
    assert (read["status"], read["meta"]["versionId"]) == (
        "booked",
        made["meta"]["versionId"],
    )


@pytest.mark.flow
def test_nobody_acts_for_another_person(guarded: Guarded, numbers: list[str]) -> None:
    """Booking, holding and listing for somebody else are refused, for whomever."""
    client = guarded.client("resident", numbers[0])
    slot = slot_of(client)
    made_by(guarded.client("resident", numbers[1]), numbers[1], "syd")

    answers = [
        (
            client.post(
                "/fhir/Appointment",
                json=appointment(slot, number),
                content_type=FHIR_JSON,
            ),
            client.post(
                "/fhir/Appointment/$hold",
                json=appointment(slot, number),
                content_type=FHIR_JSON,
            ),
            search(client, number),
        )
        for number in (numbers[1], numbers[2])
    ]

    with_bookings, without = (
        [guarded.outward(each) for each in of_one] for of_one in answers
    )
    assert with_bookings == without
    assert {each[0] for each in without} == {404}


@pytest.mark.flow
def test_the_lists_of_two_residents_have_nothing_in_common(
    guarded: Guarded, numbers: list[str]
) -> None:
    """Each finds their own appointments and no other."""
    one, other = (guarded.client("resident", numbers[n]) for n in (0, 1))
    mine, theirs = made_by(one, numbers[0]), made_by(other, numbers[1])

    assert ids_of(search(one, numbers[0]).json) == {mine["id"]}
    assert ids_of(search(other, numbers[1]).json) == {theirs["id"]}


@pytest.mark.flow
def test_staff_book_and_see_nothing(guarded: Guarded, numbers: list[str]) -> None:
    """A nurse on the telephone makes a booking, and cannot read, list or cancel it."""
    nurse = guarded.client("staff")
    made = made_by(nurse, numbers[0])
    (write,) = guarded.sandbox.writes("norr", numbers[0])
    assert write["actor_type"] == "subject_of_care_agent"

    answers = [
        sent(nurse, use)
        for use in every_use(made["id"], slot_of(nurse), numbers[0])
        if "$hold" not in use[0] and "$book" not in use[0]
    ]
    assert {each.status_code for each in (*answers, search(nurse, numbers[0]))} == {403}
    mine = guarded.client("resident", numbers[0])
    assert mine.get(f"/fhir/Appointment/{made['id']}").json["status"] == "booked"


@pytest.mark.flow
def test_staff_do_not_learn_that_a_resident_has_the_time(
    guarded: Guarded, numbers: list[str]
) -> None:
    """A slot of the resident's own and a slot of anybody else's are the same: taken."""
    nurse = guarded.client("staff")
    slots = free_slots(nurse, "norr")
    own, others = next(slots)["id"], next(slots)["id"]
    for slot, number in ((own, numbers[0]), (others, numbers[1])):
        response = guarded.client("resident", number).post(
            "/fhir/Appointment",
            json=appointment(slot, number, comment="Ring mig på eftermiddagen."),
            content_type=FHIR_JSON,
        )
        assert response.status_code == 201

    for path in ("/fhir/Appointment", "/fhir/Appointment/$hold"):
        answers = [
            guarded.outward(
                nurse.post(
                    path, json=appointment(slot, numbers[0]), content_type=FHIR_JSON
                )
            )
            for slot in (own, others)
        ]
        assert answers[0][0] == 409
        assert answers[0] == answers[1]
        assert "eftermiddagen" not in str(answers)


@pytest.mark.flow
def test_a_system_sees_its_own_units_only(guarded: Guarded, numbers: list[str]) -> None:
    """A region's system reads what is booked at its own units, and no more."""
    mine = guarded.client("resident", numbers[0])
    here, there = made_by(mine, numbers[0], "norr"), made_by(mine, numbers[0], "syd")
    system = guarded.client("system")

    assert system.get(f"/fhir/Appointment/{here['id']}").status_code == 200
    assert ids_of(search(system, numbers[0]).json) == {here["id"]}
    slot = slot_of(mine, "syd")
    for use, same in zip(
        every_use(there["id"], slot, numbers[0]),
        every_use(_NOBODYS, slot, numbers[0]),
        strict=True,
    ):
        assert guarded.outward(sent(system, use)) == guarded.outward(sent(system, same))
    booked = system.post(
        "/fhir/Appointment",
        json=appointment(slot, numbers[1]),
        content_type=FHIR_JSON,
    )
    assert booked.status_code == 404


@pytest.mark.flow
@pytest.mark.parametrize(
    "path",
    [
        "/fhir/Slot?_count=40&_include=Slot:schedule",
        "/fhir/Slot?_count=40&_sort=-start",
        "/fhir/HealthcareService?_count=20",
        "/fhir/Appointment/$find?start=2026-01-01T00:00:00Z",
    ],
)
def test_free_times_do_not_depend_on_who_asks(
    guarded: Guarded, numbers: list[str], path: str
) -> None:
    """Everybody gets the same bytes, so that a cached answer may go to anybody."""
    made_by(guarded.client("resident", numbers[0]), numbers[0])
    clients = [
        guarded.client(),
        guarded.client("resident", numbers[0]),
        guarded.client("resident", numbers[1]),
        guarded.client("staff"),
        guarded.client("system"),
        guarded.client("operator"),
    ]

    first, *others = [guarded.outward(each.get(path)) for each in clients]

    assert first[0] == 200, first[1]
    assert all(each == first for each in others)


@pytest.mark.flow
def test_a_key_of_another_client_is_another_key(
    guarded: Guarded, numbers: list[str]
) -> None:
    """A request key that somebody else used says nothing of their request."""
    key = {"Idempotency-Key": f"key-{int(numbers[0]):x}"}
    one, other = (guarded.client("resident", numbers[n]) for n in (0, 1))
    slots = free_slots(one, "norr")
    answers = [
        client.post(
            "/fhir/Appointment",
            json=appointment(next(slots)["id"], number),
            content_type=FHIR_JSON,
            headers=key,
        )
        for client, number in ((one, numbers[0]), (other, numbers[1]))
    ]

    assert [each.status_code for each in answers] == [201, 201]
    assert answers[0].json["id"] != answers[1].json["id"]


@pytest.mark.flow
@pytest.mark.parametrize("role", [None, *_ROLES])
def test_the_policy_is_what_happens(guarded: Guarded, role: str | None) -> None:
    """Each route lets each role in, or not, as the table says."""
    client = guarded.client(role, "191212121212" if role == "resident" else None)
    of = Role.ANYBODY if role is None else Role(role)
    methods = {
        "read": "GET",
        "search-type": "GET",
        "create": "POST",
        "update": "PUT",
        "patch": "PATCH",
    }
    # A notifier has a certificate and no token: test_process_notification.py.
    for interaction in set(guarded.made.app.interactions.values()) - {NOTIFY}:
        method = methods.get(interaction.name, "POST")
        path = f"/fhir/{interaction.type}"
        if interaction.name in ("read", "update", "patch"):
            path += f"/{_NOBODYS}"
        elif interaction.type == SYSTEM:
            method, path = "GET", f"/fhir/{interaction.name}"
        elif interaction.name.startswith("$"):
            path += f"/{interaction.name}"
        elif (interaction.type, interaction.name) == ("Appointment", "search-type"):
            method, path = "POST", f"{path}/_search"

        status = client.open(path, method=method).status_code

        if interaction in PUBLIC:
            assert status not in (401, 403), interaction
        elif row_of(of, interaction) is None:
            assert status == (401 if role is None else 403), interaction
        else:
            assert status not in (401, 403), interaction


@pytest.mark.flow
def test_every_route_is_in_the_policy(guarded: Guarded) -> None:
    """No route of a resource type is without a row, nor a row without a route."""
    routes = set(guarded.made.app.interactions.values())
    rows = {each for row in POLICY for each in row.interactions}

    assert rows == routes


def test_only_a_demo_opens_everything() -> None:
    """The rule that covers everybody's data is the demo's alone."""
    assert {row.role for row in POLICY if row.rule is Rule.ALL} == {Role.DEMO}
    assert row_of(Role.OPERATOR, Interaction("Appointment", "read")) is None


@pytest.mark.flow
@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ("patient/Appointment.r", 200),
        ("patient/Appointment.rs", 200),
        ("patient/*.rs", 200),
        ("user/Appointment.r", 200),
        ("patient/Appointment.read", 200),
        ("patient/Appointment.rs?status=booked", 200),
        ("patient/Appointment.rs?status=cancelled", 404),
        ("patient/Appointment.rs?date=2026-12-01", 403),
        ("patient/Appointment.s", 403),
        ("patient/Slot.rs", 403),
        ("system/Appointment.r", 403),
        ("patient/Appointment.sr", 403),
        ("openid", 403),
    ],
)
def test_a_scope_narrows_what_the_role_may(
    guarded: Guarded, number: str, scope: str, status: int
) -> None:
    """A read needs a scope that reaches the appointment."""
    made = made_by(guarded.client("resident", number), number)
    narrow = guarded.with_token(token_for("resident", number, scope=scope))

    assert narrow.get(f"/fhir/Appointment/{made['id']}").status_code == status


@pytest.mark.flow
@pytest.mark.parametrize("changes", [None, {}, {"status": "cancelled"}])
def test_who_may_only_create_changes_nothing_by_an_operation(
    guarded: Guarded, number: str, changes: dict[str, str] | None
) -> None:
    """`$book` of what is booked needs the scope of an update."""
    own = guarded.client("resident", number)
    made = made_by(own, number)
    create = guarded.with_token(
        token_for("resident", number, scope="patient/Appointment.c")
    )
    path = f"/fhir/Appointment/{made['id']}"
    body: dict[str, Any] = {"resourceType": "Parameters"}
    if changes is not None:
        whole = {"name": "appt-resource", "resource": {**made, **changes}}
        body["parameter"] = [whole]

    response = create.post(f"{path}/$book", json=body, content_type=FHIR_JSON)

    assert response.status_code == 403
    assert 'scope="patient/Appointment.u"' in response.headers["WWW-Authenticate"]
    assert own.get(path).json["status"] == "booked"


@pytest.mark.flow
@pytest.mark.parametrize(
    ("scope", "path", "status"),
    [
        ("patient/Appointment.c?status=cancelled", "", 403),
        ("patient/Appointment.c?status=pending", "", 403),
        ("patient/Appointment.c?status=booked", "", 201),
        ("patient/Appointment.c?status=cancelled", "/$hold", 403),
        ("patient/Appointment.c?status=booked", "/$hold", 403),
        ("patient/Appointment.c?status=pending", "/$hold", 201),
        ("patient/Appointment.c?status=cancelled", "/$book", 403),
        ("patient/Appointment.c?status=booked", "/$book", 201),
    ],
)
def test_a_scope_narrows_what_is_made(
    guarded: Guarded, number: str, scope: str, path: str, status: int
) -> None:
    """A restriction to a status holds for what a request is to make."""
    client = guarded.with_token(token_for("resident", number, scope=scope))
    slot = slot_of(guarded.client("resident", number))

    response = client.post(
        f"/fhir/Appointment{path}",
        json=appointment(slot, number),
        content_type=FHIR_JSON,
    )

    assert response.status_code == status, response.text
    assert len(guarded.sandbox.writes("norr", number)) == (
        status == 201 and path != "/$hold"
    )


@pytest.mark.flow
@pytest.mark.parametrize("preferred", ["representation", "OperationOutcome"])
def test_a_write_shows_no_appointment_that_may_not_be_read(
    guarded: Guarded, number: str, preferred: str
) -> None:
    """Without the scope of a read, an answer shows what was made just now alone."""
    slot = slot_of(guarded.client("resident", number))
    create = guarded.with_token(
        token_for("resident", number, scope="patient/Appointment.c")
    )
    update = guarded.with_token(
        token_for("resident", number, scope="patient/Appointment.u")
    )
    book: dict[str, Any] = {
        "json": appointment(slot, number),
        "content_type": FHIR_JSON,
        "headers": {"Prefer": f"return={preferred}"},
    }
    made = create.post("/fhir/Appointment", **book)
    id_ = made.headers["Location"].rpartition("/")[2]
    shown = guarded.client("resident", number).get(f"/fhir/Appointment/{id_}").json
    (identifier,) = shown["identifier"]
    condition = f"identifier={identifier['system']}|{identifier['value']}"

    found = [
        create.post("/fhir/Appointment", **book),
        create.post(
            "/fhir/Appointment",
            **book | {"headers": book["headers"] | {"If-None-Exist": condition}},
        ),
        update.patch(
            f"/fhir/Appointment/{id_}",
            json=[{"op": "replace", "path": "/status", "value": "booked"}],
            content_type=JSON_PATCH,
            headers=book["headers"],
        ),
    ]

    assert made.status_code == 201
    assert made.data
    assert [(each.status_code, each.data) for each in found] == [(200, b"")] * 3
    assert not any({"ETag", "Last-Modified"} & {*each.headers.keys()} for each in found)


@pytest.mark.flow
@pytest.mark.parametrize(
    "scope",
    [
        "patient/Appointment.c",
        "patient/Appointment.c patient/Appointment.r?status=cancelled",
    ],
)
def test_a_repeat_shows_nothing_that_may_not_be_read_now(
    guarded: Guarded, number: str, scope: str
) -> None:
    """A repeat with a key gets no body and no version without the scope of a read."""
    mine = guarded.client("resident", number)
    book: dict[str, Any] = {
        "json": appointment(slot_of(mine, "norr"), number),
        "content_type": FHIR_JSON,
        "headers": {"Idempotency-Key": "one-and-the-same"},
    }
    made = mine.post("/fhir/Appointment", **book)
    less = guarded.with_token(token_for("resident", number, scope=scope))

    again = less.post("/fhir/Appointment", **book)

    assert (made.status_code, again.status_code, again.data) == (201, 201, b"")
    assert again.headers["Location"] == made.headers["Location"]
    assert not {"ETag", "Last-Modified"} & {*again.headers.keys()}


@pytest.mark.flow
@pytest.mark.parametrize(
    ("scope", "missing"),
    [
        ("patient/Appointment.c", "patient/Appointment.s"),
        ("patient/Appointment.cs", "patient/Appointment.r"),
    ],
)
def test_a_condition_needs_the_scopes_of_a_search(
    guarded: Guarded, number: str, scope: str, missing: str
) -> None:
    """A conditional create by a search is refused without the scopes s and r."""
    slot = slot_of(guarded.client("resident", number))
    create = guarded.with_token(token_for("resident", number, scope=scope))

    response = create.post(
        "/fhir/Appointment",
        json=appointment(slot, number),
        content_type=FHIR_JSON,
        headers={"If-None-Exist": "status=booked"},
    )

    assert response.status_code == 403
    assert f'scope="{missing}"' in response.headers["WWW-Authenticate"]


@pytest.mark.flow
@pytest.mark.parametrize("value", ["booked", "cancelled"])
def test_a_patch_that_compares_needs_the_scope_of_a_read(
    guarded: Guarded, number: str, value: str
) -> None:
    """A right guess and a wrong one in `test` are the same 403 without the scope r."""
    made = made_by(guarded.client("resident", number), number)
    update = guarded.with_token(
        token_for("resident", number, scope="patient/Appointment.u")
    )

    response = update.patch(
        f"/fhir/Appointment/{made['id']}",
        json=[{"op": "test", "path": "/status", "value": value}],
        content_type=JSON_PATCH,
    )

    assert response.status_code == 403
    assert 'scope="patient/Appointment.r"' in response.headers["WWW-Authenticate"]


@pytest.mark.flow
def test_staff_do_not_learn_what_a_resident_did_to_a_booking(
    guarded: Guarded, number: str
) -> None:
    """A repeated conditional create of staff says nothing of changes since."""
    nurse, mine = guarded.client("staff"), guarded.client("resident", number)
    book: dict[str, Any] = {
        "json": appointment(slot_of(nurse), number),
        "content_type": FHIR_JSON,
        "headers": {"If-None-Exist": "identifier=http://example.org/visit|case-1"},
    }
    made = nurse.post("/fhir/Appointment", **book)
    unchanged = nurse.post("/fhir/Appointment", **book)
    moved = mine.patch(
        f"/fhir/Appointment/{made.json['id']}",
        json=[
            {
                "op": "replace",
                "path": "/slot/0/reference",
                "value": f"Slot/{another_slot(nurse, made.json)['id']}",
            }
        ],
        content_type=JSON_PATCH,
    )
    after = nurse.post("/fhir/Appointment", **book)

    assert (made.status_code, moved.status_code) == (201, 200)
    assert (unchanged.status_code, unchanged.data) == (200, b"")
    assert after.status_code == 409
    assert moved.json["start"] not in after.text


@pytest.mark.flow
def test_a_refusal_says_what_is_missing(guarded: Guarded, number: str) -> None:
    """401 and 403 carry the challenge that RFC 6750 describes."""
    path = f"/fhir/Appointment/{_NOBODYS}"
    narrow = guarded.with_token(token_for("resident", number, scope="patient/Slot.rs"))

    challenges = [
        client.get(path).headers["WWW-Authenticate"]
        for client in (guarded.client(), guarded.with_token("x.y.z"), narrow)
    ]

    assert challenges == [
        'Bearer realm="fhir-gateway"',
        'Bearer realm="fhir-gateway", error="invalid_token"',
        (
            'Bearer realm="fhir-gateway", error="insufficient_scope",'
            ' scope="patient/Appointment.r"'
        ),
    ]


@pytest.mark.flow
def test_clients_find_out_where_to_get_tokens(guarded: Guarded) -> None:
    """The SMART configuration and the CapabilityStatement name the same endpoints."""
    client = guarded.client()
    configuration = client.get("/fhir/.well-known/smart-configuration").json
    (security,) = (
        each["security"] for each in client.get("/fhir/metadata").json["rest"]
    )

    assert {
        each["url"]: each["valueUri"] for each in security["extension"][0]["extension"]
    } == {
        "authorize": configuration["authorization_endpoint"],
        "token": configuration["token_endpoint"],
    }
    assert configuration["code_challenge_methods_supported"] == ["S256"]
    assert "patient/Appointment.crus" in configuration["scopes_supported"]
