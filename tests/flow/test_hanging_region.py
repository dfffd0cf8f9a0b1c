"""
A region that answers slowly: its own clients learn it, and nobody else notices.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import requests
from web.bodies import COVID_VACCINATION, FHIR_JSON, appointment
from web.running import Sandbox, fill, numbers_of_test_persons, own_regions

from fhir_gateway.bootstrap import program
from fhir_gateway.settings import Settings
from fhir_gateway.stores.embedded_redis import EmbeddedRedis
from fhir_gateway.stores.journal import BookingState

from .ports import free_port

pytestmark = pytest.mark.flow

_AT_ONCE: Final = 8
_BOOKINGS: Final = 24
_WITHIN_S: Final = 3.0
_MAKE: Final = ["MakeBooking"]


@dataclass
class Place:
    """
    Regions, a filled Redis, and gateways over them.

    Attributes:
        slots: Free slots of each region, each to be used once.
    """

    sandbox: Sandbox
    settings: Settings
    redis_url: str
    slots: dict[str, Iterator[str]]

    @contextmanager
    def served(self) -> Iterator["Served"]:
        """Give a gateway as `fhir-gateway serve` runs it, until it has stopped."""
        port = free_port()
        log = self.settings.data_dir / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "fhir_gateway", "serve"],
                env={
                    **os.environ,
                    "FHIR_GATEWAY_SOURCES": str(self.settings.sources),
                    "FHIR_GATEWAY_DATA_DIR": str(self.settings.data_dir),
                    "FHIR_GATEWAY_ANSWERS_WITHIN_S": "1",
                    "REDIS_URL": self.redis_url,
                    "PORT": str(port),
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        served = Served(f"http://127.0.0.1:{port}/fhir")
        try:
            deadline = time.monotonic() + 60
            while not served.finds_slots():
                assert process.poll() is None, log.read_text(encoding="utf-8")
                assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
                time.sleep(0.1)
            yield served
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise


@dataclass
class Served:
    """A running gateway, and its clients."""

    base: str

    def search(self) -> requests.Response:
        """Search as an impatient client does."""
        return requests.get(
            f"{self.base}/Slot?service-type={COVID_VACCINATION}", timeout=_WITHIN_S
        )

    def finds_slots(self) -> bool:
        """Return whether it answers and has read the free times."""
        try:
            return bool(self.search().json().get("total"))
        except requests.RequestException:
            return False

    def book(self, slot: str, number: str) -> requests.Response:
        """Book a slot."""
        return requests.post(
            f"{self.base}/Appointment",
            json=appointment(slot, number),
            headers={"Content-Type": FHIR_JSON},
            timeout=30,
        )

    def book_in_the_end(self, slot: str, number: str) -> requests.Response:
        """Book a slot, again and again while it is too busy to."""
        deadline = time.monotonic() + 20
        while True:
            answer = self.book(slot, number)
            if answer.status_code != requests.codes.unavailable:
                return answer
            assert time.monotonic() < deadline, answer.text

    def settled(self, answer: requests.Response) -> dict[str, Any]:
        """Return a pending appointment once it is pending no more."""
        path = answer.headers["Content-Location"].rpartition("/")[2]
        deadline = time.monotonic() + 20
        while True:
            read = requests.get(f"{self.base}/Appointment/{path}", timeout=30)
            body: dict[str, Any] = read.json()
            if body.get("status") != "pending":
                return body
            assert time.monotonic() < deadline, body
            time.sleep(0.1)


@pytest.fixture(name="place", scope="module")
def _place() -> Iterator[Place]:
    folder = Path(tempfile.mkdtemp(prefix="hanging-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        sandbox, sources = stack.enter_context(own_regions(folder))
        redis = stack.enter_context(EmbeddedRedis(folder))
        settings = Settings.from_environment(
            {
                "FHIR_GATEWAY_SOURCES": str(sources),
                "FHIR_GATEWAY_DATA_DIR": str(folder),
            }
        )
        with program(settings, redis.url) as made:
            fill(made)
            client = made.app.test_client()
            found = client.get(
                f"/fhir/Slot?service-type={COVID_VACCINATION}&_count=1000"
            ).json
        assert found is not None
        slots: dict[str, list[str]] = {}
        for entry in found["entry"]:
            region = entry["resource"]["meta"]["source"].rpartition("/")[2]
            slots.setdefault(region, []).append(entry["resource"]["id"])
        yield Place(
            sandbox,
            settings,
            redis.url,
            {region: iter(ids) for region, ids in slots.items()},
        )


_NUMBERS: Final = numbers_of_test_persons()


def test_a_late_answer_settles_what_is_pending(place: Place) -> None:
    """Nobody waits for a slow region: 202 and pending at first, then booked."""
    number = next(_NUMBERS)
    place.sandbox.spoil("norr", "answer-late", seconds=4, interactions=_MAKE)

    with place.served() as served:
        answer = served.book(next(place.slots["norr"]), number)
        settled = served.settled(answer)

    place.sandbox.heal()
    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    assert (settled["status"], settled["id"]) == ("booked", answer.json()["id"])
    assert settled["identifier"]
    assert [row["done"] for row in place.sandbox.writes("norr", number)] == [True]


def test_stopping_waits_for_a_booking_under_way(place: Place) -> None:
    """SIGTERM lets an answer come that is on its way; the next process knows it."""
    place.sandbox.spoil("norr", "answer-late", seconds=4, interactions=_MAKE)

    with place.served() as served:
        answer = served.book(next(place.slots["norr"]), next(_NUMBERS))
    place.sandbox.heal()
    with program(place.settings, place.redis_url) as made:
        record = made.journal.lookups.get(answer.json()["id"])

    assert answer.status_code == 202
    assert record.state is BookingState.BOOKED


def test_a_hanging_region_holds_its_own_clients_alone(place: Place) -> None:
    """
    Only so many bookings wait for a region that hangs.

    The others get an answer at once, their times stay free, searches and other regions'
    bookings go on.
    """
    slots = [next(place.slots["norr"]) for _ in range(_BOOKINGS)]
    numbers = [next(_NUMBERS) for _ in range(_BOOKINGS)]
    place.sandbox.spoil("norr", "hang", seconds=6, interactions=_MAKE)

    with place.served() as served, ThreadPoolExecutor(_BOOKINGS) as executor:
        hanging = [
            executor.submit(served.book, *each)
            for each in zip(slots, numbers, strict=True)
        ]
        times = []
        elsewhere = served.book(next(place.slots["syd"]), next(_NUMBERS))
        while not all(each.done() for each in hanging):
            began = time.monotonic()
            assert served.search().status_code == 200
            times.append(time.monotonic() - began)
        answers = [each.result() for each in hanging]
        place.sandbox.heal()
        reported = [
            slot
            for slot, answer in zip(slots, answers, strict=True)
            if answer.status_code == 503
        ]
        again = served.book_in_the_end(reported[0], next(_NUMBERS))

    assert sorted({answer.status_code for answer in answers}) == [202, 503]
    assert len(reported) == _BOOKINGS - _AT_ONCE
    assert {
        answer.headers.get("Retry-After")
        for answer in answers
        if answer.status_code == 503
    } == {"30"}
    assert elsewhere.status_code == 201
    assert max(times) < _WITHIN_S
    assert again.status_code == 201
