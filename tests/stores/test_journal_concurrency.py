"""
Concurrency: many at once, in threads and in processes, get what one at a time would.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from granting import GRANT

from fhir_gateway.model.client_request import RepeatedRequest, RequestKey
from fhir_gateway.model.errors import Conflict, TimeslotTaken
from fhir_gateway.stores.journal import (
    AlreadyBooked,
    BookingRecord,
    Journal,
    LostIntent,
)
from fhir_gateway.stores.sealing import Seal

from .conftest import (
    CANCEL,
    LEASE,
    NORR,
    booked,
    claimed,
    live_tokens,
    number,
    reported,
    sent,
    subject,
    timeslot,
)

CLAIMS = 200
THREADS = 8
PROCESSES = 3

_CLAIM = """
import json, sys
from forked import in_processes
from granting import GRANT
from fhir_gateway.model.errors import TimeslotTaken
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal import Journal
from fhir_gateway.stores.sealing import Seal
from stores.conftest import NORR, subject, timeslot

url, key, *numbers = sys.argv[1:]
processes, claims, places = map(int, numbers)
residents = [subject(who) for who in range(claims)]
wanted = timeslot(count=places)

def claim(process):
    database = Database(url)
    journal = Journal(database, Seal([key]))
    answers = []
    for resident in residents[process::processes]:
        try:
            journal.intents.claim_make(
                source=NORR, timeslot=wanted, subject=resident, grant=GRANT
            )
        except TimeslotTaken:
            answers.append("taken")
        else:
            answers.append("claimed")
    database.close()
    print(json.dumps(answers), flush=True)

in_processes(processes, claim)
"""


def _at_once(ask: Callable[[int], object], *, times: int = THREADS) -> Counter[object]:
    """Return how often each answer, or kind of error, came."""
    start = Barrier(THREADS)

    def ask_share(thread: int) -> list[object]:
        answers: list[object] = []
        start.wait()
        for which in range(thread, times, THREADS):
            try:
                answers.append(ask(which))
            except Conflict as error:
                answers.append(type(error))
        return answers

    with ThreadPoolExecutor(THREADS) as pool:
        shares = pool.map(ask_share, range(THREADS))
        return Counter(answer for share in shares for answer in share)


@pytest.mark.parametrize(
    "places", [pytest.param(1, id="one place"), pytest.param(5, id="five places")]
)
def test_threads_claim_no_more_than_there_is(journal: Journal, places: int) -> None:
    """Of 200 claims by 8 threads exactly as many win as there are places."""
    wanted = timeslot(count=places)

    def claim(who: int) -> str:
        journal.intents.claim_make(
            source=NORR, timeslot=wanted, subject=subject(who), grant=GRANT
        )
        return "claimed"

    answers = _at_once(claim, times=CLAIMS)

    assert answers == {"claimed": places, TimeslotTaken: CLAIMS - places}
    assert live_tokens(journal) == {wanted.token: places}


@pytest.mark.parametrize(
    "places", [pytest.param(1, id="one place"), pytest.param(5, id="five places")]
)
def test_processes_claim_no_more_than_there_is(url: str, places: int) -> None:
    """Of 200 claims by 3 processes exactly as many win as there are places."""
    numbers = map(str, (PROCESSES, CLAIMS, places))
    finished = subprocess.run(
        [sys.executable, "-c", _CLAIM, url, Seal.new_key(), *numbers],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    answers: Counter[str] = Counter()
    for line in finished.stdout.splitlines():
        answers.update(json.loads(line))

    assert answers == {"claimed": places, "taken": CLAIMS - places}


def test_one_resident_at_once_claims_once(journal: Journal) -> None:
    """One resident who asks many times at once gets one of several places."""
    wanted = timeslot(count=THREADS)

    def claim(_which: int) -> str:
        journal.intents.claim_make(
            source=NORR, timeslot=wanted, subject=subject(1), grant=GRANT
        )
        return "claimed"

    assert _at_once(claim) == {"claimed": 1, AlreadyBooked: THREADS - 1}


def test_one_key_at_once_decides_once(journal: Journal) -> None:
    """One request that is repeated concurrently makes one intent, at any time."""

    def claim(which: int) -> str:
        journal.intents.claim_make(
            source=NORR,
            timeslot=timeslot(which),
            subject=subject(which),
            request=RequestKey(client="app", key="k", fingerprint="f"),
            grant=GRANT,
        )
        return "claimed"

    assert _at_once(claim) == {"claimed": 1, RepeatedRequest: THREADS - 1}


def test_one_booking_at_once_is_changed_once(journal: Journal) -> None:
    """Of many changes to one booking at once one is decided."""
    answers: Counter[object] = Counter()
    # The first few meet while connections are being made, one after the other.
    for who in range(10):
        record = booked(journal, who, who, booking_id=f"B{who}")

        def change(which: int, record: BookingRecord = record, who: int = who) -> str:
            journal.intents.claim_update(
                record, timeslot(100 + 10 * who + which), grant=GRANT
            )
            return "claimed"

        answers += _at_once(change)

    assert answers == {"claimed": 10, Conflict: 10 * (THREADS - 1)}


def test_one_intent_at_once_is_sent_once(journal: Journal) -> None:
    """Of many who would send one write, one may."""
    intent = claimed(journal)

    def send(_which: int) -> str:
        journal.intents.mark_sent(intent, lease=LEASE)
        return "sent"

    assert _at_once(send) == {"sent": 1, LostIntent: THREADS - 1}


def test_one_intent_at_once_is_settled_once(journal: Journal) -> None:
    """Of a yes and a no at once one counts, and the other one changes nothing."""
    intent = sent(journal)

    def settle(which: int) -> str:
        if which % 2:
            return journal.settlements.settle_not_done(intent).state.value
        return journal.settlements.settle_booked(
            intent, booking_id=None, permissions=CANCEL
        ).state.value

    answers = _at_once(settle)

    assert answers[LostIntent] == THREADS - 1
    assert answers[journal.lookups.get(intent.booking).state.value] == 1


@pytest.mark.parametrize(
    "booking_id", [pytest.param("B1", id="with id"), pytest.param(None, id="without")]
)
def test_adopted_at_once_is_one_record(
    journal: Journal, booking_id: str | None
) -> None:
    """A booking that many searches find at once gets one record."""

    def adopt(_which: int) -> str:
        return _adopted(journal, booking_id).id

    answers = _at_once(adopt)

    assert list(answers.values()) == [THREADS]


def _adopted(journal: Journal, booking_id: str | None) -> BookingRecord:
    return journal.reports.adopt(
        source=NORR,
        booking=reported(booking_id),
        timeslot=timeslot(),
        number=number(),
    )


def test_unsettled_at_once_is_held_once(journal: Journal) -> None:
    """Of many who look for work at once each write falls to one."""
    for which in range(20):
        journal.settlements.settle_unknown(sent(journal, which, which))

    def hold(_which: int) -> int:
        return len(journal.outcomes.take_unsettled(limit=5, lease=LEASE))

    answers = _at_once(hold, times=5 * THREADS)

    assert sum(int(str(size)) * times for size, times in answers.items()) == 20
