"""
The journal behind a real PgBouncer, which gives each transaction another session.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from pgbouncer import NoPgbouncer, running_pgbouncer
from postgresql import PostgresqlServer
from sqlalchemy import make_url

from fhir_gateway.stores.database import Database, DatabaseUnavailable
from fhir_gateway.stores.database_fault import DatabaseFault
from fhir_gateway.stores.journal import BookingState, Journal
from fhir_gateway.stores.migrations import migrate
from fhir_gateway.stores.sealing import Seal

from .conftest import booked, rows

pytestmark = pytest.mark.xdist_group("pgbouncer")


@pytest.fixture(name="database_url")
def _database_url(postgresql_server: PostgresqlServer) -> Iterator[str]:
    url = postgresql_server.new_url()
    yield url
    postgresql_server.drop(url)


def pooled(url: str, way: str) -> str:
    """Return the URL of a database by way of PgBouncer."""
    return f"postgresql://postgres@/{make_url(url).database}{way}"


@pytest.fixture(name="pooled_url")
def _pooled_url(
    postgresql_server: PostgresqlServer, database_url: str
) -> Iterator[str]:
    try:
        with running_pgbouncer(postgresql_server, mode="transaction") as way:
            yield pooled(database_url, way)
    except NoPgbouncer as error:
        pytest.skip(str(error))


def test_many_book_at_once_behind_a_transaction_pooler(pooled_url: str) -> None:
    """Fifty bookings on eight threads over three sessions are all made."""
    database = Database(pooled_url)
    migrate(database.engine)
    journal = Journal(database, Seal((Seal.new_key(),)))

    with ThreadPoolExecutor(8) as pool:
        records = list(
            pool.map(
                lambda which: booked(journal, which, which, booking_id=f"B{which}"),
                range(50),
            )
        )

    assert {record.state for record in records} == {BookingState.BOOKED}
    assert len(rows(database)["booking"]) == 50
    database.close()


def test_no_transaction_relies_on_settings_of_its_session(pooled_url: str) -> None:
    """Every transaction is durable, also in a session where another turned that off."""
    others = Database(pooled_url)
    ours = Database(pooled_url)
    found = set()
    for _ in range(6):
        with others.engine.connect() as connection:
            connection.exec_driver_sql("SET synchronous_commit = off")
            connection.exec_driver_sql("SET statement_timeout = 0")
            connection.commit()
        with ours.writing() as connection:
            found.add(
                tuple(
                    connection.exec_driver_sql(
                        "SELECT current_setting('synchronous_commit'),"
                        " current_setting('statement_timeout')"
                    ).one()
                )
            )
    others.close()
    ours.close()

    assert found == {("on", "10s")}


def test_a_statement_pooler_is_refused(
    postgresql_server: PostgresqlServer, database_url: str
) -> None:
    """Where single statements are pooled the start fails and says what to set."""
    try:
        with running_pgbouncer(postgresql_server, mode="statement") as way:
            database = Database(pooled(database_url, way))
            with pytest.raises(DatabaseUnavailable) as caught:
                migrate(database.engine)
            database.close()
    except NoPgbouncer as error:
        pytest.skip(str(error))

    assert caught.value.fault is DatabaseFault.STATEMENT_POOLING
