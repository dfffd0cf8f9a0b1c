"""
A database that answers nothing any more, over a connection that stays open.
"""

import select
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
import requests
from postgresql import NoPostgresql, PostgresqlServer, running_postgresql
from web.bodies import FHIR_JSON, appointment

from .served import THREADS, serving

pytestmark = pytest.mark.flow

_READS: Final = 10 * THREADS


class _SwallowingProxy:
    """Stands before PostgreSQL, and swallows all that comes once it is told to."""

    def __init__(self, socket_folder: Path) -> None:
        self._upstream = str(socket_folder / ".s.PGSQL.5432")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.swallows = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(
                    target=self._serve, args=(client,), daemon=True
                ).start()

    def _serve(self, client: socket.socket) -> None:
        upstream = socket.socket(socket.AF_UNIX)
        with client, upstream, suppress(OSError):
            upstream.connect(self._upstream)
            while True:
                ready, _, _ = select.select([client, upstream], [], [])
                for source in ready:
                    part = source.recv(65_536)
                    if not part:
                        return
                    if not self.swallows.is_set():
                        (client if source is upstream else upstream).sendall(part)


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
    name = server.new_url().partition("@/")[2].partition("?")[0]
    url = f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}"
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
