"""
Request keys: begun once, closed with an answer, found again, purged after the visit.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from granting import GRANT
from sqlalchemy import update

from fhir_gateway.model.client_request import (
    RecordedAnswer,
    RepeatedRequest,
    RequestKey,
)
from fhir_gateway.stores.database import Database, database_clock
from fhir_gateway.stores.journal import (
    Journal,
    WriteIntent,
)
from fhir_gateway.stores.journal.tables import requests
from fhir_gateway.stores.sealing import Seal

from .conftest import CANCEL, LEASE, NORR, START, rows, subject, timeslot

KEY = RequestKey(client="app", key="k", fingerprint="f")
OTHER = replace(KEY, fingerprint="g")
ANSWER = RecordedAnswer(status=201, headers={"ETag": 'W/"2"'}, body='{"id":"å"}')
MINUTE = timedelta(minutes=1)


def claimed(journal: Journal, key: RequestKey = KEY) -> WriteIntent:
    """Begin a request, and claim a time for it."""
    journal.requests.begin(key, lease=MINUTE)
    return journal.intents.claim_make(
        source=NORR, timeslot=timeslot(), subject=subject(), request=key, grant=GRANT
    )


def repeated(journal: Journal, key: RequestKey = KEY) -> RepeatedRequest:
    """Begin a request again; return the error."""
    with pytest.raises(RepeatedRequest) as caught:
        journal.requests.begin(key, lease=MINUTE)
    return caught.value


def test_key_that_is_begun_is_running(journal: Journal) -> None:
    """A repeat of a request gets that the first is in progress."""
    journal.requests.begin(KEY, lease=MINUTE)

    again = repeated(journal)
    assert (again.is_same, again.is_running, again.answer) == (True, True, None)
    assert not repeated(journal, OTHER).is_same


def test_key_begins_again_after_its_process_died(journal: Journal) -> None:
    """Nothing came of it, so the repeat does it; another request does not."""
    journal.requests.begin(KEY, lease=timedelta())

    assert not repeated(journal, OTHER).is_same
    journal.requests.begin(KEY, lease=MINUTE)

    assert repeated(journal).is_running


def test_key_that_another_request_has_begun_claims_nothing(journal: Journal) -> None:
    """A key begins one request, so that another one cannot get a claim under it."""
    journal.requests.begin(OTHER, lease=MINUTE)

    with pytest.raises(RepeatedRequest) as caught:
        journal.intents.claim_make(
            source=NORR,
            timeslot=timeslot(),
            subject=subject(),
            request=KEY,
            grant=GRANT,
        )

    assert not caught.value.is_same
    assert not journal.places.list_of_timeslot(timeslot().token)


def test_key_with_an_intent_does_not_begin_again(
    journal: Journal, database: Database
) -> None:
    """A claim is found by its key, also after its process has died."""
    intent = claimed(journal)
    with database.writing() as connection:
        connection.execute(update(requests).values(lease_until=database_clock()))

    again = repeated(journal)

    assert (again.intent, again.booking, again.is_running) == (
        intent.id,
        intent.booking,
        False,
    )


def test_closed_key_has_its_answer(journal: Journal) -> None:
    """The answer comes back as it was."""
    claimed(journal)
    journal.requests.close(KEY, ANSWER, visit=START)

    answer = repeated(journal).answer
    assert answer is not None
    assert (answer.status, answer.headers, answer.body) == (
        201,
        {"ETag": 'W/"2"'},
        '{"id":"å"}',
    )
    assert repeated(journal, OTHER).answer is None


def test_answer_names_its_booking(journal: Journal) -> None:
    """A repeat can check whether the booking has changed since."""
    answer = replace(ANSWER, booking="b-1", standing="2 booked")
    journal.requests.begin(KEY, lease=MINUTE)
    journal.requests.close(KEY, answer, visit=START)

    assert repeated(journal).answer == answer


@pytest.mark.parametrize(
    "settle",
    [
        pytest.param(
            lambda journal, intent: journal.settlements.settle_refused(
                intent, message="Nej"
            ),
            id="refused",
        ),
        pytest.param(
            lambda journal, intent: journal.settlements.settle_not_done(intent),
            id="not sent",
        ),
    ],
)
def test_a_request_without_effect_can_begin_again(
    journal: Journal, settle: Callable[[Journal, WriteIntent], object]
) -> None:
    """Who asks for that begins anew, once, when the first is done with it."""
    intent = journal.intents.mark_sent(claimed(journal), lease=LEASE)
    settle(journal, intent)
    journal.requests.leave_open(KEY, visit=START)

    journal.requests.begin(KEY, lease=MINUTE, again_if_not_done=True)

    with pytest.raises(RepeatedRequest) as caught:
        journal.requests.begin(KEY, lease=MINUTE, again_if_not_done=True)
    assert (caught.value.intent, caught.value.is_running) == (None, True)


@pytest.mark.parametrize(
    "settle",
    [
        pytest.param(lambda *_: None, id="sent"),
        pytest.param(
            lambda journal, intent: journal.settlements.settle_unknown(intent),
            id="unknown",
        ),
        pytest.param(
            lambda journal, intent: journal.settlements.settle_booked(
                intent, booking_id=None, permissions=CANCEL
            ),
            id="booked",
        ),
    ],
)
def test_a_request_that_may_have_an_effect_does_not_begin_again(
    journal: Journal, settle: Callable[[Journal, WriteIntent], object]
) -> None:
    """What stands, or may stand, is found by its key, also by who asks for that."""
    intent = journal.intents.mark_sent(claimed(journal), lease=LEASE)
    settle(journal, intent)
    journal.requests.leave_open(KEY, visit=START)

    with pytest.raises(RepeatedRequest) as caught:
        journal.requests.begin(KEY, lease=MINUTE, again_if_not_done=True)

    assert caught.value.intent == intent.id


def test_answer_is_read_under_a_new_key_of_ours(
    journal: Journal, database: Database, keys: tuple[str, ...]
) -> None:
    """A change of the journal's keys loses no request."""
    claimed(journal)
    journal.requests.close(KEY, ANSWER, visit=START)

    changed = Journal(database, Seal((Seal.new_key(), *keys)))

    assert repeated(changed).answer is not None


def test_open_key_runs_no_more(journal: Journal) -> None:
    """Repeats look up the outcome of a request that is left open."""
    intent = claimed(journal)
    journal.requests.leave_open(KEY, visit=START)

    again = repeated(journal)
    assert (again.is_running, again.answer, again.intent) == (
        False,
        None,
        intent.id,
    )


def test_forgotten_key_is_free(journal: Journal) -> None:
    """A request without effect can begin again, also with another body."""
    journal.requests.begin(KEY, lease=MINUTE)
    journal.requests.forget(KEY)
    journal.requests.begin(OTHER, lease=MINUTE)
    journal.requests.forget(OTHER)

    journal.settlements.settle_not_done(claimed(journal))
    journal.requests.forget(KEY)

    journal.requests.begin(KEY, lease=MINUTE)


@pytest.mark.parametrize(
    "settle",
    [
        pytest.param(lambda *_: None, id="sent"),
        pytest.param(
            lambda journal, intent: journal.settlements.settle_unknown(intent),
            id="unknown",
        ),
        pytest.param(
            lambda journal, intent: journal.settlements.settle_booked(
                intent, booking_id=None, permissions=CANCEL
            ),
            id="booked",
        ),
        pytest.param(
            lambda journal, intent: journal.settlements.settle_refused(
                intent, message="Nej"
            ),
            id="refused",
        ),
    ],
)
def test_key_of_what_was_sent_is_not_forgotten(
    journal: Journal, settle: Callable[[Journal, WriteIntent], object]
) -> None:
    """A request that reached the region is never made anew."""
    intent = journal.intents.mark_sent(claimed(journal), lease=LEASE)
    settle(journal, intent)

    journal.requests.forget(KEY)

    again = repeated(journal)
    assert (again.intent, again.is_running) == (intent.id, False)


def test_keys_are_kept_until_a_day_after_the_visit(
    journal: Journal, database: Database
) -> None:
    """Keys are purged 24 h after they were used and after the visit, not before."""
    claimed(journal)
    journal.requests.close(KEY, ANSWER, visit=START)
    soon = replace(KEY, key="soon")
    journal.requests.begin(soon, lease=MINUTE)
    journal.requests.close(soon, ANSWER, visit=None)
    purged = journal.requests.purge()
    kept = {row[7] for row in rows(database)["request"]}
    day = timedelta(hours=24)
    visit = START.timestamp() + day.total_seconds()
    assert purged == 0
    assert visit in kept

    with database.writing() as connection:
        connection.execute(
            update(requests)
            .where(requests.c.keep_until < visit)
            .values(keep_until=database_clock())
        )
    assert journal.requests.purge() == 1
    journal.requests.begin(soon, lease=MINUTE)
    assert repeated(journal).answer is not None


def test_key_that_was_kept_long_enough_is_free(
    journal: Journal, database: Database
) -> None:
    """An expired key is free, even before it is purged."""
    claimed(journal)
    journal.requests.close(KEY, ANSWER, visit=None)
    with database.writing() as connection:
        connection.execute(update(requests).values(keep_until=database_clock()))

    journal.requests.begin(OTHER, lease=MINUTE)
