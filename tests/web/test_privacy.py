"""
Nothing personal is in a log, a header, an error, a URL, Redis, or in clear on disk.
"""

import gc
import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog
from flask.testing import FlaskClient
from redis import Redis
from structlog.typing import EventDict
from werkzeug.test import TestResponse

from fhir_gateway.fhir.search_schema import SearchSchema

from .bodies import (
    PERSONNUMMER,
    another_slot,
    appointment,
    change,
    free_slots,
    patch,
    slot_patch,
    status_patch,
)
from .dialects import appointment_in, call, parameters, reference, resource, text
from .running import OtherPrograms, Sandbox, fill, own_regions

# In one process, so that what is dear to set up is set up once.
pytestmark = pytest.mark.xdist_group("privacy")

# What stands for a resident; the texts are like nothing else in these tests.
NUMBER = "198001019804"
OTHER_NUMBER = "198001019812"
FAMILY = "Markörsson"
GIVEN = "Provia"
COMMENT = "Hemligaste anledningen"
PHONE = "08-465 004 77"
EMAIL = "provia.markorsson@example.org"
REGION_TEXT = f"{GIVEN} {FAMILY}, {NUMBER}: ring oss"
MARKERS = (
    *(NUMBER, NUMBER[2:], f"{NUMBER[:8]}-{NUMBER[8:]}", OTHER_NUMBER),
    *(FAMILY, GIVEN, COMMENT, "Hemligaste", "465 004 77", "markorsson@"),
    *("Mark\\u00f6rsson", "Mark%C3%B6rsson"),
)


@dataclass
class Records:
    """Everything that the program has logged, and every answer it has given."""

    events: list[EventDict] = field(default_factory=list)
    answers: list[TestResponse] = field(default_factory=list)

    def text(self) -> str:
        """Return all logged events as one text."""
        return repr(self.events)


@dataclass
class Resident:
    """A resident's client; it keeps every answer."""

    client: FlaskClient
    records: Records

    def keep(self, response: TestResponse) -> dict[str, Any]:
        """Keep an answer; return its body."""
        self.records.answers.append(response)
        body: dict[str, Any] | None = response.json
        assert body is not None
        return body

    def body(self, slot: str, **changes: Any) -> dict[str, Any]:
        """Return a body with everything about the resident in it."""
        marked = appointment(slot, NUMBER, comment=COMMENT, **changes)
        marked["contained"][0] |= {
            "name": [{"family": FAMILY, "given": [GIVEN]}],
            "telecom": [
                {"system": "phone", "value": PHONE},
                {"system": "email", "value": EMAIL},
            ],
        }
        return marked

    def post(self, body: Any) -> dict[str, Any]:
        """Book."""
        return self.keep(
            self.client.post(
                "/fhir/Appointment", json=body, content_type="application/fhir+json"
            )
        )

    def book(self, region: str) -> dict[str, Any]:
        """Book the first free slot of a region."""
        return self.post(self.body(next(free_slots(self.client, region))["id"]))

    def call(self, name: str, *given: dict[str, Any]) -> dict[str, Any]:
        """Call an operation with a Parameters resource."""
        return self.keep(call(self.client, name, parameters(*given)))

    def search(self) -> dict[str, Any]:
        """Search for the resident's appointments."""
        return self.keep(
            self.client.post(
                "/fhir/Appointment/_search",
                data={"patient.identifier": f"{PERSONNUMMER}|{NUMBER}"},
            )
        )

    def read(self, body: dict[str, Any]) -> dict[str, Any]:
        """Read an appointment."""
        return self.keep(self.client.get(f"/fhir/Appointment/{body['id']}"))


def found(text: str | bytes) -> list[str]:
    """Return the markers that a text or some bytes hold."""
    if isinstance(text, bytes):
        return [marker for marker in MARKERS if marker.encode() in text]
    return [marker for marker in MARKERS if marker in text]


@contextmanager
def recorded() -> Iterator[Records]:
    """Record every event that is logged, from the least important on."""
    records = Records()

    def record(_: object, __: str, event: EventDict) -> EventDict:
        records.events.append(dict(event))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.processors.format_exc_info, record],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
    )
    yield records
    structlog.configure(**before)


@dataclass
class Aftermath:
    """What is left when a resident has done everything that can be done."""

    folder: Path
    redis_url: str
    records: Records
    output: str
    standard_log: str


@dataclass
class Kept:
    """What stays for all tests of this file: gateways, regions, and what is left."""

    running: ExitStack
    aftermath: Aftermath | None = None


@pytest.fixture(name="kept", scope="module")
def _kept() -> Iterator[Kept]:
    with ExitStack() as running:
        yield Kept(running)


@pytest.fixture(name="aftermath")
def _aftermath(
    kept: Kept,
    other_programs: OtherPrograms,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Aftermath:
    """Give what one long life leaves; the first test that asks for it lives it."""
    # The fixture cannot last for a module, since pytest captures test by test.
    if kept.aftermath is not None:
        return kept.aftermath
    caplog.set_level(logging.DEBUG)
    with recorded() as records:
        sandbox, sources = kept.running.enter_context(own_regions(tmp_path))
        made = kept.running.enter_context(other_programs.start(sources=sources))
        fill(made)
        live_a_life(Resident(made.app.test_client(), records), sandbox)
        made.reconciliation.run_once()
        fill(made)
    captured = capfd.readouterr()
    kept.aftermath = Aftermath(
        folder=other_programs.settings.data_dir / f"other-{other_programs.started}",
        redis_url=f"{other_programs.redis_url}?db={1 + other_programs.started % 15}",
        records=records,
        output=captured.out + captured.err,
        standard_log=caplog.text,
    )
    return kept.aftermath


def live_a_life(resident: Resident, sandbox: Sandbox) -> None:
    """Search, book, move, cancel, fail in many ways, and send what must not be sent."""
    client = resident.client
    for region in ("norr", "mitt", "syd"):
        booked = resident.book(region)
        resident.read(booked)
        slot = another_slot(client, booked)
        resident.keep(patch(client, booked["id"], slot_patch(slot["id"])))
        resident.keep(
            patch(
                client,
                booked["id"],
                status_patch("cancelled", cancelationReason={"text": COMMENT}),
            )
        )
        sandbox.spoil(region, "info", text=REGION_TEXT)
        shown = resident.book(region)
        sandbox.heal()
        given_away = resident.read(shown)
        given_away["participant"][0]["actor"]["identifier"]["value"] = OTHER_NUMBER
        resident.keep(change(client, given_away))
        for fault, interactions in (
            ("error", ["MakeBooking"]),
            ("drop-after-processing", ["MakeBooking"]),
            ("drop-before-processing", ["MakeBooking"]),
            ("deliver-nothing", ["MakeBooking"]),
            ("vp-fault", ["MakeBooking"]),
            ("vp-fault", ["GetAvailableTimeslots"]),
            ("vp-fault", ["GetBookingDetails", "GetSubjectOfCareSchedule"]),
            ("deliver-nothing", ["GetBookingDetails", "GetSubjectOfCareSchedule"]),
        ):
            more = {"code": REGION_TEXT} if fault == "vp-fault" else {}
            text = {"text": REGION_TEXT} if fault == "error" else {}
            sandbox.spoil(region, fault, interactions=interactions, **more, **text)
            resident.book(region)
            resident.search()
            sandbox.heal()
    call_operations(resident, sandbox)
    resident.search()
    send_what_must_not_be_sent(resident)


def call_operations(resident: Resident, sandbox: Sandbox) -> None:
    """Hold, let go, book, move and cancel by operations, and fail at it."""
    slots = free_slots(resident.client, "syd")
    for _ in range(3):
        body = resident.body(next(slots)["id"])
        held = appointment_in(resident.call("hold", resource("appointment", body)))
        name = reference("appointment-reference", f"Appointment/{held['id']}")
        resident.call("hold", name, {"name": "slot-status", "valueCode": "free"})
        resident.call("book", resource("appointment-resource", body))
        resident.call("cancel", name, text("comment", COMMENT))
    sandbox.spoil("syd", "error", text=REGION_TEXT)
    resident.call("book", resource("appt-resource", resident.body(next(slots)["id"])))
    sandbox.heal()
    token = f"{PERSONNUMMER}|{NUMBER}"
    for operation in ("find", "hold", "book", "cancel", "reschedule"):
        for given in (
            text("patient-id", token),
            text("patient-id", NUMBER),
            text("visit-type", token),
            text("visit-type", NUMBER),
            text("reason", f"{COMMENT} {FAMILY}"),
            text(NUMBER, FAMILY),
            text("comment", f"{COMMENT}\x00"),
            text("start", NUMBER),
            text("slot-status", FAMILY),
            reference("appointment-reference", f"https://x.example/{NUMBER}"),
            reference("appointment-reference", f"Patient/{NUMBER}"),
            resource("patient-resource", resident.body("x")["contained"][0]),
            resource("appointment-resource", resident.body(NUMBER, status=FAMILY)),
            {"name": "appt-id", "valueX": NUMBER},
        ):
            resident.call(operation, given)
        path = f"/fhir/Appointment/${operation}?patient={NUMBER}&x={FAMILY}"
        resident.keep(resident.client.get(path))
        resident.keep(
            resident.client.post(
                path, json=parameters(), content_type="application/fhir+json"
            )
        )


def send_what_must_not_be_sent(resident: Resident) -> None:
    """Put a resident's data where it does not belong."""
    client, keep = resident.client, resident.keep
    for url in (
        f"/fhir/Appointment?patient.identifier={PERSONNUMMER}|{NUMBER}",
        f"/fhir/Appointment?patient={NUMBER}",
        f"/fhir/Patient/{NUMBER}",
        f"/fhir/Patient?name={FAMILY}",
        f"/fhir/Slot/{NUMBER}",
        f"/fhir/Appointment/{NUMBER}",
        f"/{FAMILY}/{NUMBER}",
        f"/fhir/Slot?patient.identifier={NUMBER}",
        f"/fhir/Slot?{NUMBER}={FAMILY}",
        f"/fhir/Slot?start={NUMBER}",
        f"/fhir/Slot?_count={NUMBER}&_sort={FAMILY}&_include={GIVEN}&_cursor={NUMBER}",
        f"/fhir/Slot?_format={NUMBER}",
        f"//fhir/Slot?name={FAMILY}",
    ):
        keep(client.get(url))
    keep(client.delete(f"/fhir/Patient/{NUMBER}"))
    slot = next(free_slots(client))["id"]
    for body in (
        resident.body(NUMBER),
        resident.body(slot, status=NUMBER),
        resident.body(slot, start=f"{FAMILY} {NUMBER}"),
        resident.body(slot, **{NUMBER: FAMILY, FAMILY: NUMBER}),
        resident.body(slot, participant=[{"status": FAMILY}]),
        resident.body(slot) | {"resourceType": NUMBER},
        resident.body(slot) | {"comment": f"{COMMENT}\x00"},
        [NUMBER, FAMILY],
        NUMBER,
    ):
        resident.post(body)
    marked = json.dumps(resident.body(slot))
    for broken in (marked[:-1], marked + NUMBER, marked.replace("{", "{{")):
        keep(
            client.post(
                "/fhir/Appointment", data=broken, content_type="application/fhir+json"
            )
        )
    keep(client.post("/fhir/Appointment", data=marked, content_type=NUMBER))
    for headers in (
        {"Accept": f"{NUMBER}/{NUMBER}"},
        {"If-Match": NUMBER},
        {"X-Request-Id": NUMBER},
    ):
        keep(
            client.put(
                "/fhir/Appointment/x",
                data=marked,
                content_type="application/fhir+json",
                headers=headers,
            )
        )


def test_nothing_personal_is_left_anywhere(aftermath: Aftermath) -> None:
    """Number, name and words are in no log, header, error, URL or store."""
    records = aftermath.records
    assert len(records.events) > 20
    assert len(records.answers) > 80

    # Logs, by structlog and by logging, and all printed text.
    assert found(records.text()) == []
    assert found(aftermath.standard_log) == []
    assert found(aftermath.output) == []
    for answer in records.answers:
        # Headers of every answer.
        assert found(str(answer.headers)) == []
        # Errors; the words of a region that refuses are shown as it says them.
        body = answer.json
        assert body is not None
        if answer.status_code >= 400:
            spoken = json.dumps(body, ensure_ascii=False).replace(REGION_TEXT, "")
            assert found(spoken) == []
        # URLs.
        for url in urls(body):
            assert found(url) == []
    # Redis: every key and every value.
    with Redis.from_url(aftermath.redis_url) as redis:
        keys = list(redis.scan_iter())
        assert len(keys) > 10
        for key in keys:
            assert found(key) == []
            assert found(value_of(redis, key)) == []
    # Every file of the journal.
    files = [path for path in aftermath.folder.rglob("*") if path.is_file()]
    assert any(path.name == "journal.sqlite" for path in files)
    for path in files:
        assert found(path.read_bytes()) == [], path.name


def test_no_booking_id_of_a_region_is_in_clear(aftermath: Aftermath) -> None:
    """The journal seals it, and neither a log nor Redis has any use for it."""
    ids = {
        identifier["value"].encode()
        for answer in aftermath.records.answers
        if answer.json is not None
        for identifier in answer.json.get("identifier", ())
    }
    with Redis.from_url(aftermath.redis_url) as redis:
        stored = [value_of(redis, key) for key in redis.scan_iter()]
    files = [path for path in aftermath.folder.rglob("*") if path.is_file()]
    texts = [
        aftermath.records.text().encode(),
        aftermath.output.encode(),
        *stored,
        *(path.read_bytes() for path in files),
    ]

    assert len(ids) > 10
    assert [each for each in ids if any(each in text for text in texts)] == []


def test_the_markers_would_be_found(aftermath: Aftermath) -> None:
    """What this file looks for is really in what the client sent and is shown."""
    shown = "".join(answer.text for answer in aftermath.records.answers)

    assert {NUMBER, COMMENT, FAMILY, GIVEN} <= set(found(shown))


def urls(value: Any) -> Iterator[str]:
    """Yield every URL and reference in a body."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name in ("url", "fullUrl", "reference") and isinstance(item, str):
                yield item
            yield from urls(item)
    elif isinstance(value, list):
        for item in value:
            yield from urls(item)


def value_of(redis: Any, key: bytes) -> bytes:
    """Return all that a key holds, as bytes, compressed or not."""
    match redis.type(key):
        case b"string":
            value: bytes = redis.get(key)
            return value
        case b"stream":
            return repr(redis.xrange(key)).encode()
        case b"hash":
            return repr(redis.hgetall(key)).encode()
        case b"set":
            return repr(redis.smembers(key)).encode()
        case b"zset":
            return repr(redis.zrange(key, 0, -1)).encode()
        case b"none":
            # A count of requests that has just ended.
            return b""
        case kind:
            raise AssertionError(kind)


def _remembered() -> str:
    """Return all that is remembered of requests: in caches, and beside schemas."""
    # The test's own client has caches too.
    caches = [
        each
        for each in gc.get_objects()
        if type(each).__name__ == "_lru_cache_wrapper"
        and each.__module__.startswith("fhir_gateway.")
    ]
    entries = [
        list(each)
        for cache in caches
        for each in gc.get_referents(cache)
        if isinstance(each, dict)
    ]
    schemas = [
        (each.remembered, each.understood)
        for each in gc.get_objects()
        if isinstance(each, SearchSchema)
    ]
    return repr((entries, schemas))


@pytest.mark.parametrize("marker", ["marker-of-a-slot", "marker-of-a-person"])
def test_nothing_of_a_personal_search_stays_in_memory(
    client: FlaskClient, marker: str
) -> None:
    """What is searched for of somebody is not remembered; other searches are."""
    if marker == "marker-of-a-slot":
        client.get(f"/fhir/Slot?service-type={marker}")
    else:
        client.post(
            f"/fhir/Appointment/_search?status={marker}",
            data={
                "patient.identifier": f"{PERSONNUMMER}|{NUMBER}",
                "status": "booked",
                "date": "ge2026-12-01",
            },
        )
        client.get(f"/fhir/Appointment/$find?location-string={marker}")
        client.post(
            "/fhir/Appointment/_search",
            data={"patient.identifier": f"{PERSONNUMMER}|{NUMBER}"},
        )

    remembered = _remembered()

    assert (marker in remembered) == (marker == "marker-of-a-slot")
    assert NUMBER not in remembered
