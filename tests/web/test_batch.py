"""
POST of a batch to the FHIR base: each entry has its own outcome.
"""

from base64 import b64encode
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from assertions import assert_outcome, issue
from examples import examples
from flask.testing import FlaskClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from fhir_gateway.fhir.resource_xml import xml_from_resource
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.timekeeping import now
from fhir_gateway.web.batch import batch_view
from web.guarded import Guarded, token_for

from .bodies import FHIR_JSON, PERSONNUMMER, appointment, book, free_slots
from .running import BASE_URL, Sandbox


def entry(method: str, url: str, resource: Any = None, **more: str) -> dict[str, Any]:
    """Return an entry of a batch."""
    given = {} if resource is None else {"resource": resource}
    return {**given, "request": {"method": method, "url": url, **more}}


def send(client: FlaskClient, *entries: Any, **headers: str) -> TestResponse:
    """Send a batch."""
    return client.post(
        "/fhir",
        json={"resourceType": "Bundle", "type": "batch", "entry": list(entries)},
        content_type=FHIR_JSON,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def statuses(response: TestResponse) -> list[str]:
    """Return the status of each entry."""
    assert response.status_code == 200, response.data
    return [each["response"]["status"] for each in response.get_json()["entry"]]


def binary(media_type: str, text: str) -> dict[str, str]:
    """Return a Binary."""
    data = b64encode(text.encode()).decode()
    return {"resourceType": "Binary", "contentType": media_type, "data": data}


_VALUES = st.sampled_from(
    [
        *(None, True, 0, -1, 1.5, "", "x", "*", 'W/"1"', "\u00e5", "\r\nX: y"),
        *([], {}, [None], [[]], {"reference": "urn:uuid:a"}, "a" * 9_000),
    ]
)
_URLS = st.sampled_from(
    [
        *("Slot", "Slot?_count=1", "Slot/_search", "Slot/a", "Slot/a/_history/1"),
        *("Appointment", "Appointment/a", "Appointment/$book", "Appointment/a/$cancel"),
        *("Appointment/_search", "AuditEvent/a", "metadata", "metadata?mode=x"),
        *("ValueSet/$expand?url=x", "StructureDefinition/slot", "Slot?_elements=id"),
        *("$bulk-publish", "package.tgz", "health", "../health", "Slot/../../health"),
        *("/health", "//elsewhere.example.org/", "https://elsewhere.example.org/Slot"),
        *("", "?", "/", ".", "%2e%2e/health", "Slot?_format=xml", "Slot?_count=1#a"),
        *(BASE_URL, f"{BASE_URL}/", f"{BASE_URL}/Slot", f"{BASE_URL}x/Slot"),
        *("Slot?_pretty=true", "Slot?_summary=count", "Slot?%00", "Slot?a=%ff"),
    ]
)
_FORMS = st.sampled_from(
    ["", "_count=1", "_format=xml", "_pretty=true", "_count=x", "a=%ff", "[]", "{}"]
)
_BINARIES = st.builds(
    binary,
    st.sampled_from(
        [
            *("application/x-www-form-urlencoded", "application/json-patch+json"),
            *("application/fhir+json", "application/fhir+xml", "text/html"),
        ]
    ),
    _FORMS,
)
_RESOURCES = _BINARIES | st.sampled_from(
    [
        {"resourceType": "Appointment"},
        {"resourceType": "Parameters"},
        {"resourceType": "Bundle", "type": "batch", "entry": []},
        {"resourceType": "Binary"},
    ]
)
_ENTRIES = st.fixed_dictionaries(
    {
        "request": st.fixed_dictionaries(
            {
                "method": st.sampled_from(
                    [*("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"), "TRACE"]
                ),
                "url": _URLS | _VALUES,
            },
            optional=dict.fromkeys(
                ["ifMatch", "ifNoneMatch", "ifNoneExist", "ifModifiedSince"], _VALUES
            ),
        )
    },
    optional={"resource": _RESOURCES | _VALUES, "fullUrl": _VALUES},
)


def test_each_entry_has_the_answer_of_a_request_of_its_own(
    client: FlaskClient,
) -> None:
    """An entry's status, ETag and resource are those of the same request by HTTP."""
    slot = next(free_slots(client))
    by_http = client.get(f"/fhir/Slot/{slot['id']}")
    response = send(
        client, entry("GET", f"Slot/{slot['id']}"), entry("GET", "Slot/none")
    )

    read, missing = response.get_json()["entry"]
    assert response.get_json()["type"] == "batch-response"
    assert read["fullUrl"] == f"{BASE_URL}/Slot/{slot['id']}"
    assert read["resource"] == by_http.get_json()
    assert missing["response"]["status"] == "404 Not Found"
    assert missing["response"]["outcome"] == client.get("/fhir/Slot/none").get_json()


def test_a_batch_books_reads_and_cancels(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """Creates, searches by form, patches and operations work as entries."""
    slot = next(free_slots(client, "norr"))["id"]
    made = send(client, entry("POST", "Appointment", appointment(slot, number)))
    [created] = made.get_json()["entry"]
    identifier = created["resource"]["id"]
    form = binary(
        "application/x-www-form-urlencoded",
        f"patient.identifier={PERSONNUMMER}|{number}",
    )
    patch = binary(
        "application/json-patch+json",
        '[{"op": "replace", "path": "/status", "value": "cancelled"}]',
    )
    later = send(
        client,
        entry("POST", "Appointment/_search", form),
        entry("PATCH", f"Appointment/{identifier}", patch),
        entry("GET", f"Appointment/{identifier}"),
    )

    assert created["response"]["status"] == "201 Created"
    assert created["response"]["location"].startswith(
        f"{BASE_URL}/Appointment/{identifier}"
    )
    listed, cancelled, read = later.get_json()["entry"]
    assert statuses(later) == ["200 OK"] * 3
    assert identifier in {
        each["resource"].get("id") for each in listed["resource"]["entry"]
    }
    assert cancelled["resource"]["status"] == "cancelled"
    assert read["resource"]["status"] == "cancelled"
    assert [row["interaction"] for row in sandbox.writes("norr", number)] == [
        "MakeBooking",
        "CancelBooking",
    ]


def test_a_bad_entry_leaves_the_others_alone(client: FlaskClient) -> None:
    """An entry that cannot be a request is 400, and the next one is answered."""
    response = send(
        client,
        entry("GET", "https://elsewhere.example.org/"),
        entry("DELETE", "Slot/a"),
        entry("GET", "Slot?_count=1"),
    )

    assert statuses(response) == ["400 Bad Request", "405 Method Not Allowed", "200 OK"]


def test_a_form_that_asks_for_xml_is_refused_alone(client: FlaskClient) -> None:
    """A search by POST names no format: the others are done, and their answers kept."""
    form = binary("application/x-www-form-urlencoded", "_count=1&%5fformat=xml")
    response = send(
        client,
        entry("GET", "Slot?_count=1"),
        entry("POST", "Slot/_search", form),
        entry("GET", "Slot?_count=1"),
    )

    assert statuses(response) == ["200 OK", "400 Bad Request", "200 OK"]


@pytest.mark.parametrize("value", [2**64 - 1, -(2**63), 1e300, "å" * 50, None])
def test_a_value_in_an_entry_is_answered_as_by_http(
    client: FlaskClient, value: Any
) -> None:
    """Each JSON value that the server reads reaches the request of the entry as is."""
    body = {"resourceType": "Appointment", "priority": value}
    by_http = client.post("/fhir/Appointment", json=body, content_type=FHIR_JSON)
    response = send(client, entry("POST", "Appointment", body))

    [answered] = response.get_json()["entry"]
    assert answered["response"]["outcome"] == by_http.get_json()


def test_a_batch_in_xml_is_that_in_json(client: FlaskClient) -> None:
    """Entries, their Binary and their conditions are read from XML too."""
    form = binary("application/x-www-form-urlencoded", "_count=0")
    entries = [
        entry("GET", "Slot?_count=0"),
        entry("POST", "Slot/_search", form),
        entry("POST", "Appointment", {"resourceType": "Appointment"}),
    ]
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    response = client.post(
        "/fhir", data=xml_from_resource(bundle), content_type="application/fhir+xml"
    )

    assert response.get_json() == send(client, *entries).get_json()


def test_no_url_of_an_answer_stands_twice(client: FlaskClient) -> None:
    """A resource that two entries read has its fullUrl once, as bdl-7 demands."""
    slot = next(free_slots(client))["id"]
    response = send(client, *[entry("GET", f"Slot/{slot}")] * 2)

    first, again = response.get_json()["entry"]
    assert first == again | {"fullUrl": f"{BASE_URL}/Slot/{slot}"}
    assert "fullUrl" not in again


@pytest.mark.parametrize(
    "media_type",
    [
        "application/x-www-form-urlencoded; charset=UTF-8",
        "Application/X-WWW-Form-URLencoded",
        'application/x-www-form-urlencoded;charset="utf-8"',
    ],
)
def test_a_binary_has_a_media_type_in_any_spelling(
    client: FlaskClient, media_type: str
) -> None:
    """Capitals and a charset are as good in a Binary as in a Content-Type field."""
    response = send(client, entry("POST", "Slot/_search", binary(media_type, "")))

    assert statuses(response) == ["200 OK"]


def test_conditions_of_an_entry_are_heeded(client: FlaskClient, number: str) -> None:
    """A stale ifMatch is 412, and a fitting ifNoneMatch of a search 304."""
    made = book(client, "norr", number)
    identifier = made.get_json()["id"]
    etag = client.get("/fhir/Slot?_count=1").headers["ETag"]
    body = {**made.get_json(), "status": "cancelled"}
    response = send(
        client,
        entry("PUT", f"Appointment/{identifier}", body, ifMatch='W/"0"'),
        entry("GET", "Slot?_count=1", ifNoneMatch=etag),
    )

    assert statuses(response) == ["412 Precondition Failed", "304 Not Modified"]


def test_a_repeated_batch_with_a_key_books_once(
    client: FlaskClient, sandbox: Sandbox, number: str
) -> None:
    """An Idempotency-Key of the batch is one for each of its entries."""
    slots = free_slots(client, "norr")
    entries = [
        entry("POST", "Appointment", appointment(next(slots)["id"], number))
        for _ in range(2)
    ]
    key = f"key-{uuid4()}"
    first, again = (send(client, *entries, Idempotency_Key=key) for _ in range(2))

    assert first.get_json() == again.get_json()
    assert len(sandbox.writes("norr", number)) == 2


def test_an_entry_needs_the_token_that_its_request_needs(guarded: Guarded) -> None:
    """Without a token, an entry about a person is 401, and one about units is not."""
    response = send(
        guarded.client(), entry("GET", "Appointment/a"), entry("GET", "metadata")
    )

    assert statuses(response) == ["401 Unauthorized", "200 OK"]


def test_an_entry_has_the_rights_of_the_token_alone(
    guarded: Guarded, numbers: list[str]
) -> None:
    """Another resident's appointment is as absent in a batch as by HTTP."""
    mine, other = (guarded.client("resident", number) for number in numbers[:2])
    slot = next(free_slots(guarded.client()))["id"]
    [made] = send(
        mine, entry("POST", "Appointment", appointment(slot, numbers[0]))
    ).get_json()["entry"]
    identifier = made["resource"]["id"]

    response = send(other, entry("GET", f"Appointment/{identifier}"))
    by_http = other.get(f"/fhir/Appointment/{identifier}")

    assert statuses(response) == ["404 Not Found"]
    [answered] = response.get_json()["entry"]
    assert answered["response"]["outcome"] == by_http.get_json()


def test_an_entry_is_audited_as_a_request(guarded: Guarded, number: str) -> None:
    """The resident's audit trail has a record of a read in a batch."""
    client = guarded.client("resident", number)
    slot = next(free_slots(guarded.client()))["id"]
    [made] = send(
        client, entry("POST", "Appointment", appointment(slot, number))
    ).get_json()["entry"]

    def reads() -> int:
        found = client.get("/fhir/AuditEvent?_count=100").get_json()
        return sum(
            each["resource"]["subtype"][0]["code"] == "read"
            for each in found.get("entry", ())
            if each["search"]["mode"] == "match"
        )

    before = reads()
    send(client, *[entry("GET", f"Appointment/{made['resource']['id']}")] * 2)

    assert reads() == before + 2


def test_an_entry_needs_the_scope_of_its_request(guarded: Guarded, number: str) -> None:
    """An entry that the scopes do not permit is 403."""
    client = guarded.with_token(token_for("resident", number, scope="patient/*.r"))
    slot = next(free_slots(guarded.client()))["id"]

    response = send(client, entry("POST", "Appointment", appointment(slot, number)))

    assert statuses(response) == ["403 Forbidden"]


def test_a_transaction_is_refused_with_the_way_out(client: FlaskClient) -> None:
    """A transaction is 422, and nothing of it is done."""
    response = client.post(
        "/fhir",
        json={"resourceType": "Bundle", "type": "transaction"},
        content_type=FHIR_JSON,
    )

    assert_outcome(
        response,
        422,
        issue(
            "not-supported",
            "This server has no transactions, since the regions' systems have none."
            " Send a batch, where each entry has its own outcome; Appointment/$book"
            " and Appointment/$reschedule each do their steps together.",
            expression="Bundle.type",
            error=ErrorCode.NOT_SUPPORTED,
        ),
    )


@pytest.mark.parametrize("path", ["/fhir", "/fhir/"])
def test_both_spellings_of_the_base_take_a_batch(
    client: FlaskClient, path: str
) -> None:
    """Clients write the base with a slash at its end, or without."""
    response = client.post(
        path,
        json={"resourceType": "Bundle", "type": "batch"},
        content_type=FHIR_JSON,
    )

    assert (response.status_code, response.get_json()) == (
        200,
        {"resourceType": "Bundle", "type": "batch-response"},
    )


def test_a_personal_number_in_an_entrys_url_is_refused(
    client: FlaskClient, number: str
) -> None:
    """A URL in a batch is a URL: logs have it."""
    url = f"Appointment?patient.identifier={PERSONNUMMER}|{number}"
    response = send(client, entry("GET", url))

    assert statuses(response) == ["400 Bad Request"]
    assert number not in response.text


def test_an_entry_that_would_begin_too_late_is_not_done(client: FlaskClient) -> None:
    """Half a minute after the first entry, the remaining ones are 503."""
    begun = now()
    times = iter([begun, begun, begun + timedelta(seconds=31)])
    app = client.application
    view = batch_view(app.wsgi_app, BASE_URL, clock=lambda: next(times))
    search = entry("GET", "Slot?_count=1")
    with app.test_request_context(
        "/fhir",
        method="POST",
        base_url=BASE_URL,
        json={"resourceType": "Bundle", "type": "batch", "entry": [search, search]},
        content_type=FHIR_JSON,
    ):
        answer = view()

    assert [each["response"]["status"] for each in answer.get_json()["entry"]] == [
        "200 OK",
        "503 Service Unavailable",
    ]


@given(entries=st.lists(_ENTRIES | _VALUES, min_size=1, max_size=4))
@example(
    [
        entry(
            "POST",
            "Slot/_search",
            binary("application/x-www-form-urlencoded", "_format=xml"),
        )
    ]
)
@settings(
    max_examples=examples(60),
    deadline=None,
    # The server keeps nothing of a refused entry that the next example would see.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_entry_is_a_failure_or_hides_another(
    client: FlaskClient, entries: list[Any]
) -> None:
    """Of any entries each has an answer in its place, and none is a 500."""
    answered = statuses(send(client, *entries))

    assert len(answered) == len(entries)
    assert not [status for status in answered if status.startswith("5")]
