"""
The delivery of log entries: to a service that is away, lies or refuses.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from log_entries import MARKS, MemoryLogService, log_entry
from structlog.testing import capture_logs

from fhir_gateway.model.errors import (
    GatewayError,
    Incorrect,
    MalformedAnswer,
    SourceFault,
    Unavailable,
)
from fhir_gateway.model.log_entry import LogEntry, LogResult
from fhir_gateway.services.access_log.delivery import LogDelivery
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.log_outbox import LogOutbox, QueuedEntry
from fhir_gateway.stores.migrations import migrate
from fhir_gateway.stores.sealing import Seal

Answer = Callable[[Sequence[LogEntry]], LogResult | GatewayError]


class HastyOutbox(LogOutbox):
    """An outbox that waits for nothing, and remembers the waits."""

    waits: list[timedelta]

    def postpone(
        self, taken: Sequence[QueuedEntry], wait: timedelta, *, is_refused: bool = False
    ) -> None:
        """Make entries due at once."""
        self.waits.append(wait)
        super().postpone(taken, timedelta(), is_refused=is_refused)


@pytest.fixture(name="outbox")
def _outbox(tmp_path: Path) -> Iterator[HastyOutbox]:
    database = Database(f"sqlite:///{tmp_path}/journal.db")
    migrate(database.engine)
    outbox = HastyOutbox(database, Seal((Seal.new_key(),)))
    outbox.waits = []
    yield outbox
    database.close()


def fill(outbox: LogOutbox, count: int) -> list[str]:
    """Queue entries; return their ids."""
    entries = [log_entry(which) for which in range(count)]
    for entry in entries:
        outbox.add(entry)
    return [entry.id for entry in entries]


def unavailable() -> Unavailable:
    """Return what a service that is away raises."""
    return Unavailable("The source did not answer in time.")


def refusing(bad: str, result: LogResult) -> Answer:
    """Return the answers of a service that refuses each message with one entry."""
    return lambda entries: (
        result if any(each.id == bad for each in entries) else LogResult.STORED
    )


def test_entries_are_delivered_ten_at_a_time(outbox: HastyOutbox) -> None:
    """Each once, and then the outbox is empty."""
    ids = fill(outbox, 23)
    service = MemoryLogService()
    delivery = LogDelivery(outbox, service)

    results = [delivery.deliver() for _ in range(4)]

    assert results == [True, True, True, None]
    assert service.messages == [ids[:10], ids[10:20], ids[20:]]
    assert outbox.state().waiting == 0


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(unavailable(), id="away"),
        pytest.param(SourceFault("It answered with a fault."), id="fault"),
        pytest.param(MalformedAnswer("Rubbish.", element="Envelope"), id="rubbish"),
    ],
)
def test_what_is_not_certainly_stored_is_sent_again(
    outbox: HastyOutbox, error: GatewayError
) -> None:
    """With the same id, until the service says that it has it."""
    (entry,) = fill(outbox, 1)
    answers = iter([error, error, LogResult.STORED])
    service = MemoryLogService(lambda _: next(answers))
    delivery = LogDelivery(outbox, service)

    results = [delivery.deliver() for _ in range(4)]

    assert results == [False, False, True, None]
    assert service.messages == [[entry]] * 3


def test_the_waits_grow(outbox: HastyOutbox) -> None:
    """A service that is away is asked less and less often about an entry."""
    fill(outbox, 1)
    delivery = LogDelivery(outbox, MemoryLogService(lambda _: unavailable()))

    for _ in range(9):
        delivery.deliver()

    assert [wait.total_seconds() for wait in outbox.waits] == [
        *(5, 10, 20, 40, 80, 160, 300, 300, 300)
    ]


@pytest.mark.parametrize("result", [LogResult.INVALID, LogResult.DENIED])
def test_a_faulty_entry_delays_no_other(outbox: HastyOutbox, result: LogResult) -> None:
    """The service refuses the whole message: then each entry is sent alone."""
    ids = fill(outbox, 10)
    service = MemoryLogService(refusing(ids[4], result))
    delivery = LogDelivery(outbox, service)

    for _ in range(11):
        delivery.deliver()

    assert sorted(service.stored) == sorted(set(ids) - {ids[4]})


def test_an_entry_that_breaks_the_receiver_delays_no_other(
    outbox: HastyOutbox,
) -> None:
    """A message that is never answered costs the others one attempt."""
    ids = fill(outbox, 10)
    service = MemoryLogService(
        lambda entries: (
            unavailable()
            if any(each.id == ids[0] for each in entries)
            else LogResult.STORED
        )
    )
    delivery = LogDelivery(outbox, service)

    for _ in range(11):
        delivery.deliver()

    assert sorted(service.stored) == ids[1:]


def test_a_wrong_entry_is_flagged(outbox: HastyOutbox) -> None:
    """It stays in the outbox, and the log raises an alarm once."""
    (entry,) = fill(outbox, 1)
    service = MemoryLogService(lambda _: LogResult.INVALID)
    delivery = LogDelivery(outbox, service)

    with capture_logs() as events:
        results = [delivery.deliver() for _ in range(3)]

    assert results == [False, None, None]
    assert events == [
        {
            "event": "log entry refused",
            "log_level": "error",
            "entry": entry,
            "result": "invalid",
        }
    ]
    assert outbox.state().refused == {LogResult.INVALID: 1}


def test_an_entry_that_cannot_be_written_is_flagged(outbox: HastyOutbox) -> None:
    """To send it again would help nobody."""
    fill(outbox, 1)
    delivery = LogDelivery(outbox, MemoryLogService(lambda _: Incorrect("No.")))

    delivery.deliver()

    assert outbox.state().refused == {LogResult.INVALID: 1}


@pytest.mark.parametrize("result", [LogResult.DENIED, LogResult.FAILED])
def test_a_refusal_without_a_fault_is_tried_for_days(
    outbox: HastyOutbox, result: LogResult
) -> None:
    """The operator may still get us the permission; after that it is flagged."""
    fill(outbox, 1)
    service = MemoryLogService(lambda _: result)
    delivery = LogDelivery(outbox, service)

    while delivery.deliver() is not None:
        pass

    assert len(service.messages) == 20
    assert timedelta(days=2) < sum(outbox.waits, timedelta()) < timedelta(days=4)
    assert outbox.state().refused == {result: 1}


def test_an_outage_is_logged_once(outbox: HastyOutbox) -> None:
    """Its beginning is an error, its end is news."""
    fill(outbox, 1)
    answers = iter([unavailable(), unavailable(), LogResult.STORED])
    delivery = LogDelivery(outbox, MemoryLogService(lambda _: next(answers)))

    with capture_logs() as events:
        for _ in range(3):
            delivery.deliver()

    assert [(each["event"], each["log_level"]) for each in events] == [
        ("log service stores nothing", "error"),
        ("log service stores again", "info"),
    ]


def test_no_event_names_anybody(outbox: HastyOutbox) -> None:
    """Neither the patient nor the employee stands in the log."""
    fill(outbox, 12)
    answers = iter([unavailable(), LogResult.DENIED, LogResult.INVALID] * 20)
    delivery = LogDelivery(outbox, MemoryLogService(lambda _: next(answers)))

    with capture_logs() as events:
        for _ in range(40):
            delivery.deliver()

    assert events != []
    assert [mark for mark in MARKS if mark in repr(events)] == []


def test_a_worker_goes_on_after_a_fault_of_the_program(outbox: HastyOutbox) -> None:
    """One entry that our own code cannot handle does not end the worker."""
    fill(outbox, 1)
    stop = threading.Event()

    def fail(_: object) -> LogResult:
        stop.set()
        raise ZeroDivisionError

    with capture_logs() as events:
        LogDelivery(outbox, MemoryLogService(fail)).run(stop)

    assert [(each["event"], each["kind"]) for each in events] == [
        ("log delivery failed", "ZeroDivisionError")
    ]
    assert outbox.state().waiting == 1


def test_a_backlog_is_read_in_small_parts(outbox: HastyOutbox) -> None:
    """After a long outage no more than ten entries are in memory at once."""
    ids = fill(outbox, 2_000)
    stop = threading.Event()
    service = MemoryLogService()

    def store(entries: Sequence[LogEntry]) -> LogResult:
        if len(service.stored) + len(entries) == len(ids):
            stop.set()
        return LogResult.STORED

    service.answer = store
    LogDelivery(outbox, service).run(stop)

    assert sorted(service.stored) == sorted(ids)
    assert max(map(len, service.messages)) == 10


def test_two_workers_deliver_each_entry_once(outbox: HastyOutbox) -> None:
    """They share the outbox."""
    ids = fill(outbox, 200)
    service = MemoryLogService()

    def drain() -> None:
        delivery = LogDelivery(outbox, service)
        while delivery.deliver() is not None:
            pass

    threads = [threading.Thread(target=drain) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(each for message in service.messages for each in message) == ids


class HastyStop(threading.Event):
    """An event that nobody waits for; it is set after some waits, and has them."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.waits: list[float | None] = []
        self._most = most

    def wait(self, timeout: float | None = None) -> bool:
        """Remember the wait."""
        self.waits.append(timeout)
        if len(self.waits) == self._most:
            self.set()
        return self.is_set()


def test_a_service_that_is_away_is_asked_ever_less_often(outbox: HastyOutbox) -> None:
    """With one entry at a time, so that few entries are later sent alone."""
    fill(outbox, 30)
    service = MemoryLogService(lambda _: unavailable())
    stop = HastyStop(9)

    LogDelivery(outbox, service).run(stop)

    assert stop.waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert [len(message) for message in service.messages] == [10, *[1] * 8]


def test_a_service_that_is_back_gets_all_at_once(outbox: HastyOutbox) -> None:
    """After the first success there is no pause until the outbox is empty."""
    ids = fill(outbox, 30)
    answers = iter([unavailable()] * 3)
    service = MemoryLogService(lambda _: next(answers, LogResult.STORED))
    stop = HastyStop(4)

    LogDelivery(outbox, service).run(stop)

    assert stop.waits == [1, 2, 4, 5]
    assert sorted(service.stored) == ids


def test_a_worker_goes_on_without_its_database(tmp_path: Path) -> None:
    """It says so, and tries again."""
    away = LogOutbox(
        Database(f"sqlite:///{tmp_path}/absent/journal.db"), Seal((Seal.new_key(),))
    )
    stop = HastyStop(2)

    with capture_logs() as events:
        LogDelivery(away, MemoryLogService()).run(stop)

    assert [each["event"] for each in events] == ["log outbox cannot be used"] * 2
