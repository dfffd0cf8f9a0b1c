"""
A slice of the chaos test: many clients, mixed faults, kills, on both databases.
"""

import os
import random
from collections.abc import Iterator

import pytest
from postgresql import NoPostgresql, running_postgresql

from faults.chaos import Plan, run_chaos

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("faults")]


@pytest.fixture(name="seed")
def _seed() -> int:
    """Give what chance begins from: SEED, or another one each time."""
    return int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))


@pytest.fixture(name="database_url", params=["sqlite", "postgresql"])
def _database_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    if request.param == "sqlite":
        yield None
        return
    try:
        with running_postgresql() as server:
            yield server.new_url()
    except NoPostgresql as error:
        pytest.skip(str(error))


def test_64_clients_under_every_fault_with_kills(
    seed: int, database_url: str | None
) -> None:
    """Nothing that was said is untrue after any deaths and losses."""
    result = run_chaos(
        Plan(bookings=96, kills=8, gateways=2, seed=seed, database_url=database_url)
    )
    print(f"SEED={seed}", result.counts)  # noqa: T201 - shown when it fails

    assert result.violations == []
