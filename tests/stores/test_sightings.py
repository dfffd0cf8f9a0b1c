"""
What web processes have seen of sources, in a real Redis.
"""

import shutil
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from builders import NORR, NOW, SYD
from doubles import MovableClock

from fhir_gateway.model import scheduling
from fhir_gateway.stores.embedded_redis import EmbeddedRedis
from fhir_gateway.stores.redis_client import RedisClient
from fhir_gateway.stores.sightings import LiveSighting, RedisSightings, ResidentLoss

LIST = scheduling.GET_SUBJECT_OF_CARE_SCHEDULE
DETAILS = scheduling.GET_BOOKING_DETAILS
SIGHTING = LiveSighting(
    seen_at=NOW,
    asked=3,
    unanswered=3,
    failing_since=NOW - timedelta(minutes=2),
    last_error="The source did not answer in time.",
)


@pytest.fixture(name="redis_folder", scope="module")
def _redis_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="redis-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(name="own_redis_url", scope="module")
def _own_redis_url(redis_folder: Path) -> Iterator[str]:
    with EmbeddedRedis(redis_folder) as embedded:
        yield embedded.url


@pytest.fixture(name="clock")
def _clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(name="sightings")
def _sightings(own_redis_url: str, clock: MovableClock) -> Iterator[RedisSightings]:
    client = RedisClient(own_redis_url)
    with client.asking() as redis:
        redis.flushall()
    yield RedisSightings(client, clock=clock)
    client.close()


def test_losses_are_counted_by_contract_and_reason(sightings: RedisSightings) -> None:
    """Those of other sources stand apart."""
    sightings.add_losses(NORR, LIST, {"timeslotDetail/x: is missing": 2, "y | z": 1})
    sightings.add_losses(NORR, LIST, {"timeslotDetail/x: is missing": 3})
    sightings.add_losses(NORR, DETAILS, {"y | z": 1})
    sightings.add_losses(SYD, LIST, {"y": 9})

    assert sightings.losses(NORR) == (
        ResidentLoss(interaction=LIST, reason="timeslotDetail/x: is missing", count=5),
        ResidentLoss(interaction=DETAILS, reason="y | z", count=1),
        ResidentLoss(interaction=LIST, reason="y | z", count=1),
    )


def test_losses_are_shown_until_the_end_of_the_next_day(
    sightings: RedisSightings, clock: MovableClock
) -> None:
    """What a region has mended disappears by itself."""
    sightings.add_losses(NORR, LIST, {"x": 1})
    clock.forward(days=1)
    sightings.add_losses(NORR, LIST, {"x": 1})

    counts = []
    for _ in range(3):
        counts.append([each.count for each in sightings.losses(NORR)])
        clock.forward(days=1)

    assert counts == [[2], [1], []]


def test_reasons_that_a_region_invents_are_not_all_kept(
    sightings: RedisSightings,
) -> None:
    """However many there are, Redis holds some hundreds at most."""
    for number in range(150):
        sightings.add_losses(NORR, LIST, {f"x{number}: is no element": 1})

    found = sightings.losses(NORR)

    assert (len(found), sum(each.count for each in found)) == (101, 150)
    assert found[0].reason == "other reasons"


def test_the_last_live_sighting_stands(sightings: RedisSightings) -> None:
    """A source that nobody has asked has none."""
    sightings.put_live(SYD, SIGHTING)

    assert (sightings.live(SYD), sightings.live(NORR)) == (SIGHTING, None)
