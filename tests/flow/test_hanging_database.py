"""
A database that answers nothing any more, over a connection that stays open.
"""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest
import requests
from postgresql import NoPostgresql, PostgresqlServer, running_postgresql
from postgresql_proxy import PostgresqlProxy
from web.bodies import FHIR_JSON, appointment

from .served import THREADS, serving

pytestmark = pytest.mark.flow

_READS: Final = 10 * THREADS


class _SwallowingProxy(PostgresqlProxy):
    """Swallows all that it should pass on, while `swallows` is set."""

    def __init__(self, socket_folder: Path) -> None:
        super().__init__(socket_folder)
        self.swallows = threading.Event()

    def passes_on(
        self, part: bytes, *, to: socket.socket, server: socket.socket
    ) -> bool:
        """Pass a part on, or swallow it; go on in both cases."""
        return self.swallows.is_set() or super().passes_on(part, to=to, server=server)


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[PostgresqlServer]:
    try:
        with running_postgresql() as server:
            yield server
    except NoPostgresql as error:
        pytest.skip(str(error))


def test_a_database_that_hangs_stops_no_search(
    server: PostgresqlServer, number: str
) -> None:
    """While reads of a booked slot hang, searches and health are answered at once."""
    proxy = _SwallowingProxy(server.socket)
    url = proxy.url_of(server.new_url())
    with serving({"DATABASE_URL": url}) as served, ThreadPoolExecutor(_READS) as pool:
        slot = served.slot_ids()[-1]
        booked = requests.post(
            f"{served.base}/Appointment",
            json=appointment(slot, number),
            headers={"Content-Type": FHIR_JSON},
            timeout=20,
        )
        assert booked.status_code == 201, booked.text
        proxy.swallows.set()

        reads = [
            pool.submit(requests.get, f"{served.base}/Slot/{slot}", timeout=60)
            for _ in range(_READS)
        ]
        healths = [served.get("/health").status_code for _ in range(5)]
        searches = [len(served.slot_ids()) for _ in range(5)]
        proxy.swallows.clear()

        answers = [read.result().status_code for read in reads]

    proxy.close()
    assert (healths, searches) == ([200] * 5, [5] * 5)
    assert set(answers) <= {200, 503}
