"""
The slot store, against a real Redis and what can befall one.
"""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any

import pytest
import redis
from builders import NORR, NOW, OTHER_UNIT, SYD, TOLVAN, UNIT, VISIT, block, catalogue
from costs import least_seconds
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.stores.embedded_redis import EmbeddedRedis
from fhir_gateway.stores.slot_block import BlockKey, pack
from fhir_gateway.stores.slot_store import (
    Changes,
    RedisSlotStore,
    SourceStatus,
    StoreUnavailable,
)
from fhir_gateway.stores.source_status import FailingQuestion

NO_TIME = timedelta()
KEY = BlockKey(source=NORR, unit=UNIT, time_type_id=VISIT)
OTHER_KEY = BlockKey(source=NORR, unit=OTHER_UNIT, time_type_id=VISIT)
STATUS = SourceStatus(
    source=NORR, last_answer_at=NOW, failing_since=None, last_error=None
)


@contextmanager
def running_redis() -> Iterator[EmbeddedRedis]:
    """Give a Redis of its own."""
    folder = Path(tempfile.mkdtemp(prefix="redis-"))
    try:
        with EmbeddedRedis(folder) as embedded:
            yield embedded
    finally:
        shutil.rmtree(folder)


@pytest.fixture(name="own_redis_url", scope="module")
def _own_redis_url() -> Iterator[str]:
    with running_redis() as embedded:
        yield embedded.url


@pytest.fixture(name="client")
def _client(own_redis_url: str) -> Iterator[Any]:
    """Give the Redis itself, empty."""
    with redis.Redis.from_url(own_redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture(name="store")
def _store(own_redis_url: str, client: Any) -> Iterator[RedisSlotStore]:  # noqa: ARG001 - it empties Redis
    store = RedisSlotStore(own_redis_url)
    yield store
    store.close()


def test_a_block_is_kept(store: RedisSlotStore) -> None:
    """What was put under a key is found under it."""
    store.put_block(block())

    (found,) = store.blocks([KEY])
    assert found is not None
    assert pack(found) == pack(block())


def test_blocks_come_in_the_order_asked_for(store: RedisSlotStore) -> None:
    """An absent block is None, in its place."""
    store.put_block(block())

    found = store.blocks([OTHER_KEY, KEY, OTHER_KEY])

    assert [each.key if each else None for each in found] == [None, KEY, None]


def test_no_key_is_no_block(store: RedisSlotStore) -> None:
    """Asking for nothing gives nothing."""
    assert store.blocks([]) == []


def test_many_blocks_come_in_batches(store: RedisSlotStore) -> None:
    """More keys than one command takes are found all the same."""
    keys = [
        BlockKey(source=NORR, unit=UNIT, time_type_id=TimeTypeId(str(number)))
        for number in range(1_001)
    ]
    for key in (keys[0], keys[500], keys[1_000]):
        store.put_block(block([], key=key))

    found = store.blocks(keys)

    assert [number for number, each in enumerate(found) if each] == [0, 500, 1_000]


def test_a_block_is_replaced_whole(store: RedisSlotStore) -> None:
    """The block that was put last is the one there is."""
    store.put_block(block())
    store.put_block(block([], key=KEY))

    (found,) = store.blocks([KEY])
    assert found is not None
    assert len(found.rows) == 0


def test_the_keys_of_all_blocks_are_listed(store: RedisSlotStore) -> None:
    """Every block's key is found, and nothing else's."""
    store.put_block(block())
    store.put_block(block([], key=OTHER_KEY))
    store.put_catalogue(catalogue())
    store.put_status(STATUS)

    assert set(store.block_keys()) == {KEY, OTHER_KEY}


@pytest.mark.parametrize(
    "time_type",
    [
        pytest.param("a:b::c", id="colons"),
        pytest.param("åäö 漢字", id="letters of the world"),
        pytest.param("*?[a-z]\\", id="a pattern"),
        pytest.param("a\nb\x00", id="control characters"),
        pytest.param("", id="nothing"),
        pytest.param("slots:", id="our own prefix"),
    ],
)
def test_any_time_type_can_be_a_key(store: RedisSlotStore, time_type: str) -> None:
    """A unit's own code has any characters it likes."""
    key = BlockKey(source=NORR, unit=UNIT, time_type_id=TimeTypeId(time_type))
    cursor = store.cursor()

    store.put_block(block([], key=key))

    assert store.block_keys() == [key]
    assert [each.key for each in store.blocks([key]) if each] == [key]
    assert store.changes(cursor, wait=NO_TIME).blocks == {key}


@given(st.text(st.characters(codec="utf-8"), max_size=30))
@settings(
    max_examples=examples(50),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_two_time_types_never_share_a_key(store: RedisSlotStore, code: str) -> None:
    """Each code has a block of its own."""
    keys = [
        BlockKey(source=NORR, unit=UNIT, time_type_id=TimeTypeId(each))
        for each in (code, f"{code}x")
    ]
    for key in keys:
        store.put_block(block([], key=key))

    assert [each.key for each in store.blocks(keys) if each] == keys


def test_an_unreadable_block_counts_as_absent(
    store: RedisSlotStore, client: Any
) -> None:
    """What another version has written is refilled in time."""
    client.set(f"slots:{NORR}:{UNIT}:{VISIT}", pack(block())[:-1])

    assert store.blocks([KEY]) == [None]


def test_a_key_of_another_type_counts_as_absent(
    store: RedisSlotStore, client: Any
) -> None:
    """A list where a block should be is no block, and is replaced by one."""
    client.rpush(f"slots:{NORR}:{UNIT}:{VISIT}", "a")

    assert store.blocks([KEY]) == [None]
    store.put_block(block())
    assert store.blocks([KEY]) != [None]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("slots:norr", id="too short"),
        pytest.param("slots:Norr:SE1-A:TT", id="no source"),
        pytest.param("slots:norr:HSA_1:TT", id="no unit"),
        pytest.param(b"slots:norr:\xff:TT", id="no text"),
    ],
)
def test_a_foreign_key_is_no_block(
    store: RedisSlotStore, client: Any, name: str | bytes
) -> None:
    """A key that this program cannot have written is passed over."""
    client.set(name, b"x")

    assert store.block_keys() == []


def test_an_offer_is_kept(store: RedisSlotStore) -> None:
    """A source's catalogue is found under its name alone."""
    store.put_catalogue(catalogue())

    assert store.catalogue(NORR) == catalogue()
    assert store.catalogue(SYD) is None


def test_an_unreadable_offer_counts_as_absent(
    store: RedisSlotStore, client: Any
) -> None:
    """What another version has written is stored anew."""
    client.set("offer:norr", b"{}")

    assert store.catalogue(NORR) is None


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(STATUS, id="all is well"),
        pytest.param(
            SourceStatus(
                source=NORR,
                last_answer_at=None,
                failing_since=NOW,
                last_error="The source did not answer in time.",
            ),
            id="never answered",
        ),
        pytest.param(
            SourceStatus(
                source=NORR,
                last_answer_at=NOW,
                failing_since=NOW,
                last_error="The source did not answer in time.",
                reported_at=NOW,
                worker="host-1",
                failing=(
                    FailingQuestion(
                        unit=UNIT, time_type_id=None, since=NOW, error="No time types."
                    ),
                    FailingQuestion(
                        unit=UNIT, time_type_id=VISIT, since=NOW, error="No times."
                    ),
                ),
                broken=("GetAvailableTimeslots",),
                calls_last_minute=59,
                questions=3,
                unanswered=1,
                oldest_answer_at=NOW,
                slots=12,
                rejected={"past": 2},
            ),
            id="everything",
        ),
    ],
)
def test_a_status_is_kept(store: RedisSlotStore, status: SourceStatus) -> None:
    """A source's status is found under its name."""
    store.put_status(status)

    assert store.status(NORR) == status
    assert store.status(SYD) is None


@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param(b"x", id="no JSON"),
        pytest.param(b"[1, 2]", id="a list"),
        pytest.param(b"{}", id="too little"),
        pytest.param(b'{"last_answer_at": "now"}', id="a text for an instant"),
        pytest.param(b'{"last_answer_at": 1e300}', id="beyond all time"),
        pytest.param(b"null", id="nothing"),
    ],
)
def test_an_unreadable_status_counts_as_absent(
    store: RedisSlotStore, client: Any, foreign: bytes
) -> None:
    """What another version has written is no status, and nothing worse."""
    client.set("status:norr", foreign)

    assert store.status(NORR) is None


# The stream


def test_changes_say_what_was_replaced(store: RedisSlotStore) -> None:
    """Changes of blocks, catalogues and statuses are reported, each once."""
    cursor = store.cursor()
    for _ in range(2):
        store.put_block(block())
        store.put_catalogue(catalogue())
        store.put_status(STATUS)

    changes = store.changes(cursor, wait=NO_TIME)

    assert changes == Changes(
        cursor=store.cursor(),
        blocks=frozenset({KEY}),
        catalogues=frozenset({NORR}),
        statuses=frozenset({NORR}),
    )


def test_changes_go_on_from_the_cursor(store: RedisSlotStore) -> None:
    """What was reported once is not reported again."""
    store.put_block(block())
    cursor = store.cursor()
    store.put_block(block([], key=OTHER_KEY))

    first = store.changes(cursor, wait=NO_TIME)
    second = store.changes(first.cursor, wait=NO_TIME)

    assert first.blocks == {OTHER_KEY}
    assert second == Changes(cursor=first.cursor)


def test_an_empty_store_has_a_cursor(store: RedisSlotStore) -> None:
    """A reader that came before the first change gets it."""
    cursor = store.cursor()
    store.put_block(block())

    assert store.changes(cursor, wait=NO_TIME) == Changes(
        cursor=store.cursor(), blocks=frozenset({KEY})
    )


def test_nothing_new_is_no_change(store: RedisSlotStore) -> None:
    """Where nothing has happened the cursor stays."""
    store.put_block(block())
    cursor = store.cursor()

    assert store.changes(cursor, wait=NO_TIME) == Changes(cursor=cursor)


def test_a_change_ends_the_wait(store: RedisSlotStore, own_redis_url: str) -> None:
    """A reader that waits hears of a change at once."""
    cursor = store.cursor()
    heard: list[Changes] = []
    reader = Thread(
        target=lambda: heard.append(store.changes(cursor, wait=timedelta(seconds=1)))
    )
    began = monotonic()
    reader.start()
    writer = RedisSlotStore(own_redis_url)
    writer.put_block(block())
    writer.close()
    reader.join()

    assert monotonic() - began < 0.8
    assert [each.blocks for each in heard] == [{KEY}]


def test_everything_was_missed_after_redis_was_emptied(
    store: RedisSlotStore, client: Any
) -> None:
    """After FLUSHALL a reader must read everything."""
    store.put_block(block())
    cursor = store.cursor()
    client.flushall()

    changes = store.changes(cursor, wait=NO_TIME)

    assert changes == Changes(cursor="0-0", missed=True)
    assert store.changes(changes.cursor, wait=NO_TIME) == Changes(cursor="0-0")


def test_what_came_after_redis_was_emptied_was_missed_too(
    store: RedisSlotStore, client: Any
) -> None:
    """After FLUSHALL and a change the reader cannot know what else is gone."""
    # An id of its own: two in the same millisecond would be the same.
    client.xadd("changes", {"name": b""}, id="1000-0")
    cursor = store.cursor()
    client.flushall()
    store.put_catalogue(catalogue())

    assert store.changes(cursor, wait=NO_TIME) == Changes(
        cursor=store.cursor(), catalogues=frozenset({NORR}), missed=True
    )


def test_changes_were_missed_after_trimming(store: RedisSlotStore, client: Any) -> None:
    """A reader that was away for too long for the stream is informed."""
    store.put_block(block())
    cursor = store.cursor()
    for _ in range(5):
        store.put_block(block())
    client.xtrim("changes", maxlen=2, approximate=False)

    assert store.changes(cursor, wait=NO_TIME).missed


def test_trimming_behind_a_reader_is_no_loss(
    store: RedisSlotStore, client: Any
) -> None:
    """A reader that has heard all but the last changes misses nothing."""
    for _ in range(5):
        store.put_block(block())
    cursor = store.cursor()
    store.put_block(block())
    client.xtrim("changes", maxlen=2, approximate=False)

    assert not store.changes(cursor, wait=NO_TIME).missed


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(b"offer:Not A Source", id="no source"),
        pytest.param(b"status:\xff", id="no text"),
        pytest.param(b"slots:norr", id="no block"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_a_foreign_entry_is_passed_over(
    store: RedisSlotStore, client: Any, name: bytes
) -> None:
    """An entry that this program cannot have written changes nothing."""
    cursor = store.cursor()
    client.xadd("changes", {"name": name})

    assert store.changes(cursor, wait=NO_TIME) == Changes(cursor=store.cursor())


def test_a_block_does_not_stay_for_ever(store: RedisSlotStore, client: Any) -> None:
    """A block that nobody refreshes is gone within a day."""
    store.put_block(block())

    assert 0 < client.ttl(f"slots:{NORR}:{UNIT}:{VISIT}") <= 86_400


def test_nothing_personal_is_in_a_key_or_a_value(
    store: RedisSlotStore, client: Any
) -> None:
    """The refresh's own number is nowhere in Redis, nor is any other."""
    store.put_block(block())
    store.put_catalogue(catalogue())
    store.put_status(STATUS)

    names = client.keys("*")
    reported = repr(client.xrange("changes")).encode()
    kept = b"\n".join([*names, *filter(None, client.mget(names)), reported])
    assert set(names) == {
        b"changes",
        b"offer:norr",
        b"status:norr",
        f"slots:norr:{UNIT}:{VISIT}".encode(),
    }
    assert TOLVAN.reveal().encode() not in kept


# A Redis that is not well

EVERY_METHOD = pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda store: store.put_block(block()), id="put_block"),
        pytest.param(lambda store: store.blocks([KEY]), id="blocks"),
        pytest.param(lambda store: store.block_keys(), id="block_keys"),
        pytest.param(
            lambda store: store.put_catalogue(catalogue()), id="put_catalogue"
        ),
        pytest.param(lambda store: store.catalogue(NORR), id="catalogue"),
        pytest.param(lambda store: store.put_status(STATUS), id="put_status"),
        pytest.param(lambda store: store.status(NORR), id="status"),
        pytest.param(lambda store: store.cursor(), id="cursor"),
        pytest.param(lambda store: store.changes("0-0", wait=NO_TIME), id="changes"),
    ],
)


@pytest.fixture(name="stopped", scope="module")
def _stopped() -> Iterator[RedisSlotStore]:
    """Give a store of which the Redis was there and is gone."""
    with running_redis() as embedded:
        store = RedisSlotStore(embedded.url)
        store.put_block(block())
    yield store
    store.close()


def unavailable(store: RedisSlotStore, ask: Any) -> str:
    """Return why the store is unavailable."""
    with pytest.raises(StoreUnavailable) as raised:
        ask(store)
    return str(raised.value)


@EVERY_METHOD
def test_a_redis_that_is_gone_is_unavailable_at_once(
    stopped: RedisSlotStore, ask: Any
) -> None:
    """Without a server every method says so within a second."""
    failure: list[str] = []

    assert (
        least_seconds(lambda: failure.append(unavailable(stopped, ask)), enough=1) < 1
    )
    assert set(failure) == {"Redis: ConnectionError"}


@pytest.fixture(name="hanging", scope="module")
def _hanging() -> Iterator[RedisSlotStore]:
    """Give a store with a Redis that accepts and no longer answers."""
    with running_redis() as embedded:
        with redis.Redis.from_url(embedded.url) as client:
            process = int(client.info("server")["process_id"])
        store = RedisSlotStore(embedded.url)
        store.put_block(block())
        os.kill(process, signal.SIGSTOP)
        yield store
        os.kill(process, signal.SIGCONT)
        store.close()


@EVERY_METHOD
def test_a_redis_that_hangs_is_unavailable_soon(
    hanging: RedisSlotStore, ask: Any
) -> None:
    """A server that does not answer holds nobody for more than its wait."""
    failure: list[str] = []
    waits_s = 1.5

    took = least_seconds(
        lambda: failure.append(unavailable(hanging, ask)), enough=waits_s
    )

    assert took < waits_s
    assert set(failure) == {"Redis: TimeoutError"}


@pytest.fixture(name="full")
def _full(client: Any, store: RedisSlotStore) -> Iterator[RedisSlotStore]:
    """Give a store with a Redis that has no memory left."""
    store.put_block(block())
    client.config_set("maxmemory", "1")
    yield store
    client.config_set("maxmemory", "0")


@pytest.fixture(name="replica")
def _replica(client: Any, store: RedisSlotStore) -> Iterator[RedisSlotStore]:
    """Give a store with a Redis that is a replica, which takes no writes."""
    store.put_block(block())
    client.replicaof("127.0.0.1", "1")
    yield store
    client.replicaof("NO", "ONE")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        pytest.param("full", "Redis: OutOfMemoryError", id="full"),
        pytest.param("replica", "Redis: ReadOnlyError", id="a replica"),
    ],
)
def test_a_redis_that_takes_no_writes_says_so(
    request: pytest.FixtureRequest, state: str, reason: str
) -> None:
    """A write that is refused is unavailable; what is there can still be read."""
    store: RedisSlotStore = request.getfixturevalue(state)

    with pytest.raises(StoreUnavailable) as raised:
        store.put_block(block([], key=OTHER_KEY))

    assert str(raised.value) == reason
    assert [each.key for each in store.blocks([KEY]) if each] == [KEY]


def test_a_store_finds_its_redis_again(tmp_path: Path) -> None:
    """After a restart of Redis the same store works, and everything was missed."""
    with EmbeddedRedis(tmp_path) as embedded:
        store = RedisSlotStore(embedded.url)
        store.put_block(block())
        cursor = store.cursor()
    with EmbeddedRedis(tmp_path):
        assert store.blocks([KEY]) == [None]
        assert store.changes(cursor, wait=NO_TIME).missed
    store.close()


def test_ids_come_back_as_their_types(store: RedisSlotStore) -> None:
    """A key that was read names its source and unit by type."""
    store.put_block(block())

    (key,) = store.block_keys()
    assert (type(key.source), type(key.unit), type(key.time_type_id)) == (
        SourceName,
        HsaId,
        TimeTypeId,
    )
