"""
The delivery of posts: to an index that is away, lies or refuses.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from engagements import MARKS, TOLVAN
from structlog.testing import capture_logs

from fhir_gateway.model.booking import Booking, BookingPermissions
from fhir_gateway.model.engagement import EngagementChange, IndexedSource
from fhir_gateway.model.errors import GatewayError, SourceFault, Unavailable
from fhir_gateway.model.ids import BookingId, HsaId, SourceName, TimeTypeId
from fhir_gateway.model.timeslot import Schedule, Timeslot
from fhir_gateway.national.engagement_index import FoundPosts, UpdateResult
from fhir_gateway.services.engagement.delivery import IndexDelivery
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.index_outbox import IndexOutbox
from fhir_gateway.stores.index_post import QueuedPosts
from fhir_gateway.stores.journal import Journal
from fhir_gateway.stores.migrations import migrate
from fhir_gateway.stores.sealing import Seal

NORR: Final = SourceName("norr")
UNIT: Final = HsaId("SE2321009901-UNIT1")
INDEXED: Final = IndexedSource(
    source_system=HsaId("SE2321009901-SYSTEM"), data_controller="232100-9901"
)
Answer = Callable[[Sequence[EngagementChange]], UpdateResult | GatewayError]


class MemoryIndex:
    """An index in memory: what it got, and what it has."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.answer = answer or (lambda _: UpdateResult.ACCEPTED)
        self.messages: list[list[str]] = []
        self.posts: set[str] = set()

    def update(self, changes: Sequence[EngagementChange]) -> UpdateResult:
        """Take all or none."""
        self.messages.append([each.engagement.booking_id for each in changes])
        answer = self.answer(changes)
        if isinstance(answer, GatewayError):
            raise answer
        if answer is UpdateResult.ACCEPTED:
            for each in changes:
                if each.is_deleted:
                    self.posts.discard(each.engagement.booking_id)
                else:
                    self.posts.add(each.engagement.booking_id)
        return answer

    def find_content(self, *_: object, **__: object) -> FoundPosts:
        """Answer nothing."""
        return FoundPosts(posts=())

    def close(self) -> None:
        """Do nothing."""


class HastyOutbox(IndexOutbox):
    """An outbox that waits for nothing, and remembers the waits."""

    waits: list[timedelta]

    def postpone(
        self, taken: Sequence[QueuedPosts], wait: timedelta, *, is_refused: bool = False
    ) -> None:
        """Make bookings due at once."""
        self.waits.append(wait)
        super().postpone(taken, timedelta(), is_refused=is_refused)


class Kept:
    """A journal, and the outbox of the index over it."""

    def __init__(self, database: Database, seal: Seal) -> None:
        self.journal = Journal(database, seal)
        self.outbox = HastyOutbox(database, seal, {NORR: INDEXED}, holder="one")
        self.outbox.waits = []

    def fill(self, count: int) -> list[str]:
        """Let the source report bookings; return their ids."""
        ids = [f"B-{which}" for which in range(count)]
        for which, booking_id in enumerate(ids):
            start = datetime(2027, 3, 1, 8, tzinfo=UTC) + timedelta(hours=which)
            end = start + timedelta(minutes=30)
            self.journal.reports.adopt(
                source=NORR,
                booking=Booking(
                    unit=UNIT,
                    booking_id=BookingId(booking_id),
                    start=start,
                    end=end,
                    permissions=BookingPermissions(),
                ),
                timeslot=Timeslot(
                    schedule=Schedule(
                        unit=UNIT,
                        time_type_id=TimeTypeId("besok"),
                        time_type_name="Besök",
                    ),
                    start=start,
                    end=end,
                ),
                number=TOLVAN,
            )
        return ids


@pytest.fixture(name="kept")
def _kept(tmp_path: Path) -> Iterator[Kept]:
    database = Database(f"sqlite:///{tmp_path}/journal.db")
    migrate(database.engine)
    yield Kept(database, Seal((Seal.new_key(),)))
    database.close()


def refusing(bad: str) -> Answer:
    """Return the answers of an index that refuses each message with one booking."""
    return lambda changes: (
        UpdateResult.REFUSED
        if any(each.engagement.booking_id == bad for each in changes)
        else UpdateResult.ACCEPTED
    )


def test_posts_are_delivered_fifty_bookings_at_a_time(kept: Kept) -> None:
    """Each once, and then the outbox is empty."""
    ids = kept.fill(60)
    index = MemoryIndex()
    delivery = IndexDelivery(kept.outbox, index)

    results = [delivery.deliver() for _ in range(3)]

    assert results == [True, True, None]
    assert [len(each) for each in index.messages] == [50, 10]
    assert index.posts == set(ids)


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("The source did not answer in time."),
        SourceFault("The source answered with a technical fault (VP009)."),
    ],
)
def test_what_is_not_accepted_is_sent_again(kept: Kept, error: GatewayError) -> None:
    """After any failure the posts are due again, each alone; the log says so once."""
    ids = kept.fill(3)
    index = MemoryIndex(lambda _: error)
    delivery = IndexDelivery(kept.outbox, index)

    with capture_logs() as logs:
        failed = [delivery.deliver() for _ in range(4)]
        index.answer = lambda _: UpdateResult.ACCEPTED
        while delivery.deliver():
            pass

    assert failed == [False] * 4
    assert index.posts == set(ids)
    assert [len(each) for each in index.messages[1:]] == [1] * 6
    assert [each["event"] for each in logs] == [
        "engagement index accepts nothing",
        "engagement index accepts again",
    ]
    assert [mark for mark in MARKS if mark in repr(logs)] == []


def test_a_refused_one_delays_no_other(kept: Kept) -> None:
    """The index refuses a message for one of its posts; the others get in alone."""
    ids = kept.fill(4)
    index = MemoryIndex(refusing("B-2"))
    delivery = IndexDelivery(kept.outbox, index)

    for _ in range(12):
        delivery.deliver()

    assert index.posts == set(ids) - {"B-2"}
    assert kept.outbox.state().waiting == 1


def test_what_is_refused_for_days_is_flagged(kept: Kept) -> None:
    """After twenty refusals a person must look; the booking is named by our id."""
    kept.fill(1)
    index = MemoryIndex(refusing("B-0"))
    delivery = IndexDelivery(kept.outbox, index)

    with capture_logs() as logs:
        while delivery.deliver() is not None:
            pass

    state = kept.outbox.state()
    assert (len(index.messages), state.waiting, state.refused) == (20, 0, 1)
    assert kept.outbox.waits[0] == timedelta(minutes=1)
    assert max(kept.outbox.waits) == timedelta(hours=6)
    assert [each["event"] for each in logs][-1] == "index post refused"
    assert [mark for mark in MARKS if mark in repr(logs)] == []


def test_a_worker_that_ends_gives_the_lease_back(kept: Kept) -> None:
    """Another worker need not wait for the end of the lease."""
    kept.fill(1)
    stop = threading.Event()

    def answer(_: Sequence[EngagementChange]) -> UpdateResult:
        stop.set()
        return UpdateResult.REFUSED

    IndexDelivery(kept.outbox, MemoryIndex(answer)).run(stop)
    other = IndexOutbox(
        kept.outbox._database, kept.outbox._seal, {NORR: INDEXED}, holder="two"
    )

    assert len(other.take(limit=1, lease=timedelta(minutes=1))) == 1
