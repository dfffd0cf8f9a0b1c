"""
Settlement: which step may follow which, and what each does to the booking.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from granting import GRANT

from fhir_gateway.model.booking import (
    BookingPermissions,
    CancellationReason,
)
from fhir_gateway.model.ids import BookingId
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal import (
    BookingIdTaken,
    BookingRecord,
    BookingState,
    Journal,
    LostIntent,
    WriteIntent,
    WriteKind,
    WriteState,
)

from .conftest import (
    CANCEL,
    LEASE,
    NORR,
    booked,
    claimed,
    live_tokens,
    number,
    reported,
    rows,
    sent,
    timeslot,
)

MAKE, UPDATE, CANCEL_KIND = WriteKind
OLD, NEW = timeslot(), timeslot(1)
REBOOK = BookingPermissions(rebook=True)

Step = Callable[[Journal, WriteIntent], object]

STEPS: dict[str, Step] = {
    "mark_sent": lambda journal, intent: journal.intents.mark_sent(intent, lease=LEASE),
    "postpone": lambda journal, intent: journal.outcomes.postpone(intent, until=LEASE),
    "settle_booked": lambda journal, intent: journal.settlements.settle_booked(
        intent, booking_id=BookingId("B2"), permissions=REBOOK
    ),
    "settle_moved": lambda journal, intent: journal.settlements.settle_moved(
        intent, booking_id=BookingId("B2"), permissions=REBOOK
    ),
    "settle_cancelled": lambda journal, intent: journal.settlements.settle_cancelled(
        intent
    ),
    "settle_refused": lambda journal, intent: journal.settlements.settle_refused(
        intent, message="Nej"
    ),
    "settle_not_done": lambda journal, intent: journal.settlements.settle_not_done(
        intent
    ),
    "settle_left_no_trace": (
        lambda journal, intent: journal.settlements.settle_left_no_trace(
            intent, look_again_in=LEASE
        )
    ),
    "settle_unknown": lambda journal, intent: journal.settlements.settle_unknown(
        intent
    ),
}
RIGHT_END = {
    MAKE: "settle_booked",
    UPDATE: "settle_moved",
    CANCEL_KIND: "settle_cancelled",
}
AFTER_SENDING = {WriteState.SENT, WriteState.UNKNOWN}
ACCEPTED = {
    "mark_sent": {WriteState.CLAIMED},
    "postpone": AFTER_SENDING,
    "settle_booked": AFTER_SENDING,
    "settle_moved": AFTER_SENDING,
    "settle_cancelled": AFTER_SENDING,
    "settle_refused": AFTER_SENDING,
    "settle_not_done": {WriteState.CLAIMED, *AFTER_SENDING},
    "settle_left_no_trace": AFTER_SENDING,
    "settle_unknown": {WriteState.SENT},
}


@dataclass(frozen=True)
class Outcome:
    """What stands in the journal after a step that was accepted."""

    intent: WriteState
    booking: BookingState
    bumps: int
    held: tuple[str, ...]


PENDING, BOOKED, CANCELLED, REFUSED, NOT_MADE, _LAPSED, _REPLACED = BookingState
STATE = WriteState
OUTCOMES = {
    ("mark_sent", MAKE): Outcome(STATE.SENT, PENDING, 0, (OLD.token,)),
    ("mark_sent", UPDATE): Outcome(STATE.SENT, BOOKED, 0, (OLD.token, NEW.token)),
    ("mark_sent", CANCEL_KIND): Outcome(STATE.SENT, BOOKED, 0, (OLD.token,)),
    ("settle_booked", MAKE): Outcome(STATE.DONE, BOOKED, 1, (OLD.token,)),
    ("settle_moved", UPDATE): Outcome(STATE.DONE, BOOKED, 1, (NEW.token,)),
    ("settle_cancelled", CANCEL_KIND): Outcome(STATE.DONE, CANCELLED, 1, ()),
    ("settle_refused", MAKE): Outcome(STATE.REFUSED, REFUSED, 1, ()),
    ("settle_refused", UPDATE): Outcome(STATE.REFUSED, BOOKED, 0, (OLD.token,)),
    ("settle_refused", CANCEL_KIND): Outcome(STATE.REFUSED, BOOKED, 0, (OLD.token,)),
    ("settle_not_done", MAKE): Outcome(STATE.NOT_DONE, NOT_MADE, 1, ()),
    ("settle_not_done", UPDATE): Outcome(STATE.NOT_DONE, BOOKED, 0, (OLD.token,)),
    ("settle_not_done", CANCEL_KIND): Outcome(STATE.NOT_DONE, BOOKED, 0, (OLD.token,)),
    ("settle_left_no_trace", MAKE): Outcome(STATE.LEFT_NO_TRACE, NOT_MADE, 1, ()),
    ("settle_left_no_trace", UPDATE): Outcome(
        STATE.LEFT_NO_TRACE, BOOKED, 0, (OLD.token,)
    ),
    ("settle_left_no_trace", CANCEL_KIND): Outcome(
        STATE.LEFT_NO_TRACE, BOOKED, 0, (OLD.token,)
    ),
    ("settle_unknown", MAKE): Outcome(STATE.UNKNOWN, PENDING, 0, (OLD.token,)),
    ("settle_unknown", UPDATE): Outcome(
        STATE.UNKNOWN, BOOKED, 0, (OLD.token, NEW.token)
    ),
    ("settle_unknown", CANCEL_KIND): Outcome(STATE.UNKNOWN, BOOKED, 0, (OLD.token,)),
}


def _brought_to(journal: Journal, kind: WriteKind, state: WriteState) -> WriteIntent:
    intent = _claimed(journal, kind)
    if state is WriteState.CLAIMED:
        return intent
    intent = journal.intents.mark_sent(intent, lease=LEASE)
    way = {
        WriteState.SENT: (),
        WriteState.UNKNOWN: ("settle_unknown",),
        WriteState.DONE: (RIGHT_END[kind],),
        WriteState.REFUSED: ("settle_refused",),
        WriteState.NOT_DONE: ("settle_not_done",),
        WriteState.LEFT_NO_TRACE: ("settle_left_no_trace",),
    }
    for step in way[state]:
        STEPS[step](journal, intent)
    latest = journal.lookups.find_latest(intent.booking)
    assert latest is not None
    return latest


def _claimed(journal: Journal, kind: WriteKind) -> WriteIntent:
    if kind is MAKE:
        return claimed(journal)
    if kind is UPDATE:
        return journal.intents.claim_update(booked(journal), NEW, grant=GRANT)
    return journal.intents.claim_cancel(booked(journal), grant=GRANT)


def _combinations(*, accepted: bool) -> list[object]:
    return [
        pytest.param(kind, state, step, id=f"{kind.value} {state.value} {step}")
        for kind in WriteKind
        for state in WriteState
        for step, states in ACCEPTED.items()
        if (state in states) is accepted
        and step in {*STEPS} - {*RIGHT_END.values()} | {RIGHT_END[kind]}
        and not (accepted and step == "postpone")
    ]


@pytest.mark.parametrize(("kind", "state", "step"), _combinations(accepted=True))
def test_step_is_taken(
    journal: Journal, kind: WriteKind, state: WriteState, step: str
) -> None:
    """Each step from a state that it fits leaves intent, booking and claims right."""
    intent = _brought_to(journal, kind, state)
    before = journal.lookups.get(intent.booking)

    STEPS[step](journal, intent)

    latest = journal.lookups.find_latest(intent.booking)
    after = journal.lookups.get(intent.booking)
    assert latest is not None
    assert (
        Outcome(
            latest.state,
            after.state,
            after.version - before.version,
            tuple(sorted(live_tokens(journal))),
        )
        == OUTCOMES[step, kind]
    )


@pytest.mark.parametrize(("kind", "state", "step"), _combinations(accepted=False))
def test_step_is_refused(
    journal: Journal,
    database: Database,
    kind: WriteKind,
    state: WriteState,
    step: str,
) -> None:
    """Each step from a state that it does not fit is lost, and changes nothing."""
    intent = _brought_to(journal, kind, state)
    before = rows(database)

    with pytest.raises(LostIntent):
        STEPS[step](journal, intent)

    assert rows(database) == before


@pytest.mark.parametrize("step", [pytest.param(step) for step in STEPS])
def test_stale_fence_opens_nothing(
    journal: Journal, database: Database, step: str
) -> None:
    """An intent read before it was sent can no longer be used."""
    kind = next((kind for kind, end in RIGHT_END.items() if end == step), MAKE)
    state = WriteState.CLAIMED if step == "mark_sent" else WriteState.SENT
    intent = _brought_to(journal, kind, state)
    before = rows(database)

    with pytest.raises(LostIntent):
        STEPS[step](journal, replace(intent, fence=intent.fence - 1))

    assert rows(database) == before


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        pytest.param(kind, step, id=f"{kind.value} {step}")
        for kind in WriteKind
        for step in RIGHT_END.values()
        if step != RIGHT_END[kind]
    ],
)
def test_kind_is_not_mixed_up(
    journal: Journal, database: Database, kind: WriteKind, step: str
) -> None:
    """A yes to another kind of write is a mistake in the program, and is refused."""
    intent = _brought_to(journal, kind, WriteState.SENT)
    before = rows(database)

    with pytest.raises(ValueError, match="is not settled in this way"):
        STEPS[step](journal, intent)

    assert rows(database) == before


def test_booked_has_the_text_of_the_region(journal: Journal) -> None:
    """A booking that was made bears the region's id, permissions and text."""
    before = journal.lookups.get(sent(journal).booking)
    intent = journal.lookups.find_pending(before.id)
    assert intent is not None

    record = journal.settlements.settle_booked(
        intent,
        booking_id=BookingId("B1"),
        permissions=CANCEL,
        is_invitation=True,
        message="Ta med legitimation",
    )

    assert record == replace(
        before,
        version=2,
        state=BookingState.BOOKED,
        booking_id=BookingId("B1"),
        permissions=CANCEL,
        is_invitation=True,
        message="Ta med legitimation",
        updated_at=record.updated_at,
        confirmed_at=record.confirmed_at,
    )
    assert record.confirmed_at is not None


def test_settled_record_is_the_stored_one(journal: Journal) -> None:
    """What a settlement returns is what is read afterwards."""
    record = booked(journal)

    assert journal.lookups.get(record.id) == record


def test_booked_without_an_id(journal: Journal) -> None:
    """Two bookings without a region's id may stand side by side."""
    first = booked(journal, 1, booking_id=None)
    second = booked(journal, 2, hours=1, booking_id=None)

    assert [first.booking_id, second.booking_id] == [None, None]


def test_moved_has_its_new_time(journal: Journal) -> None:
    """A booking that was moved has the new time, id, permissions and text."""
    before = booked(journal)
    intent = journal.intents.mark_sent(
        journal.intents.claim_update(before, NEW, grant=GRANT), lease=LEASE
    )

    record = journal.settlements.settle_moved(
        intent,
        booking_id=BookingId("B2"),
        permissions=REBOOK,
        is_invitation=True,
        message="Ny lokal",
    )

    assert record == replace(
        before,
        version=3,
        timeslot=NEW,
        booking_id=BookingId("B2"),
        permissions=REBOOK,
        is_invitation=True,
        message="Ny lokal",
        updated_at=record.updated_at,
        confirmed_at=record.confirmed_at,
    )


def test_moved_without_an_id_keeps_its_own(journal: Journal) -> None:
    """A region that gives no id for a move has kept the old one."""
    intent = journal.intents.mark_sent(
        journal.intents.claim_update(booked(journal), NEW, grant=GRANT), lease=LEASE
    )

    record = journal.settlements.settle_moved(
        intent, booking_id=None, permissions=CANCEL
    )

    assert record.booking_id == "B1"


def test_cancelled_bears_the_last_text(journal: Journal) -> None:
    """A booking that was cancelled bears the text of the region's answer to that."""
    intent = journal.intents.mark_sent(
        journal.intents.claim_cancel(booked(journal), grant=GRANT), lease=LEASE
    )

    record = journal.settlements.settle_cancelled(intent, message="Avbokad")

    assert (record.state, record.message) == (BookingState.CANCELLED, "Avbokad")


_REASON = CancellationReason(text="Frisk", stated='{"text": "Frisk"}')


def test_cancelled_bears_its_reason(journal: Journal) -> None:
    """Why a booking was cancelled is read back as it was stated."""
    intent = journal.intents.claim_cancel(booked(journal), reason=_REASON, grant=GRANT)

    record = journal.settlements.settle_cancelled(
        journal.intents.mark_sent(intent, lease=LEASE)
    )

    assert record.cancellation == _REASON
    assert journal.lookups.get(record.id).cancellation == _REASON


def test_a_refused_cancellation_leaves_no_reason(journal: Journal) -> None:
    """The next cancellation bears its own reason, or none."""
    record = booked(journal)
    refused = journal.intents.claim_cancel(record, reason=_REASON, grant=GRANT)
    journal.settlements.settle_refused(
        journal.intents.mark_sent(refused, lease=LEASE), message="Nej"
    )

    intent = journal.intents.mark_sent(
        journal.intents.claim_cancel(record, grant=GRANT), lease=LEASE
    )
    assert journal.settlements.settle_cancelled(intent).cancellation is None


def test_refused_make_bears_the_regions_no(journal: Journal) -> None:
    """A booking that was refused bears the region's text."""
    record = journal.settlements.settle_refused(sent(journal), message="Redan bokad")

    assert (record.state, record.message) == (BookingState.REFUSED, "Redan bokad")


def test_refused_change_keeps_the_bookings_text(journal: Journal) -> None:
    """The intent has the no to a change; the booking's own text stays."""
    made = journal.settlements.settle_booked(
        sent(journal), booking_id=None, permissions=CANCEL, message="Fasta 12 timmar"
    )
    intent = journal.intents.mark_sent(
        journal.intents.claim_cancel(made, grant=GRANT), lease=LEASE
    )

    record = journal.settlements.settle_refused(intent, message="För sent")

    latest = journal.lookups.find_latest(record.id)
    assert latest is not None
    assert (record.message, latest.message) == ("Fasta 12 timmar", "För sent")


def test_late_answer_after_unknown_counts(journal: Journal) -> None:
    """An answer that comes after all settles what was given up as unknown."""
    intent = sent(journal)
    journal.settlements.settle_unknown(intent)

    record = journal.settlements.settle_booked(
        intent, booking_id=None, permissions=CANCEL
    )

    assert record.state is BookingState.BOOKED


def test_latest_intent_is_the_last_one(journal: Journal) -> None:
    """Of several writes to one booking the last one is the latest."""
    record = booked(journal)
    journal.settlements.settle_not_done(
        journal.intents.claim_update(record, NEW, grant=GRANT)
    )
    cancel = journal.intents.claim_cancel(record, grant=GRANT)

    assert journal.lookups.find_latest(record.id) == cancel


def test_no_intent_is_pending_after_settlement(journal: Journal) -> None:
    """A booking with settled writes only has no pending intent."""
    assert journal.lookups.find_pending(booked(journal).id) is None


@pytest.mark.parametrize(
    "text", [pytest.param("x", id="no id"), pytest.param("\x00", id="a NUL")]
)
def test_odd_id_has_no_intent(journal: Journal, text: str) -> None:
    """A text that is no id of ours has no intent."""
    assert journal.lookups.find_latest(text) is None


def _adopted(journal: Journal, who: int = 1, hours: int = 0) -> BookingRecord:
    return journal.reports.adopt(
        source=NORR,
        booking=reported("B9"),
        timeslot=timeslot(hours),
        number=number(who),
    )


def test_double_gives_way(journal: Journal) -> None:
    """A booking that was reported before its own answer came is merged into it."""
    adopted = _adopted(journal)
    ours = journal.settlements.settle_booked(
        sent(journal, 1), booking_id=BookingId("B9"), permissions=CANCEL
    )

    assert journal.lookups.list_of_resident(number(1)) == (ours,)
    assert journal.lookups.get(adopted.id).state is BookingState.REPLACED


@pytest.mark.parametrize(
    ("who", "hours"),
    [
        pytest.param(2, 0, id="another resident's"),
        pytest.param(1, 5, id="of another time"),
    ],
)
def test_id_of_another_booking_settles_nothing(
    journal: Journal, database: Database, who: int, hours: int
) -> None:
    """An answer with the id of a booking that cannot be this one changes nothing."""
    _adopted(journal, who, hours)
    intent = sent(journal, 1)
    before = rows(database)

    with pytest.raises(BookingIdTaken):
        journal.settlements.settle_booked(
            intent, booking_id=BookingId("B9"), permissions=CANCEL
        )

    assert rows(database) == before


def test_double_that_is_being_changed_stays(journal: Journal) -> None:
    """A duplicate with an unsettled write of its own is not replaced."""
    journal.intents.claim_cancel(_adopted(journal), grant=GRANT)

    with pytest.raises(BookingIdTaken):
        journal.settlements.settle_booked(
            sent(journal, 1), booking_id=BookingId("B9"), permissions=CANCEL
        )


def test_moved_to_the_id_of_another_settles_nothing(journal: Journal) -> None:
    """A move that is answered with another booking's id is not settled by that."""
    _adopted(journal, 2)
    intent = journal.intents.mark_sent(
        journal.intents.claim_update(booked(journal, 1, hours=2), NEW, grant=GRANT),
        lease=LEASE,
    )

    with pytest.raises(BookingIdTaken):
        journal.settlements.settle_moved(
            intent, booking_id=BookingId("B9"), permissions=CANCEL
        )

    assert journal.lookups.find_pending(intent.booking) == intent
