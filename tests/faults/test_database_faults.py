"""
A database that dies, is cut off after a commit, or takes no more data.
"""

import json
import resource
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import pytest
from postgresql import NoPostgresql, PostgresqlServer, running_postgresql
from postgresql_proxy import PostgresqlProxy

from faults.clients import Client, persons
from faults.history import History, Operation, Outcome
from faults.invariants import evidence_of, violations
from faults.world import SlotToBook, World

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("faults")]

QUIET_S: Final = 60.0
_END_CONNECTIONS: Final = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[PostgresqlServer]:
    try:
        with running_postgresql() as server:
            yield server
    except NoPostgresql as error:
        pytest.skip(str(error))


def _slots(running: World) -> list[SlotToBook]:
    return [slot for slot in running.slots if slot.region == "norr"]


def _broken(running: World, history: History) -> list[str]:
    running.clock.forward(110)
    assert running.await_quiet(QUIET_S)
    return violations(evidence_of(running, history.all(), frozenset()))


def _book_until(
    running: World, client: Client, slots: list[SlotToBook], stop: threading.Event
) -> list[Operation]:
    """Book one slot after the other until the test ends it."""
    numbers = persons(range(980, 990))
    done = []
    while not stop.is_set():
        done.append(client.book(running.gateways[0], next(numbers), slots.pop()))
    return done


def test_a_server_that_dies_and_comes_back(
    running: World, server: PostgresqlServer
) -> None:
    """Stopped at once and started again while clients book, it leaves no lie behind."""
    running.begin_anew(database_url=server.new_url())
    running.start()
    history = History()
    client = Client(running, history)
    stop = threading.Event()
    slots = _slots(running)
    booking = threading.Thread(target=_book_until, args=(running, client, slots, stop))
    booking.start()
    for _ in range(2):
        time.sleep(0.7)
        server.stop()
        time.sleep(0.5)
        server.start()
    time.sleep(0.7)
    server.run(_END_CONNECTIONS)
    time.sleep(0.7)
    stop.set()
    booking.join()
    outcomes = {each.outcome for each in history.all()}

    assert _broken(running, history) == []
    assert outcomes >= {Outcome.YES, Outcome.NO}


def test_a_database_that_takes_nothing(
    running: World, server: PostgresqlServer
) -> None:
    """Read-only, it refuses bookings, and reads too: no row of the audit, no data."""
    url = server.new_url()
    running.begin_anew(database_url=url)
    running.start()
    history = History()
    client = Client(running, history)
    numbers, slots = persons(range(980, 990)), _slots(running)
    gateway = running.gateways[0]
    made = client.book(gateway, next(numbers), slots.pop())
    name = url.partition("@/")[2].partition("?")[0]
    server.run(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    server.run(_END_CONNECTIONS)
    refused = client.book(gateway, next(numbers), slots.pop())
    assert made.appointment is not None
    read = client.read(gateway, made.person, made.appointment)
    sent = [each for each in running.proxies["norr"].received if each.is_write]
    server.run(f"ALTER DATABASE {name} SET default_transaction_read_only = off")
    server.run(_END_CONNECTIONS)
    again = client.book(gateway, next(numbers), slots.pop())

    assert (made.status, refused.status, again.status) == (201, 503, 201)
    assert read.status == 503
    assert len(sent) == 1
    assert _broken(running, history) == []


class _CuttingProxy(PostgresqlProxy):
    """Cuts a connection that has just sent a COMMIT, while `cuts_left` is positive."""

    def __init__(self, socket_folder: Path) -> None:
        super().__init__(socket_folder)
        self.cuts = 0
        self.cuts_left = 0

    def passes_on(
        self, part: bytes, *, to: socket.socket, server: socket.socket
    ) -> bool:
        """Pass a part on; end the connection when it was the COMMIT to cut."""
        super().passes_on(part, to=to, server=server)
        if to is not server or b"COMMIT" not in part or self.cuts_left == 0:
            return True
        self.cuts_left -= 1
        self.cuts += 1
        # The server has it; nobody learns whether it is done.
        server.recv(65_536)
        return False


def test_a_commit_with_a_lost_answer(running: World, server: PostgresqlServer) -> None:
    """Cut after each COMMIT, a booking is sent once or not at all, and true."""
    proxy = _CuttingProxy(server.socket)
    running.begin_anew(database_url=proxy.url_of(server.new_url()))
    running.start()
    history = History()
    client = Client(running, history)
    numbers, slots = persons(range(980, 990)), _slots(running)
    for _ in range(12):
        person, slot = next(numbers), slots.pop()
        proxy.cuts_left = 1
        client.book(running.gateways[0], person, slot)
        proxy.cuts_left = 0
        client.book(running.gateways[0], person, slot)
    broken = _broken(running, history)
    proxy.close()

    assert proxy.cuts == 12
    assert broken == []


def test_a_disk_that_takes_nothing_more(running: World) -> None:
    """When files cannot grow, a gateway books and shows no booking; it still finds."""
    running.start()
    history = History()
    client = Client(running, history)
    numbers, slots = persons(range(980, 990)), _slots(running)
    full = running.gateways[0]
    person = next(numbers)
    made = client.book(full, person, slots.pop())
    assert made.appointment is not None
    assert full.pid is not None
    unlimited = resource.prlimit(full.pid, resource.RLIMIT_FSIZE, (0, -1))
    refused = client.book(full, next(numbers), slots.pop())
    with urlopen(f"http://127.0.0.1:{full.port}/fhir/Slot?_count=1") as answer:
        found = json.load(answer)
    read = client.read(full, person, made.appointment)
    resource.prlimit(full.pid, resource.RLIMIT_FSIZE, unlimited)
    again = client.book(full, next(numbers), slots.pop())

    assert (made.status, refused.status, again.status) == (201, 503, 201)
    assert found["total"] > 0
    assert read.status == 503
    assert _broken(running, history) == []
