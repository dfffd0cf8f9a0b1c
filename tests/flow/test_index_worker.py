"""
The real worker keeps the engagement index, also after it was killed in the middle.
"""

import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import requests
from engagements import MARKS, TOLVAN
from processes import wait_until, workers
from sqlalchemy import update

from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.booking import Booking, BookingPermissions
from fhir_gateway.model.ids import BookingId, HsaId, SourceName, TimeTypeId
from fhir_gateway.model.timeslot import Schedule, Timeslot
from fhir_gateway.sandbox.server import SandboxServer
from fhir_gateway.sandbox_sources import write_engagement_index, write_sources
from fhir_gateway.stores.database import Database
from fhir_gateway.stores.journal import Journal
from fhir_gateway.stores.journal.tables import index_lease
from fhir_gateway.stores.migrations import migrate
from fhir_gateway.stores.sealing import Seal

pytestmark = pytest.mark.flow

KEY: Final = Seal.new_key()
UNIT: Final = HsaId("SE2321009903-1001")
TIMEOUT_S: Final = 40
COUNT: Final = 5


@pytest.fixture(name="sandbox")
def _sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(port=0, slots=100) as sandbox:
        sandbox.keep_index_for(())
        yield sandbox


@pytest.fixture(name="database")
def _database(tmp_path: Path) -> Iterator[Database]:
    """Give a journal with bookings that the index does not know."""
    database = Database(f"sqlite:///{tmp_path}/journal.sqlite")
    migrate(database.engine)
    reports = Journal(database, Seal((KEY,))).reports
    schedule = Schedule(
        unit=UNIT, time_type_id=TimeTypeId("besok"), time_type_name="Besök"
    )
    for which in range(COUNT):
        start = datetime(2027, 3, 1, 8, tzinfo=UTC) + timedelta(hours=which)
        end = start + timedelta(minutes=30)
        reports.adopt(
            source=SourceName("syd"),
            booking=Booking(
                unit=UNIT,
                booking_id=BookingId(f"B-{which}"),
                start=start,
                end=end,
                permissions=BookingPermissions(),
            ),
            timeslot=Timeslot(schedule=schedule, start=start, end=end),
            number=TOLVAN,
        )
    yield database
    database.close()


@pytest.fixture(name="start_worker")
def _start_worker(
    sandbox: SandboxServer, tmp_path: Path
) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Return what starts the real worker; its log is `worker.log`."""
    sources = write_sources(tmp_path, sandbox.url, 100, Vocabulary(), indexed=("syd",))
    environment = {
        "FHIR_GATEWAY_SOURCES": str(sources),
        "FHIR_GATEWAY_ENGAGEMENT_INDEX": str(
            write_engagement_index(tmp_path, sandbox.url)
        ),
        "FHIR_GATEWAY_DATA_DIR": str(tmp_path),
        "FHIR_GATEWAY_JOURNAL_KEYS": KEY,
    }
    with workers(tmp_path / "worker.log", environment) as start:
        yield start


def posts(sandbox: SandboxServer) -> list[dict[str, Any]]:
    """Return the posts of the index."""
    answer = requests.get(f"{sandbox.url}/ledger/index", timeout=TIMEOUT_S)
    found: list[dict[str, Any]] = answer.json()["posts"]
    return found


def test_the_worker_posts_across_kills(
    sandbox: SandboxServer,
    database: Database,
    start_worker: Callable[[], subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    """Killed between its message and the answer, it leaves all to the next one."""
    requests.post(
        f"{sandbox.url}/faults/index",
        json={"fault": "answer-late", "seconds": 3600, "count": 1},
        timeout=TIMEOUT_S,
    ).raise_for_status()
    killed = start_worker()
    arrived = wait_until(lambda: len(posts(sandbox)) == COUNT, TIMEOUT_S)
    killed.kill()
    killed.wait()
    with database.writing() as connection:
        connection.execute(update(index_lease).values(lease_until=0))

    start_worker()
    repeated = wait_until(
        lambda: {each["received"] for each in posts(sandbox)} == {2}, TIMEOUT_S
    )

    assert (arrived, repeated) == (True, True)
    assert {each["booking_id"] for each in posts(sandbox)} == {
        f"B-{which}" for which in range(COUNT)
    }
    log = (tmp_path / "worker.log").read_text(encoding="utf-8")
    assert [mark for mark in MARKS if mark in log] == []
