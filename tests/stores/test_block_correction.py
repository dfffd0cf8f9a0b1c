"""
Corrections of blocks: what a source says of one time, against a real Redis.
"""

import shutil
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from builders import NORR, NOW, UNIT, VISIT, block, schedule, timeslot
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.model.timeslot import Timeslot, TimeslotToken
from fhir_gateway.stores.block_correction import Correction, corrected
from fhir_gateway.stores.embedded_redis import EmbeddedRedis
from fhir_gateway.stores.slot_block import BlockKey, SlotBlock
from fhir_gateway.stores.slot_store import RedisSlotStore

KEY = BlockKey(source=NORR, unit=UNIT, time_type_id=VISIT)
FIRST, SECOND, THIRD = (timeslot(hours) for hours in (3, 4, 5))
LATER = NOW + timedelta(seconds=10)
EARLIER = NOW - timedelta(seconds=10)


def correction(
    of: Timeslot, *, is_listed: bool = False, asked_at: datetime = LATER
) -> Correction:
    """Return what a source says of a time."""
    return Correction(
        token=TimeslotToken.parse(of.token), is_listed=is_listed, asked_at=asked_at
    )


def tokens(of: SlotBlock | None) -> list[str]:
    """Return the times of a block."""
    assert of is not None
    return [
        TimeslotToken(
            schedule=of.schedules[row["schedule"]].token,
            start=int(row["start"]),
            length=int(row["length"]),
        ).text
        for row in of.rows
    ]


def test_gone_time_is_dropped() -> None:
    """Only that time goes; the block is as old as it was."""
    before = block([FIRST, SECOND])

    after = corrected(before, [correction(FIRST)])

    assert tokens(after) == [SECOND.token]
    assert after is not None
    assert (after.asked_at, after.answered_at) == (before.asked_at, before.answered_at)


def test_time_that_is_free_again_is_added() -> None:
    """It stands in its place, once."""
    after = corrected(block([FIRST, THIRD]), [correction(SECOND, is_listed=True)])

    assert tokens(after) == [FIRST.token, SECOND.token, THIRD.token]
    assert after is not None
    assert list(after.rows["count"]) == [1, 1, 1]


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(correction(SECOND), id="gone already"),
        pytest.param(correction(FIRST, is_listed=True), id="listed already"),
        pytest.param(correction(FIRST, asked_at=EARLIER), id="older than the block"),
        pytest.param(
            correction(
                timeslot(4, of=schedule(performer="SE2321000016-P1")), is_listed=True
            ),
            id="of a schedule that is offered to nobody else",
        ),
    ],
)
def test_nothing_to_correct(of: Correction) -> None:
    """A block that is right, or younger, stays as it is."""
    assert corrected(block([FIRST]), [of]) is None


@given(
    st.booleans(),
    st.floats(min_value=0, max_value=4_000_000_000),
    st.integers(min_value=0, max_value=100_000),
)
def test_packed_correction_is_read(is_listed: bool, at: float, hours: int) -> None:  # noqa: FBT001 - drawn by hypothesis
    """What is packed is read as it was."""
    of = Correction(
        token=TimeslotToken.parse(timeslot(hours).token),
        is_listed=is_listed,
        asked_at=datetime.fromtimestamp(at, UTC),
    )

    assert Correction.unpack(of.token.text, of.pack()) == of


@pytest.fixture(name="own_redis_url", scope="module")
def _own_redis_url() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="redis-"))
    try:
        with EmbeddedRedis(folder) as embedded:
            yield embedded.url
    finally:
        shutil.rmtree(folder)


@pytest.fixture(name="client")
def _client(own_redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(own_redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture(name="store")
def _store(own_redis_url: str, client: Any) -> Iterator[RedisSlotStore]:  # noqa: ARG001 - it empties Redis
    store = RedisSlotStore(own_redis_url)
    yield store
    store.close()


def test_correction_is_told(store: RedisSlotStore) -> None:
    """Readers are told of a corrected block, and of nothing when none was."""
    store.put_block(block([FIRST, SECOND]))
    cursor = store.cursor()

    store.correct(KEY, correction(FIRST))

    changes = store.changes(cursor, wait=timedelta())
    assert changes.blocks == {KEY}
    assert tokens(store.blocks([KEY])[0]) == [SECOND.token]
    store.correct(KEY, correction(FIRST))
    assert store.cursor() == changes.cursor


def test_correction_without_a_block(store: RedisSlotStore) -> None:
    """There is nothing to correct yet, and nothing is made up."""
    store.correct(KEY, correction(FIRST, is_listed=True))

    assert store.blocks([KEY]) == [None]


def test_block_that_was_asked_for_before_is_corrected(store: RedisSlotStore) -> None:
    """A refresh that asked before a correction and answers after it changes nothing."""
    store.put_block(block([FIRST, SECOND]))
    store.correct(KEY, correction(FIRST))

    store.put_block(block([FIRST, SECOND, THIRD]))

    assert tokens(store.blocks([KEY])[0]) == [SECOND.token, THIRD.token]


def test_block_that_was_asked_for_after_is_right(
    store: RedisSlotStore, client: Any
) -> None:
    """What the source says later holds, and the correction is forgotten."""
    store.put_block(block([FIRST]))
    store.correct(KEY, correction(FIRST))

    store.put_block(block([FIRST], answered_at=LATER + timedelta(seconds=5)))

    assert tokens(store.blocks([KEY])[0]) == [FIRST.token]
    assert client.keys("corrections:*") == []


def test_unreadable_correction_is_no_correction(
    store: RedisSlotStore, client: Any
) -> None:
    """What another version of this program kept is passed over."""
    name = f"corrections:slots:{NORR}:{UNIT}:{VISIT}"
    client.hset(name, "no token", "yes")
    client.hset(name, FIRST.token, "no time")

    store.put_block(block([FIRST]))

    assert tokens(store.blocks([KEY])[0]) == [FIRST.token]


def test_corrections_and_refreshes_at_once(store: RedisSlotStore) -> None:
    """Whoever comes first, no block has a time that was found gone since."""
    times = [timeslot(hours) for hours in range(3, 43)]
    store.put_block(block(times))
    start = threading.Barrier(2)

    def refresh() -> None:
        start.wait()
        for _ in range(60):
            store.put_block(block(times))

    def correct() -> None:
        start.wait()
        for each in times[:30]:
            store.correct(KEY, correction(each))

    with ThreadPoolExecutor(2) as executor:
        for done in [executor.submit(refresh), executor.submit(correct)]:
            done.result()

    assert tokens(store.blocks([KEY])[0]) == [each.token for each in times[30:]]
