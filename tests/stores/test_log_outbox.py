"""
The outbox of the log service: nothing is lost, and nobody else reads it.
"""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from log_entries import MARKS, log_entry
from sqlalchemy import select

from fhir_gateway.model.errors import Party, Unavailable
from fhir_gateway.model.log_entry import LogActivity, LogResult
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal import Journal
from fhir_gateway.stores.journal.tables import log_outbox
from fhir_gateway.stores.log_outbox import LogOutbox, OutboxState, QueuedEntry
from fhir_gateway.stores.sealing import Seal, SealBroken

LEASE = timedelta(minutes=5)
AT_ONCE = timedelta()


@pytest.fixture(name="outbox")
def _outbox(database: Database, keys: tuple[str, ...]) -> LogOutbox:
    return LogOutbox(database, Seal(keys))


def ids(taken: tuple[QueuedEntry, ...]) -> list[int]:
    """Return the ordinals of the entries."""
    return sorted(int(each.entry.id[-4:], 16) for each in taken)


@pytest.mark.parametrize(
    "number", ["191212121212", "197010632391"], ids=["personal", "coordination"]
)
@pytest.mark.parametrize("activity", LogActivity)
def test_an_entry_is_taken_as_it_was_added(
    outbox: LogOutbox, activity: LogActivity, number: str
) -> None:
    """Everything of the entry survives its way through the database."""
    entry = log_entry(activity=activity, patient=PersonalIdentityNumber(number))
    outbox.add(entry)

    taken = outbox.take(limit=10, lease=LEASE)

    assert taken == (QueuedEntry(entry=entry, attempts=1, refusals=0),)


def test_a_taken_entry_is_nobody_elses(outbox: LogOutbox) -> None:
    """During the lease nobody takes it again."""
    outbox.add(log_entry())

    outbox.take(limit=10, lease=LEASE)

    assert outbox.take(limit=10, lease=LEASE) == ()


def test_an_entry_is_taken_again_after_its_lease(outbox: LogOutbox) -> None:
    """A process that died with an entry loses nothing."""
    outbox.add(log_entry())

    outbox.take(limit=10, lease=AT_ONCE)

    assert [each.attempts for each in outbox.take(limit=10, lease=LEASE)] == [2]


def test_many_takers_share_the_entries(outbox: LogOutbox) -> None:
    """Each entry is taken once, however many take at once."""
    for which in range(60):
        outbox.add(log_entry(which))

    def take(_: int) -> list[int]:
        found = []
        while taken := outbox.take(limit=7, lease=LEASE):
            found.extend(ids(taken))
        return found

    with ThreadPoolExecutor(6) as executor:
        taken = Counter(
            which for found in executor.map(take, range(6)) for which in found
        )

    assert taken == Counter(range(60))


def test_no_more_is_taken_than_asked_for(outbox: LogOutbox) -> None:
    """A backlog is read in parts."""
    for which in range(25):
        outbox.add(log_entry(which))

    assert len(outbox.take(limit=10, lease=LEASE)) == 10


def test_the_oldest_is_taken_first(outbox: LogOutbox) -> None:
    """Entries leave in the order in which they came."""
    for which in range(4):
        outbox.add(log_entry(which))

    assert ids(outbox.take(limit=2, lease=LEASE)) == [0, 1]


def test_what_was_taken_before_is_taken_alone(outbox: LogOutbox) -> None:
    """An entry that may have made its message fail delays no other."""
    for which in range(3):
        outbox.add(log_entry(which))
    outbox.take(limit=2, lease=AT_ONCE)

    taken = [ids(outbox.take(limit=10, lease=LEASE)) for _ in range(3)]

    assert sorted(taken) == [[0], [1], [2]]


def test_a_delivered_entry_is_gone(outbox: LogOutbox, database: Database) -> None:
    """Personal data stay no longer than they are needed."""
    outbox.add(log_entry())

    outbox.remove(outbox.take(limit=10, lease=LEASE))

    with database.reading() as connection:
        assert connection.execute(select(log_outbox)).all() == []


def test_a_postponed_entry_waits(outbox: LogOutbox) -> None:
    """It is due again after its wait."""
    outbox.add(log_entry())
    taken = outbox.take(limit=10, lease=LEASE)

    outbox.postpone(taken, LEASE)
    early = outbox.take(limit=10, lease=LEASE)
    outbox.postpone(taken, AT_ONCE)

    assert (early, len(outbox.take(limit=10, lease=LEASE))) == ((), 1)


def test_refusals_are_counted(outbox: LogOutbox) -> None:
    """An entry knows how many times the service said no, not how often it was away."""
    outbox.add(log_entry())
    for is_refused in (True, False, True):
        outbox.postpone(
            outbox.take(limit=10, lease=LEASE), AT_ONCE, is_refused=is_refused
        )

    (taken,) = outbox.take(limit=10, lease=LEASE)

    assert (taken.attempts, taken.refusals) == (4, 2)


def test_a_refused_entry_stays_and_is_not_taken(outbox: LogOutbox) -> None:
    """It waits for a person."""
    outbox.add(log_entry())
    (taken,) = outbox.take(limit=10, lease=AT_ONCE)

    outbox.give_up(taken, LogResult.INVALID)

    assert outbox.take(limit=10, lease=LEASE) == ()
    assert outbox.state() == OutboxState(
        waiting=0, oldest=None, refused={LogResult.INVALID: 1}
    )


def test_refused_entries_are_sent_again_on_demand(outbox: LogOutbox) -> None:
    """Once the reason is gone they are due, with no refusal counted."""
    for which in range(2):
        outbox.add(log_entry(which))
        (taken,) = outbox.take(limit=10, lease=LEASE)
        outbox.give_up(taken, LogResult.DENIED)

    retried = outbox.retry_refused()

    assert retried == 2
    assert [each.refusals for each in outbox.take(limit=1, lease=LEASE)] == [0]


def test_an_empty_outbox_says_so(outbox: LogOutbox) -> None:
    """Nothing waits, and nothing was refused."""
    assert outbox.state() == OutboxState(waiting=0, oldest=None, refused={})


def test_the_age_of_the_oldest_is_known(outbox: LogOutbox) -> None:
    """It counts from when the entry was queued."""
    outbox.add(log_entry(1))
    outbox.add(log_entry(2))

    state = outbox.state()

    assert (state.waiting, state.refused) == (2, {})
    assert state.oldest is not None
    assert timedelta() <= state.oldest < timedelta(minutes=1)


def test_a_full_outbox_takes_no_access(
    database: Database, keys: tuple[str, ...]
) -> None:
    """At its bound the access fails: what cannot be logged does not happen."""
    outbox = LogOutbox(database, Seal(keys), most=2)
    outbox.add(log_entry(1))
    outbox.add(log_entry(2))

    with pytest.raises(Unavailable) as raised:
        outbox.add(log_entry(3))

    assert raised.value.party is Party.GATEWAY
    assert outbox.state().waiting == 2


def test_without_a_database_there_is_no_access(
    tmp_path: Path, keys: tuple[str, ...], open_database: Callable[[str], Database]
) -> None:
    """An entry that cannot be committed stops the access."""
    outbox = LogOutbox(
        open_database(f"sqlite:///{tmp_path}/absent/journal.db"), Seal(keys)
    )

    with pytest.raises(Unavailable) as raised:
        outbox.add(log_entry())

    assert raised.value.party is Party.GATEWAY


def test_nothing_stands_in_clear(
    outbox: LogOutbox, database: Database, tmp_path: Path
) -> None:
    """Neither the patient nor the employee can be read in the database."""
    outbox.add(log_entry())
    (taken,) = outbox.take(limit=1, lease=LEASE)
    outbox.postpone((taken,), AT_ONCE, is_refused=True)
    outbox.give_up(taken, LogResult.INVALID)

    with database.reading() as connection:
        texts = [repr(connection.execute(select(log_outbox)).all()).encode()]
    texts.extend(path.read_bytes() for path in tmp_path.iterdir())

    assert [mark for mark in MARKS for text in texts if mark.encode() in text] == []


def test_an_entry_has_no_telling_repr() -> None:
    """A log or an error that shows an entry names nobody."""
    queued = QueuedEntry(entry=log_entry(), attempts=1, refusals=0)

    assert [mark for mark in MARKS if mark in repr(queued)] == []


def test_entries_are_resealed(
    outbox: LogOutbox, database: Database, keys: tuple[str, ...]
) -> None:
    """After a change of keys the old key is needed no more."""
    new = Seal.new_key()
    outbox.add(log_entry())
    upkeep = Journal(database, Seal((new, *keys))).upkeep

    rows = list(upkeep.reseal())

    assert (upkeep.count_sealed_rows(), rows) == (1, [(1, 1)])
    (taken,) = LogOutbox(database, Seal((new,))).take(limit=1, lease=LEASE)
    assert taken.entry == log_entry()


def test_an_entry_of_a_lost_key_hides_no_other(
    outbox: LogOutbox, database: Database
) -> None:
    """It fails alone, and the others are taken."""
    with_other_key = LogOutbox(database, Seal((Seal.new_key(),)))
    with_other_key.add(log_entry(1))
    outbox.add(log_entry(2))
    with pytest.raises(SealBroken):
        outbox.take(limit=10, lease=AT_ONCE)

    found = []
    for _ in range(2):
        try:
            found.extend(ids(outbox.take(limit=10, lease=LEASE)))
        except SealBroken:
            found.append(-1)

    assert sorted(found) == [-1, 2]
