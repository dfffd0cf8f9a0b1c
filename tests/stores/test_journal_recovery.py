"""
Recovery: what is left after a crash, and how it is found and looked into.
"""

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from builders import SYD

from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal import (
    BookingState,
    Journal,
    LostIntent,
    WriteState,
)
from fhir_gateway.stores.sealing import Seal

from .conftest import (
    CANCEL,
    LEASE,
    NORR,
    claimed,
    live_tokens,
    number,
    plans,
    sent,
    timeslot,
)

NOW = timedelta()

_DIE = """
import os, signal, sys
from datetime import timedelta
from sqlalchemy import update
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal import Journal
from fhir_gateway.stores.journal.tables import bookings, intents
from fhir_gateway.stores.sealing import Seal
from stores.conftest import claimed

url, key, point = sys.argv[1:]
database = Database(url)
journal = Journal(database, Seal([key]))
intent = claimed(journal)
if point == "SENT":
    intent = journal.intents.mark_sent(intent, lease=timedelta())
with database.writing() as connection:
    connection.execute(update(intents).values(state="DONE", settled_at=0))
    connection.execute(update(bookings).values(state="BOOKED", version=2))
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("point", [pytest.param("CLAIMED"), pytest.param("SENT")])
def test_killed_process_leaves_what_it_committed(
    url: str, open_database: Callable[[str], Database], point: str
) -> None:
    """A process killed in mid-settlement leaves the step before, whole."""
    key = Seal.new_key()
    dead = subprocess.run(
        [sys.executable, "-c", _DIE, url, key, point],
        check=False,
        env={"PYTHONPATH": ":".join(sys.path)},
    )

    journal = Journal(open_database(url), Seal([key]), claim_lease=NOW)
    (record,) = journal.lookups.list_of_resident(number())
    intent = journal.lookups.find_pending(record.id)
    assert dead.returncode == -signal.SIGKILL
    assert intent is not None
    assert intent.state is WriteState[point]
    assert (record.state, record.version) == (BookingState.PENDING, 1)
    assert live_tokens(journal) == {timeslot().token: 1}


def test_fresh_claim_is_left_alone(journal: Journal) -> None:
    """A claim that was made just now is its owner's."""
    claimed(journal)

    assert journal.outcomes.take_unsettled(limit=10) == ()


def test_abandoned_claim_is_found(database: Database, keys: tuple[str, ...]) -> None:
    """A claim that outlives its lease unsent is shown, so that it can be given up."""
    journal = Journal(database, Seal(keys), claim_lease=NOW)
    intent = claimed(journal)

    assert journal.outcomes.take_unsettled(limit=10) == (intent,)


def test_abandoned_claim_can_still_be_sent(
    database: Database, keys: tuple[str, ...]
) -> None:
    """The lease of a claim is no deadline: who is first, sender or looker, has it."""
    journal = Journal(database, Seal(keys), claim_lease=NOW)

    intent = journal.intents.mark_sent(claimed(journal), lease=LEASE)

    assert intent.state is WriteState.SENT


def test_sent_within_its_lease_is_left_alone(journal: Journal) -> None:
    """A write that was sent just now is its sender's."""
    sent(journal)

    assert journal.outcomes.take_unsettled(limit=10) == ()


@pytest.mark.parametrize(
    "lease",
    [
        pytest.param(NOW, id="just over"),
        pytest.param(timedelta(hours=-1), id="long over"),
    ],
)
def test_sent_beyond_its_lease_is_found(journal: Journal, lease: timedelta) -> None:
    """A sent write is listed once its lease has ended."""
    intent = sent(journal, lease=lease)

    assert journal.outcomes.take_unsettled(limit=10) == (intent,)


def test_unknown_is_found_at_once(journal: Journal) -> None:
    """A write of unknown outcome is listed before its lease has ended."""
    intent = sent(journal)
    journal.settlements.settle_unknown(intent)

    assert journal.outcomes.take_unsettled(limit=10) == (
        replace(intent, state=WriteState.UNKNOWN),
    )


def test_settled_is_not_found(journal: Journal) -> None:
    """A write that is settled is never looked into."""
    journal.settlements.settle_not_done(sent(journal, lease=NOW))

    assert journal.outcomes.take_unsettled(limit=10) == ()


def test_no_more_than_the_limit_are_shown(journal: Journal) -> None:
    """At most so many are shown as were asked for, the oldest first."""
    first = sent(journal, lease=NOW)
    sent(journal, hours=1, lease=NOW)

    assert journal.outcomes.take_unsettled(limit=1) == (first,)


def test_looking_is_not_holding(journal: Journal) -> None:
    """Two who only look are shown the same."""
    sent(journal, lease=NOW)

    assert journal.outcomes.take_unsettled(limit=10) == journal.outcomes.take_unsettled(
        limit=10
    )


def test_held_is_kept_from_others(journal: Journal) -> None:
    """What one looker holds the next one is not shown."""
    intent = sent(journal, lease=NOW)

    held = journal.outcomes.take_unsettled(limit=10, lease=LEASE)

    assert (held, journal.outcomes.take_unsettled(limit=10)) == ((intent,), ())


def test_hold_ends(journal: Journal) -> None:
    """What a dead looker held is shown again when its time is over."""
    intent = sent(journal, lease=NOW)
    journal.outcomes.take_unsettled(limit=10, lease=timedelta(hours=-1))

    assert journal.outcomes.take_unsettled(limit=10) == (intent,)


def test_holding_nothing(journal: Journal) -> None:
    """Where nothing is unsettled there is nothing to hold."""
    assert journal.outcomes.take_unsettled(limit=10, lease=LEASE) == ()


@pytest.mark.parametrize("new_url", ["postgresql"], indirect=True)
def test_holders_do_not_wait_for_each_other(
    journal: Journal, database: Database
) -> None:
    """A row that another looker has just now in hand is passed by."""
    intent = sent(journal, lease=NOW)
    with database.writing() as connection:
        connection.exec_driver_sql("SELECT * FROM decision FOR UPDATE")

        assert journal.outcomes.take_unsettled(limit=10, lease=LEASE) == ()

    assert journal.outcomes.take_unsettled(limit=10, lease=LEASE) == (intent,)


def test_postponed_counts_and_rests(journal: Journal) -> None:
    """A vain look is counted, and the write is not shown for the time given."""
    intent = sent(journal, lease=NOW)

    postponed = journal.outcomes.postpone(intent, until=LEASE)

    assert postponed == replace(intent, attempts=1)
    assert journal.outcomes.take_unsettled(limit=10) == ()


def test_postponed_comes_back(journal: Journal) -> None:
    """A write that was postponed is shown again when its time has come."""
    intent = journal.outcomes.postpone(
        sent(journal, lease=NOW), until=timedelta(hours=-1)
    )

    assert journal.outcomes.take_unsettled(limit=10) == (intent,)


def test_two_looks_at_once_count_once(journal: Journal) -> None:
    """Of two who looked at the same only the first one's vain look counts."""
    intent = sent(journal, lease=NOW)
    journal.outcomes.postpone(intent, until=NOW)

    with pytest.raises(LostIntent):
        journal.outcomes.postpone(intent, until=NOW)

    (again,) = journal.outcomes.take_unsettled(limit=10)
    assert again.attempts == 1


def test_woken_sender_loses(journal: Journal) -> None:
    """A sender that slept through its lease cannot undo what was found out since."""
    intent = sent(journal, lease=NOW)
    (found,) = journal.outcomes.take_unsettled(limit=1)
    journal.settlements.settle_booked(found, booking_id=None, permissions=CANCEL)

    with pytest.raises(LostIntent):
        journal.settlements.settle_not_done(intent)

    assert journal.lookups.get(intent.booking).state is BookingState.BOOKED


def test_sources_with_something_due_are_listed(journal: Journal) -> None:
    """Sources with unsettled writes, or writes to look at once more, each once."""
    unsettled = [sent(journal, hours=hours, lease=NOW) for hours in (0, 1)]
    rests = sent(journal, hours=2, source=SYD, lease=NOW)
    journal.outcomes.postpone(rests, until=LEASE)
    before = journal.outcomes.list_sources()
    journal.settlements.settle_left_no_trace(rests, look_again_in=NOW)
    both = sorted(journal.outcomes.list_sources())
    for each in unsettled:
        journal.settlements.settle_not_done(each)

    assert (before, both) == ((NORR,), [NORR, SYD])
    assert journal.outcomes.list_sources() == (SYD,)


def test_only_the_writes_of_a_source_are_shown(journal: Journal) -> None:
    """Who looks after one source is not shown another's."""
    northern = sent(journal, lease=NOW)
    southern = sent(journal, hours=1, source=SYD, lease=NOW)
    settled = sent(journal, hours=2, source=SYD, lease=NOW)
    journal.settlements.settle_left_no_trace(settled, look_again_in=NOW)

    assert journal.outcomes.take_unsettled(limit=9, source=NORR) == (northern,)
    assert journal.outcomes.take_unsettled(limit=9, lease=LEASE, source=SYD) == (
        southern,
    )
    assert journal.outcomes.take_unseen(limit=9, lease=LEASE, source=NORR) == ()
    (seen,) = journal.outcomes.take_unseen(limit=9, lease=LEASE, source=SYD)
    assert seen.id == settled.id


def test_unsettled_uses_its_index(journal: Journal, database: Database) -> None:
    """Looking for unsettled writes does not read the settled ones."""
    plan = plans(
        database, lambda: journal.outcomes.take_unsettled(limit=10, source=NORR)
    )

    assert "decision_one_unsettled" in plan


def test_sources_uses_its_indexes(journal: Journal, database: Database) -> None:
    """Looking for what is due does not read what is not."""
    plan = plans(database, journal.outcomes.list_sources)

    assert "decision_one_unsettled" in plan
    assert "decision_unseen" in plan
