"""
What a PostgreSQL says when it refuses a login, in our words and without its own.
"""

from collections.abc import Iterator

import pytest
from postgresql import NoPostgresql, PostgresqlServer, running_postgresql

from fhir_gateway.stores.database import Database, DatabaseUnavailable
from fhir_gateway.stores.database_fault import DatabaseFault

_RULES = """
local all   postgres            trust
local all   gateway             scram-sha-256
local all   nobody              reject
hostssl all all      0.0.0.0/0  trust
"""


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[PostgresqlServer]:
    try:
        with running_postgresql() as server:
            server.run("CREATE ROLE gateway LOGIN PASSWORD 'riktigt'")
            server.run("CREATE ROLE full LOGIN CONNECTION LIMIT 0")
            server.run("CREATE DATABASE journal")
            rules = server.socket / "data" / "pg_hba.conf"
            rules.write_text(_RULES + "local all full trust\n", encoding="utf-8")
            server.run("SELECT pg_reload_conf()")
            yield server
    except NoPostgresql as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("user", "query", "fault"),
    [
        pytest.param(
            "gateway:hemligt", "", DatabaseFault.REFUSED_LOGIN, id="wrong password"
        ),
        pytest.param("gateway", "", DatabaseFault.REFUSED_LOGIN, id="no password"),
        pytest.param(
            "stranger:hemligt", "", DatabaseFault.REFUSED_LOGIN, id="unknown user"
        ),
        pytest.param(
            "nobody:hemligt", "", DatabaseFault.REFUSED_LOGIN, id="user shut out"
        ),
        pytest.param(
            "gateway:riktigt",
            "&dbname=hemligt",
            DatabaseFault.NO_SUCH_DATABASE,
            id="unknown database",
        ),
        pytest.param(
            "full", "", DatabaseFault.TOO_MANY_CONNECTIONS, id="no connection left"
        ),
        pytest.param(
            "gateway:riktigt",
            "&options=-c%20colour=hemligt",
            DatabaseFault.REFUSED_PARAMETER,
            id="a wrong parameter",
        ),
    ],
)
def test_a_refused_login_is_explained(
    server: PostgresqlServer, user: str, query: str, fault: DatabaseFault
) -> None:
    """Each refusal has its advice, and the exception holds nothing of the URL."""
    database = Database(f"postgresql://{user}@/journal?host={server.socket}{query}")

    with pytest.raises(DatabaseUnavailable) as caught, database.reading():
        pass
    database.close()

    assert caught.value.fault is fault
    assert "hemligt" not in str(caught.value)


def test_a_user_who_may_not_write_is_reported(
    server: PostgresqlServer,
) -> None:
    """A user without the right to make tables is reported as that."""
    database = Database(f"postgresql://gateway:riktigt@/journal?host={server.socket}")

    with pytest.raises(DatabaseUnavailable) as caught, database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE public.t (i INT)")
    database.close()

    assert caught.value.fault is DatabaseFault.NOT_PERMITTED
