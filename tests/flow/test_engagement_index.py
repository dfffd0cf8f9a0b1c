"""
A gateway and an engagement index: posts go there, and notifications come back.

Real SOAP over loopback, a region that leaves the index to the gateway, and two that do
not.
"""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from granting import demo_grant
from processes import wait_until
from web.bodies import FHIR_JSON, JSON_PATCH, appointment, free_slots
from web.running import OtherPrograms, Sandbox, fill, own_regions
from werkzeug.serving import make_server

from fhir_gateway.bootstrap import Program
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.sandbox_sources import write_engagement_index, write_sources
from fhir_gateway.web.peer import TrustedProxies

pytestmark = pytest.mark.flow

SYSTEM = "SE2321009900-GATEWAY"
PATH = "/rivta/engagementindex/ProcessNotification/1"
TIMEOUT_S = 20
WITHIN = timedelta(seconds=2)


class Indexed:
    """A gateway that keeps the index for `syd`, and an index that notifies it."""

    def __init__(self, made: Program, sandbox: Sandbox) -> None:
        self.made = made
        self.sandbox = sandbox
        self.client = made.app.test_client()
        self.slots = free_slots(self.client, "syd")

    def book(self, number: str) -> dict[str, Any]:
        """Book a time at `syd`."""
        answer = self.client.post(
            "/fhir/Appointment",
            json=appointment(next(self.slots)["id"], number),
            content_type=FHIR_JSON,
        )
        assert answer.status_code == 201, answer.data
        booked: dict[str, Any] = answer.json or {}
        return booked

    def operate(self, booked: dict[str, Any], name: str, **parameters: Any) -> None:
        """Call an operation on it."""
        answer = self.client.post(
            f"/fhir/Appointment/{booked['id']}/${name}",
            json={
                "resourceType": "Parameters",
                "parameter": [
                    {"name": key, **value} for key, value in parameters.items()
                ],
            },
            content_type=FHIR_JSON,
        )
        assert answer.status_code == 200, answer.data

    def deliver(self) -> list[bool]:
        """Deliver what is due, as a worker does; return the results of the messages."""
        assert self.made.index.delivery is not None
        results = []
        while (result := self.made.index.delivery.deliver()) is not None:
            results.append(result)
            if not result:
                break
        return results

    def notified(self) -> int:
        """Return how many notifications the gateway has accepted."""
        return sum(self.sandbox.ledger("index")["notified"].values())

    def posts(self, number: str) -> set[tuple[str, str, str]]:
        """Return the unit, id and start of each post of a person in the index."""
        ledger = self.sandbox.ledger("index")
        return {
            (
                each["logical_address"],
                each["booking_id"],
                each["most_recent_content"],
            )
            for each in ledger["posts"]
            if each["subject_of_care"] == number
        }

    def booked(self, number: str, region: str = "syd") -> set[tuple[str, str, str]]:
        """Return the same of each booking of a person in a region's book."""
        return {
            (each["unit"], each["booking_id"], each["timeslot"]["start"])
            for each in self.sandbox.ledger(region)["bookings"]
            if each["subject_of_care"] == number
        }


@pytest.fixture(name="indexed", scope="module")
def _indexed(
    other_programs: OtherPrograms, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Indexed]:
    folder: Path = tmp_path_factory.mktemp("indexed")
    with own_regions(folder) as (sandbox, _):
        url = sandbox.server.url
        sandbox.server.keep_index_for(("norr", "mitt"))
        sources = write_sources(folder, url, 2_600, Vocabulary(), indexed=("syd",))
        sources.write_text(
            sources.read_text(encoding="utf-8").replace(
                "calls_per_second = 20", "calls_per_second = 1000"
            ),
            encoding="utf-8",
        )
        with other_programs.start(
            sources=sources,
            engagement_index=write_engagement_index(folder, url),
            proxies=TrustedProxies.parse("127.0.0.1"),
        ) as made:
            fill(made)
            server = make_server("127.0.0.1", 0, made.app, threaded=True)
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            endpoint = f"http://127.0.0.1:{server.server_port}{PATH}"
            requests.put(
                f"{url}/index",
                json={
                    "subscribers": [{"endpoint": endpoint, "logical_address": SYSTEM}]
                },
                timeout=TIMEOUT_S,
            ).raise_for_status()
            yield Indexed(made, sandbox)
            requests.put(f"{url}/index", json={"subscribers": []}, timeout=TIMEOUT_S)
            server.shutdown()
            thread.join()
            server.server_close()


def test_a_booking_is_posted_moved_and_deleted(indexed: Indexed, number: str) -> None:
    """The index follows a booking: one post with its present id and time, then none."""
    booked = indexed.book(number)
    indexed.deliver()
    first = indexed.posts(number)
    of_book = indexed.booked(number)

    ((unit, _, _),) = first
    other = next(each["id"] for each in indexed.slots if each["id"].startswith(unit))
    indexed.operate(
        booked, "reschedule", slot={"valueReference": {"reference": f"Slot/{other}"}}
    )
    indexed.deliver()
    second, moved = indexed.posts(number), indexed.booked(number)

    cancelled = indexed.client.patch(
        f"/fhir/Appointment/{booked['id']}",
        json=[{"op": "replace", "path": "/status", "value": "cancelled"}],
        content_type=JSON_PATCH,
    )
    assert cancelled.status_code == 200
    indexed.deliver()

    assert (len(first), first) == (1, of_book)
    assert (len(second), second) == (1, moved)
    assert second != first
    assert indexed.posts(number) == indexed.booked(number) == set()


@pytest.mark.parametrize(
    "rule",
    [
        {"fault": "refuse"},
        {"fault": "drop-before-processing"},
        {"fault": "drop-after-processing"},
        {"fault": "deliver-nothing", "after": True},
        {"fault": "vp-fault"},
        {"fault": "vp-fault", "after": True},
        {"fault": "wrong-status", "after": True},
        {"fault": "error"},
        {"fault": "info"},
        {"fault": "answer-twice"},
        {"fault": "early-hints"},
    ],
    ids=lambda rule: "-".join(map(str, rule.values())),
)
def test_the_index_learns_it_in_spite_of_each_fault(
    indexed: Indexed, number: str, rule: dict[str, Any]
) -> None:
    """However a message fails, the post is in the index once, in the end."""
    indexed.book(number)
    indexed.sandbox.spoil("index", **rule, count=1, interactions=["Update"])

    indexed.deliver()
    indexed.sandbox.heal()
    assert indexed.made.index.upkeep is not None
    for _ in range(2):
        indexed.deliver()
        _end_waits(indexed)

    assert indexed.posts(number) == indexed.booked(number)
    assert len(indexed.posts(number)) == 1


def _end_waits(indexed: Indexed) -> None:
    """Let enough time pass for what was postponed."""
    with indexed.made.journal.lookups._database.writing() as connection:
        connection.exec_driver_sql(
            "UPDATE booking SET index_due_at = 0 WHERE index_due_at IS NOT NULL"
        )


def test_the_index_notifies_of_what_others_post(indexed: Indexed, number: str) -> None:
    """A booking that a region has posted itself brings its unit into the list."""
    before = indexed.notified()
    slot = next(free_slots(indexed.client, "norr"))
    booked = indexed.client.post(
        "/fhir/Appointment",
        json=appointment(slot["id"], number),
        content_type=FHIR_JSON,
    )
    assert booked.status_code == 201

    arrived = wait_until(lambda: indexed.notified() > before, TIMEOUT_S)

    # Only what was notified can be known now.
    indexed.sandbox.spoil("index", "refuse", interactions=["FindContent"])
    grant = demo_grant(PersonalIdentityNumber(number))
    known = indexed.made.index.resident_posts.posts_of(grant, within=WITHIN)
    indexed.sandbox.heal()

    assert arrived
    assert known.missing is not None
    assert {(each.unit, each.booking_id) for each in known.posts} == {
        (unit, booking_id) for unit, booking_id, _ in indexed.booked(number, "norr")
    }


def test_the_index_is_asked_for_what_nobody_notified(
    indexed: Indexed, number: str
) -> None:
    """FindContent brings all posts of a resident; its answer is good for a while."""
    indexed.book(number)
    indexed.deliver()
    grant = demo_grant(PersonalIdentityNumber(number))
    posts = indexed.made.index.resident_posts

    first = posts.posts_of(grant, within=WITHIN)
    indexed.sandbox.spoil("index", "refuse", interactions=["FindContent"])
    second = posts.posts_of(grant, within=WITHIN)
    indexed.sandbox.heal()

    assert first.missing is second.missing is None
    assert first.units == second.units
    assert [(each.unit, each.booking_id) for each in first.possible_invitations] == [
        (unit, booking_id) for unit, booking_id, _ in indexed.booked(number)
    ]


def test_the_number_is_in_no_log(
    indexed: Indexed, number: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What is posted and notified shows nobody."""
    indexed.book(number)
    indexed.deliver()

    assert number not in caplog.text
