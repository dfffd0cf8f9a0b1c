"""
Alarms, and writes that were settled as not done although they were done.
"""

from datetime import UTC, datetime, timedelta

import pytest
from granting import GRANT

from fhir_gateway.stores.journal import (
    Alarm,
    BookingState,
    Journal,
    LostIntent,
    WriteIntent,
    WriteState,
)

from .conftest import (
    CANCEL,
    LEASE,
    booked,
    claimed,
    live_tokens,
    sent,
    timeslot,
)

MINUTE = timedelta(minutes=1)
EVER = datetime.fromtimestamp(0, UTC)
FAR_AHEAD = datetime(9000, 1, 1, tzinfo=UTC)


def absent(journal: Journal, intent: WriteIntent) -> WriteIntent:
    """Settle a write by its absence, and return it as it is then."""
    journal.settlements.settle_unknown(intent)
    journal.outcomes.postpone(intent, until=timedelta(), unchanged=True)
    journal.settlements.settle_not_done(intent)
    latest = journal.lookups.find_latest(intent.booking)
    assert latest is not None
    return latest


def test_alarm_is_news_once(journal: Journal) -> None:
    """An alarm is raised once, and listed."""
    intent = sent(journal)

    raised = [journal.outcomes.raise_alarm(intent, Alarm.OVERDUE) for _ in range(2)]

    assert raised == [True, False]
    ((record, alarmed),) = journal.outcomes.list_alarms(since=EVER)
    assert (record.id, alarmed.alarm) == (intent.booking, Alarm.OVERDUE)
    assert journal.outcomes.list_alarms(since=FAR_AHEAD) == ()


@pytest.mark.parametrize("alarm", [Alarm.BEGUN, Alarm.AMBIGUOUS, Alarm.DUPLICATE])
def test_an_alarm_that_needs_a_person_replaces_overdue(
    journal: Journal, alarm: Alarm
) -> None:
    """An alarm that needs a person replaces OVERDUE, and not the reverse."""
    intent = sent(journal)

    raised = [
        journal.outcomes.raise_alarm(intent, each)
        for each in (Alarm.OVERDUE, alarm, Alarm.OVERDUE, alarm)
    ]

    assert raised == [True, True, False, False]
    ((_, alarmed),) = journal.outcomes.list_alarms(since=EVER)
    assert alarmed.alarm is alarm


class Dies(BaseException):
    """A process that is killed."""


def test_an_alarm_is_logged_again_after_a_crash(journal: Journal) -> None:
    """An alarm is logged before it is committed, so that it is never lost."""
    intent = absent(journal, sent(journal))
    logged = []

    def log_and_die() -> None:
        logged.append("the first time")
        raise Dies

    with pytest.raises(Dies):
        journal.outcomes.raise_alarm(intent, Alarm.DUPLICATE, log=log_and_die)
    with pytest.raises(Dies):
        journal.outcomes.reopen(intent, lease=LEASE, log=log_and_die)
    for again in ("again", "not a third time"):
        journal.outcomes.raise_alarm(
            intent, Alarm.DUPLICATE, log=lambda again=again: logged.append(again)
        )
    reopened = journal.outcomes.reopen(
        intent, lease=LEASE, log=lambda: logged.append("reopened")
    )

    assert logged == ["the first time", "the first time", "again", "reopened"]
    assert reopened is not None


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        pytest.param(Alarm.AMBIGUOUS, Alarm.BEGUN, Alarm.AMBIGUOUS, id="as unsure"),
        pytest.param(Alarm.OVERDUE, Alarm.DUPLICATE, Alarm.DUPLICATE, id="surer"),
        pytest.param(
            Alarm.SOMETHING_ELSE, Alarm.OVERDUE, Alarm.SOMETHING_ELSE, id="less sure"
        ),
    ],
)
def test_a_known_fault_replaces_an_uncertain_one(
    journal: Journal, first: Alarm, second: Alarm, kept: Alarm
) -> None:
    """What is known to be wrong stays, and replaces what is not known."""
    intent = sent(journal)
    journal.outcomes.raise_alarm(intent, first)
    journal.outcomes.raise_alarm(intent, second)

    assert journal.lookups.get_intent(intent.id).alarm is kept


def test_unchanged_is_counted_from_the_first_look(journal: Journal) -> None:
    """A later look, and one that failed, leave the moment of the first."""
    intent = sent(journal)
    failed = journal.outcomes.postpone(intent, until=MINUTE)
    first = journal.outcomes.postpone(failed, until=MINUTE, unchanged=True)
    second = journal.outcomes.postpone(first, until=MINUTE, unchanged=True)
    third = journal.outcomes.postpone(second, until=MINUTE)

    assert failed.unchanged_at is None
    assert first.unchanged_at is not None
    assert second.unchanged_at == third.unchanged_at == first.unchanged_at


def test_reopened_booking_is_settled_as_any(journal: Journal) -> None:
    """It is pending, its place claimed, its alarm raised; then it can be booked."""
    intent = absent(journal, sent(journal))
    assert live_tokens(journal) == {}

    reopened = journal.outcomes.reopen(intent, lease=LEASE)

    assert reopened is not None
    assert (reopened.state, reopened.alarm) == (WriteState.SENT, Alarm.CONTRADICTED)
    assert journal.lookups.get(intent.booking).state is BookingState.PENDING
    assert live_tokens(journal) == {timeslot().token: 1}
    record = journal.settlements.settle_booked(
        reopened, booking_id=None, permissions=CANCEL
    )
    assert record.state is BookingState.BOOKED


def test_reopened_booking_stands_beside_the_next_one(
    journal: Journal,
) -> None:
    """That the place was sold again meanwhile does not make the first booking go."""
    intent = absent(journal, sent(journal))
    booked(journal, 1, booking_id="B2")

    assert journal.outcomes.reopen(intent, lease=LEASE) is not None
    assert live_tokens(journal) == {timeslot().token: 2}


def test_reopened_move_claims_its_time(journal: Journal) -> None:
    """The old place and the new one are held until it is settled."""
    record = booked(journal)
    moved = journal.intents.mark_sent(
        journal.intents.claim_update(record, timeslot(1), grant=GRANT), lease=LEASE
    )
    intent = absent(journal, moved)

    reopened = journal.outcomes.reopen(intent, lease=LEASE)

    assert reopened is not None
    assert live_tokens(journal) == {timeslot().token: 1, timeslot(1).token: 1}
    journal.settlements.settle_moved(reopened, booking_id=None, permissions=CANCEL)
    assert live_tokens(journal) == {timeslot(1).token: 1}


def test_reopened_cancellation_is_settled(journal: Journal) -> None:
    """A cancellation that was given up and was done is cancelled."""
    record = booked(journal)
    cancelled = journal.intents.mark_sent(
        journal.intents.claim_cancel(record, grant=GRANT), lease=LEASE
    )

    reopened = journal.outcomes.reopen(absent(journal, cancelled), lease=LEASE)

    assert reopened is not None
    assert (
        journal.settlements.settle_cancelled(reopened).state is BookingState.CANCELLED
    )


def test_reopened_write_is_looked_after(journal: Journal) -> None:
    """If the process that reopened it dies, it is found when its lease has ended."""
    reopened = journal.outcomes.reopen(
        absent(journal, sent(journal)), lease=timedelta()
    )

    assert journal.outcomes.take_unsettled(limit=1) == (reopened,)


def test_only_absence_is_taken_back(journal: Journal) -> None:
    """What was never sent, and what is settled otherwise, is not reopened."""
    never = claimed(journal)
    journal.settlements.settle_not_done(never)
    refused = sent(journal, hours=1)
    journal.settlements.settle_refused(refused, message="Nej")
    done = sent(journal, hours=2)
    journal.settlements.settle_booked(done, booking_id=None, permissions=CANCEL)

    for intent in (never, refused, done):
        assert journal.outcomes.reopen(intent, lease=LEASE) is None


def test_write_is_not_reopened_beside_another(journal: Journal) -> None:
    """A booking has one unsettled write: a given-up move waits for no cancellation."""
    record = booked(journal)
    moved = journal.intents.mark_sent(
        journal.intents.claim_update(record, timeslot(1), grant=GRANT), lease=LEASE
    )
    intent = absent(journal, moved)
    journal.intents.claim_cancel(record, grant=GRANT)

    assert journal.outcomes.reopen(intent, lease=LEASE) is None


def test_an_outdated_intent_settles_nothing_after_reopening(journal: Journal) -> None:
    """A stale intent does not settle what was reopened."""
    intent = absent(journal, sent(journal))
    journal.outcomes.reopen(intent, lease=LEASE)

    with pytest.raises(LostIntent):
        journal.settlements.settle_not_done(intent)


def test_what_was_sent_late_forgets_what_was_seen_before(journal: Journal) -> None:
    """A look from before it left counts for nothing, also one that is under way."""
    intent = sent(journal)
    journal.settlements.settle_unknown(intent)
    looked = journal.outcomes.postpone(intent, until=timedelta(), unchanged=True)

    assert journal.outcomes.mark_sent_late(intent)

    late = journal.lookups.find_pending(intent.booking)
    assert late is not None
    assert late.state is WriteState.UNKNOWN
    assert late.unchanged_at is None
    assert (late.sent_at or EVER) > (intent.sent_at or EVER)
    with pytest.raises(LostIntent):
        journal.settlements.settle_not_done(looked)


def test_only_what_is_unknown_is_sent_late(journal: Journal) -> None:
    """A write that is on its way, or settled, is left as it is."""
    on_its_way = sent(journal)
    settled = absent(journal, sent(journal, 1, 1))

    assert not journal.outcomes.mark_sent_late(on_its_way)
    assert not journal.outcomes.mark_sent_late(settled)
    assert journal.lookups.find_pending(on_its_way.booking) == on_its_way
    assert journal.lookups.find_latest(settled.booking) == settled


def test_a_reopened_write_was_sent_when_it_was_reopened(journal: Journal) -> None:
    """What absence had settled begins anew."""
    intent = absent(journal, sent(journal))

    reopened = journal.outcomes.reopen(intent, lease=LEASE)

    assert reopened is not None
    assert (reopened.sent_at or EVER) > (intent.sent_at or EVER)
    assert reopened.unchanged_at is None


@pytest.mark.parametrize("look_again_in", [timedelta(minutes=-1), timedelta(minutes=5)])
def test_absence_is_shown_once_more_when_it_is_due(
    journal: Journal, look_again_in: timedelta
) -> None:
    """What was settled by absence rests, and is shown once more after that."""
    intent = sent(journal)

    journal.settlements.settle_left_no_trace(intent, look_again_in=look_again_in)

    shown = journal.outcomes.take_unseen(limit=9, lease=MINUTE)
    is_due = look_again_in < timedelta()
    assert [each.id for each in shown] == [intent.id] * is_due
    assert journal.lookups.get(intent.booking).state is BookingState.NOT_MADE
