"""
The open feed over real simulated regions (SMART Scheduling Links, HL7 uv.ssl 0.1.0).

The rules of Inferno's test kit for SMART Scheduling Links are tests of our own here.
"""

import gzip
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from doubles import MovableClock
from flask.testing import FlaskClient

from fhir_gateway.bootstrap import Program
from fhir_gateway.model.timekeeping import now
from fhir_gateway.sandbox_sources import write_log_service
from web.bodies import FHIR_JSON, appointment
from web.guarded import Guarded, issuers_file, served_keys, token_for
from web.running import REGIONS, OtherPrograms, Sandbox, fill, own_regions

URL: Final = "/fhir/$bulk-publish"
LINK: Final = "https://book.example.org/?slot={slot}"
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


@pytest.fixture(name="regions", scope="module")
def _regions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with own_regions(tmp_path_factory.mktemp("feed")) as (sandbox, sources):
        # An operator need not name a county.
        text = sources.read_text(encoding="utf-8")
        sources.write_text(text.replace('county = "SE-AC"\n', ""), encoding="utf-8")
        yield sandbox, sources


@pytest.fixture(name="clock", scope="module")
def _clock() -> MovableClock:
    return MovableClock(now())


@pytest.fixture(name="program", scope="module")
def _program(
    regions: Any, clock: MovableClock, other_programs: OtherPrograms
) -> Iterator[Program]:
    sources: Path = regions[1]
    with other_programs.start(
        sources=sources, clock=clock, booking_link=LINK
    ) as program:
        fill(program)
        yield program


@pytest.fixture(name="feed")
def _feed(program: Program) -> FlaskClient:
    return program.app.test_client()


def manifest_of(client: FlaskClient) -> dict[str, Any]:
    """Return the manifest."""
    found: dict[str, Any] = client.get(URL).json
    return found


def lines_of(client: FlaskClient, url: str) -> list[dict[str, Any]]:
    """Return the resources of a file."""
    answer = client.get(url.partition(".test")[2])
    assert (answer.status_code, answer.content_type) == (200, "application/fhir+ndjson")
    return [orjson.loads(each) for each in answer.data.splitlines()]


def all_of(client: FlaskClient, type_: str) -> list[dict[str, Any]]:
    """Return every resource of a type in the feed."""
    return [
        resource
        for output in manifest_of(client)["output"]
        if output["type"] == type_
        for resource in lines_of(client, output["url"])
    ]


def test_the_manifest_is_as_the_guide_has_it(feed: FlaskClient) -> None:
    """Inferno: JSON with transactionTime, request, output and error."""
    answer = feed.get(URL, headers={"Accept": "application/json"})
    manifest = answer.json

    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert _INSTANT.fullmatch(manifest["transactionTime"])
    assert manifest["request"] == "http://gateway.test/fhir/$bulk-publish"
    assert manifest["requiresAccessToken"] is False
    assert manifest["error"] == []
    assert {each["type"] for each in manifest["output"]} == {
        *("Location", "Organization", "HealthcareService", "Practitioner"),
        *("PractitionerRole", "Schedule", "Slot"),
    }
    for each in manifest["output"]:
        assert each["url"].startswith("http://gateway.test/fhir/$bulk-publish/")
        assert each["extension"]["source"].rpartition("/")[2] in REGIONS


def test_each_file_names_the_county_of_its_source(feed: FlaskClient) -> None:
    """`state` is the guide's: a list, of the code that the operator has given."""
    counties = {
        (each["source"].rpartition("/")[2], *each.get("state", ()))
        for output in feed.get(URL).json["output"]
        for each in [output["extension"]]
    }

    assert counties == {("norr",), ("mitt", "SE-AB"), ("syd", "SE-M")}


def test_the_manifest_says_how_long_it_holds(feed: FlaskClient) -> None:
    """A client asks once a minute at most."""
    answer = feed.get(URL)

    assert answer.headers["Cache-Control"] == "public, max-age=60"
    assert answer.headers["ETag"].startswith('W/"')
    assert "Last-Modified" in answer.headers


def test_the_slots_are_those_of_a_paged_search(feed: FlaskClient) -> None:
    """The feed has each slot that a search finds, and no other."""
    published = all_of(feed, "Slot")
    found, path = [], "/fhir/Slot?_count=1000&_sort=start"
    while path:
        bundle = feed.get(path).json
        found += [each["resource"] for each in bundle["entry"]]
        following = [each for each in bundle["link"] if each["relation"] == "next"]
        path = following[0]["url"].partition(".test")[2] if following else ""

    def without_links(slot: dict[str, Any]) -> dict[str, Any]:
        kept = [
            each
            for each in slot.get("extension", ())
            if not each["url"].partition("/StructureDefinition/")[2].startswith("book")
        ]
        rest = {name: value for name, value in slot.items() if name != "extension"}
        return rest | ({"extension": kept} if kept else {})

    by_id = {each["id"]: without_links(each) for each in published}
    assert len(by_id) == len(published) == len(found)
    assert by_id == {each["id"]: each for each in found}


def test_what_a_slot_refers_to_is_in_the_feed(feed: FlaskClient) -> None:
    """Each reference of each line leads to another line, and each id is there once."""
    everything = {
        f"{each['resourceType']}/{each['id']}": each
        for output in manifest_of(feed)["output"]
        for each in lines_of(feed, output["url"])
    }
    referred = set(re.findall(rb'"reference":"([^"]+)"', orjson.dumps(everything)))

    assert {each.decode() for each in referred} <= everything.keys()


def test_a_line_is_what_a_read_gives(feed: FlaskClient) -> None:
    """But for the guide's extensions, a resource is the same everywhere."""
    for type_ in ("Location", "Organization", "HealthcareService", "Practitioner"):
        for each in all_of(feed, type_)[:3]:
            assert feed.get(f"/fhir/{type_}/{each['id']}").json == each
    for each in all_of(feed, "PractitionerRole")[:3]:
        assert feed.get(f"/fhir/PractitionerRole/{each['id']}").json == each


def test_a_schedule_says_whether_anything_is_free(feed: FlaskClient) -> None:
    """has-availability: some where there is a slot, none where there is none."""
    with_slots = {
        each["schedule"]["reference"].partition("/")[2] for each in all_of(feed, "Slot")
    }
    schedules = all_of(feed, "Schedule")
    said = {each["id"]: each["extension"][0]["valueCode"] for each in schedules}

    assert {name for name, code in said.items() if code == "some"} == with_slots
    assert set(said.values()) <= {"some", "none"}


def test_a_slot_says_where_to_book(feed: FlaskClient) -> None:
    """The operator's link has the slot's id, and the phone is the unit's."""
    phones = {
        each["id"]: each["telecom"][0]["value"]
        for each in all_of(feed, "Location")
        if "telecom" in each
    }
    prefix = "http://fhir-registry.smarthealthit.org/StructureDefinition/booking-"
    slot = all_of(feed, "Slot")[0]
    extensions = {each.pop("url"): each for each in slot["extension"]}
    unit = slot["id"].partition(".")[0]

    assert extensions[f"{prefix}deep-link"] == {
        "valueUrl": LINK.replace("{slot}", slot["id"])
    }
    assert extensions.get(f"{prefix}phone", {}).get("valueString") == phones.get(unit)


def test_slots_lie_in_the_file_of_their_week(feed: FlaskClient) -> None:
    """The file of a week has the slots that begin in it, earliest first."""
    for output in manifest_of(feed)["output"]:
        if output["type"] == "Slot":
            starts = [each["start"] for each in lines_of(feed, output["url"])]
            year, _, week = output["extension"]["week"].partition("-W")
            days = {starts[0][:10], starts[-1][:10]}
            assert {week_of(day) for day in days} == {(int(year), int(week))}
            assert starts == sorted(starts)


def week_of(day: str) -> tuple[int, int]:
    """Return the ISO week of a day."""
    year, week, _ = date.fromisoformat(day).isocalendar()
    return year, week


def first_slots(client: FlaskClient) -> str:
    """Return the path of the first file of slots."""
    url: str = next(
        each["url"] for each in manifest_of(client)["output"] if each["type"] == "Slot"
    )
    return url.partition(".test")[2]


def test_a_file_is_compressed_for_those_who_take_it(feed: FlaskClient) -> None:
    """Gzip and plain have the same text and the same tag."""
    path = first_slots(feed)
    packed = feed.get(path, headers={"Accept-Encoding": "gzip"})
    plain = feed.get(path, headers={"Accept-Encoding": "gzip;q=0"})

    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(packed.data) == plain.data
    assert packed.headers["ETag"] == plain.headers["ETag"]
    assert "Accept-Encoding" in packed.headers["Vary"]


def test_nothing_new_is_304(feed: FlaskClient) -> None:
    """By ETag and by date, of the manifest and of a file."""
    for path in (URL, first_slots(feed)):
        known = feed.get(path).headers
        by_tag = feed.get(path, headers={"If-None-Match": known["ETag"]})
        by_date = feed.get(path, headers={"If-Modified-Since": known["Last-Modified"]})
        earlier = feed.get(
            path, headers={"If-Modified-Since": "Mon, 01 Jan 2024 00:00:00 GMT"}
        )

        assert (by_tag.status_code, by_tag.data) == (304, b"")
        assert by_tag.headers["ETag"] == known["ETag"]
        assert by_date.status_code == 304
        assert earlier.status_code == 200


def test_a_head_request_has_no_body(feed: FlaskClient) -> None:
    """HEAD has the fields of GET."""
    path = first_slots(feed)

    assert feed.head(path).headers["ETag"] == feed.get(path).headers["ETag"]
    assert feed.head(path).data == b""


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        (URL, None, 200),
        (URL, "application/json", 200),
        (URL, "text/html", 406),
        (f"{URL}?_since=2026-01-01T00:00:00Z", None, 200),
        (f"{URL}?_since=2026-01-01T00:00:00+01:00", None, 200),
        (f"{URL}?_since=yesterday", None, 400),
        (f"{URL}?_type=Slot", None, 400),
        (f"{URL}?_format=json", "text/html", 200),
        (f"{URL}?_format=application/fhir%2Bjson", None, 200),
        (f"{URL}?_format=application/fhir+json&_format=json", None, 200),
        (f"{URL}?_format=xml", None, 406),
        (f"{URL}?_format=application/fhir%2Bxml", None, 406),
        (f"{URL}?_format=json&_format=xml", None, 406),
        (f"{URL}?_format=ndjson", None, 406),
        (f"{URL}?_format=", None, 200),
        (f"{URL}?_pretty=true", None, 400),
        (f"{URL}/Location.norr.ndjson?_format=xml", None, 406),
        (f"{URL}/Location.norr.ndjson?_format=json", None, 406),
        (f"{URL}/Location.norr.ndjson?_format=ndjson", None, 200),
        (f"{URL}/Location.norr.ndjson?_format=application/fhir%2Bndjson", None, 200),
        (f"{URL}/Location.norr.ndjson?_pretty=true", None, 400),
        (f"{URL}/Location.norr.ndjson", None, 200),
        (f"{URL}/Location.norr.ndjson", "application/fhir+ndjson", 200),
        (f"{URL}/Location.norr.ndjson", "application/fhir+json", 406),
        (f"{URL}/Location.norr.ndjson", "application/fhir+json, */*;q=0.1", 200),
        (f"{URL}/Location.norr.ndjson?_count=3", None, 400),
        (f"{URL}/Slot.norr.1999-W01.ndjson", None, 200),
        (f"{URL}/OperationOutcome.norr.ndjson", None, 200),
        (f"{URL}/Location.nowhere.ndjson", None, 404),
        (f"{URL}/Patient.norr.ndjson", None, 404),
        (f"{URL}/Slot.norr.ndjson", None, 404),
        (f"{URL}/Slot.norr.2026-W99.ndjson", None, 404),
        (f"{URL}/Slot.norr.2026-W1.ndjson", None, 404),
        (f"{URL}/Location.norr.2026-W01.ndjson", None, 404),
        (f"{URL}/Location.NORR.ndjson", None, 404),
        (f"{URL}/norr", None, 404),
        (f"{URL}/", None, 404),
    ],
)
def test_what_is_asked_for_is_answered_as_it_should(
    feed: FlaskClient, path: str, accept: str | None, status: int
) -> None:
    """Each kind of request has its status."""
    headers = {} if accept is None else {"Accept": accept}

    assert feed.get(path, headers=headers).status_code == status


def test_the_feed_is_read_only(feed: FlaskClient) -> None:
    """Only GET and HEAD."""
    assert feed.post(URL).status_code == 405


@pytest.mark.parametrize(
    "url",
    [
        *("$bulk-publish", "$bulk-publish/Location.norr.ndjson", "package.tgz"),
        ".well-known/smart-configuration",
    ],
)
def test_an_entry_of_a_batch_gets_no_document(feed: FlaskClient, url: str) -> None:
    """A document is no resource: its entry says so, and the others are answered."""
    batch = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [
            {"request": {"method": "GET", "url": each}}
            for each in (url, "Slot?_count=1")
        ],
    }
    answer = feed.post("/fhir", json=batch, headers={"Content-Type": FHIR_JSON})

    refused, other = (each["response"] for each in answer.json["entry"])
    assert (refused["status"], other["status"]) == ("400 Bad Request", "200 OK")
    assert "send a GET of its own" in refused["outcome"]["issue"][0]["diagnostics"]


# What changes


def test_a_publication_holds_for_a_minute_and_then_shows_what_changed(
    program: Program, feed: FlaskClient, clock: MovableClock, number: str
) -> None:
    """A booked slot leaves the next publication; other files stay as they were."""
    path = first_slots(feed)
    slot = orjson.loads(feed.get(path).data.splitlines()[-1])["id"]
    before = {
        each["url"]: feed.get(each["url"].partition(".test")[2]).headers["ETag"]
        for each in manifest_of(feed)["output"]
    }
    booked = feed.post(
        "/fhir/Appointment",
        json=appointment(slot, number),
        headers={"Content-Type": FHIR_JSON},
    )
    program.view.catch_up()
    at_once = feed.get(path)
    clock.forward(seconds=61)
    later = feed.get(path)
    changed = [
        url
        for url, etag in before.items()
        if feed.get(url.partition(".test")[2]).headers["ETag"] != etag
    ]

    assert booked.status_code == 201
    assert slot.encode() in at_once.data
    assert slot.encode() not in later.data
    assert changed == [f"http://gateway.test{path}"]


def test_nothing_is_published_anew_while_nothing_changes(
    feed: FlaskClient, clock: MovableClock
) -> None:
    """The manifest, and when it was made, stay the same."""
    before = feed.get(URL)
    clock.forward(seconds=90)

    assert feed.get(URL).headers["ETag"] == before.headers["ETag"]


def test_a_region_that_does_not_answer_is_an_error_of_the_manifest(
    program: Program, feed: FlaskClient, clock: MovableClock, regions: Any
) -> None:
    """Its slots are there while they may be offered, and `error` names the source."""
    sandbox: Sandbox = regions[0]
    sandbox.spoil("mitt", "vp-fault")
    clock.forward(seconds=20 * 60)
    fill(program)
    (error,) = manifest_of(feed)["error"]
    (outcome,) = lines_of(feed, error["url"])
    sandbox.heal()

    assert error["type"] == outcome["resourceType"] == "OperationOutcome"
    assert "(source mitt)" in outcome["issue"][0]["diagnostics"]


# Who may read it


def test_where_searches_need_a_token_the_feed_does_too(
    regions: Any, other_programs: OtherPrograms, tmp_path: Path
) -> None:
    """401 without one; the manifest says so, and no shared cache keeps an answer."""
    sandbox, sources = regions
    with (
        served_keys() as jwks_uri,
        other_programs.start(
            sources=sources,
            issuers=issuers_file(tmp_path, jwks_uri),
            log_service=write_log_service(tmp_path, sandbox.server.url),
            public_search=False,
        ) as program,
    ):
        program.view.catch_up()
        assert program.identity is not None
        program.identity.start()
        client = program.app.test_client()
        bearer = {"Authorization": f"Bearer {token_for('operator')}"}
        answer = client.get(URL, headers=bearer)
        status = client.get(URL).status_code
        program.identity.stop()

    assert status == 401
    assert answer.json["requiresAccessToken"] is True
    assert answer.headers["Cache-Control"] == "private, max-age=60"


def test_an_open_feed_needs_no_token(guarded: Guarded) -> None:
    """Where anybody may search, anybody may read the feed."""
    answer = guarded.made.app.test_client().get(URL)

    assert answer.json["requiresAccessToken"] is False
    assert answer.headers["Cache-Control"] == "public, max-age=60"
