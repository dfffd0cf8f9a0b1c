"""
Rates: windows, shares, and a Redis that comes and goes.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from doubles import MovableClock

from fhir_gateway.access.request_rate import REPORTS, RequestRate, SharedCounts
from fhir_gateway.model.errors import LimitReached
from fhir_gateway.stores.redis_client import StoreUnavailable
from fhir_gateway.stores.request_counts import RedisRequestCounts

from .conftest import StoppableRedis

MINUTE = timedelta(minutes=1)
# The beginning of a minute.
NOON = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
LIMIT = 20
CLIENT = "6d3c0e"

Process = Callable[..., RequestRate]


@pytest.fixture(name="clock")
def _clock() -> MovableClock:
    return MovableClock(NOON)


@pytest.fixture(name="process")
def _process(counts: RedisRequestCounts, clock: MovableClock) -> Iterator[Process]:
    """Give what makes one more process's rate, over the same Redis."""
    made: list[SharedCounts] = []

    def process(
        *, processes: int = 1, limit: int = LIMIT, is_exact: bool = True
    ) -> RequestRate:
        shared = SharedCounts(counts, processes=processes, pause=timedelta(0))
        made.append(shared)
        return RequestRate(
            "rate",
            limit,
            period=MINUTE,
            shared=shared,
            text="The requests of this client in a minute are more than",
            is_exact=is_exact,
            clock=clock,
        )

    yield process
    for each in made:
        each.close()


def admitted(rate: RequestRate, times: int, client: str = CLIENT) -> int:
    """Count so many requests, and return how many were not refused."""
    count = 0
    for _ in range(times):
        try:
            rate.count(client)
        except LimitReached:
            continue
        count += 1
    return count


@pytest.mark.parametrize("is_exact", [True, False])
def test_a_limit_is_reached_exactly(process: Process, *, is_exact: bool) -> None:
    """One process lets a client do as much as the limit, and nothing more."""
    rate = process(is_exact=is_exact)

    assert admitted(rate, LIMIT + 5) == LIMIT


def test_a_limit_says_what_and_how_many(process: Process, clock: MovableClock) -> None:
    """The message has the limit, and the end of the window is when to come back."""
    rate = process(limit=1)
    rate.count(CLIENT)
    clock.forward(seconds=42.5)

    with pytest.raises(LimitReached) as caught:
        rate.count(CLIENT)
    assert str(caught.value) == (
        "The requests of this client in a minute are more than 1: wait as long as"
        " Retry-After says."
    )
    assert caught.value.retry_after == timedelta(seconds=17.5)


@pytest.mark.parametrize("is_exact", [True, False])
def test_a_window_ends(
    process: Process, clock: MovableClock, *, is_exact: bool
) -> None:
    """A refused client is refused to the window's end, and has all from then on."""
    rate = process(is_exact=is_exact)
    admitted(rate, LIMIT)
    clock.forward(seconds=59.999)
    assert admitted(rate, 1) == 0
    clock.forward(seconds=0.001)

    assert admitted(rate, LIMIT + 1) == LIMIT


def test_refused_requests_do_not_make_a_window_longer(
    process: Process, clock: MovableClock
) -> None:
    """A client that goes on asking is not refused for longer."""
    rate = process()
    admitted(rate, 10 * LIMIT)
    clock.forward(minutes=1)

    assert admitted(rate, 1) == 1


def test_a_clock_that_is_set_back_refuses_nobody_for_long(
    process: Process, clock: MovableClock
) -> None:
    """After the clock was set back a day, a client has at most one more window."""
    rate = process()
    admitted(rate, LIMIT + 1)
    clock.forward(days=-1)

    assert admitted(rate, LIMIT + 1) == LIMIT
    with pytest.raises(LimitReached) as caught:
        rate.count(CLIENT)
    assert caught.value.retry_after <= MINUTE


def test_a_clock_that_returns_finds_its_count(
    process: Process, clock: MovableClock
) -> None:
    """A window that comes again, after the clock was set back, is still used up."""
    rate = process()
    admitted(rate, LIMIT)
    clock.forward(minutes=1)
    rate.count(CLIENT)
    clock.forward(minutes=-1)

    assert admitted(rate, 1) == 0


def test_clients_do_not_share(process: Process) -> None:
    """What one client uses up is not the other's."""
    rate = process()
    admitted(rate, LIMIT + 1)

    assert admitted(rate, LIMIT, "another") == LIMIT


def test_a_check_counts_nothing(process: Process) -> None:
    """A check passes while one request is left, however often it is made."""
    rate = process()
    for _ in range(3 * LIMIT):
        rate.check(CLIENT)
    admitted(rate, LIMIT - 1)
    rate.check(CLIENT)
    rate.count(CLIENT)

    with pytest.raises(LimitReached):
        rate.check(CLIENT)


def test_a_request_can_count_as_several(process: Process) -> None:
    """A request that counts as more than is left is refused."""
    rate = process()
    rate.count(CLIENT, LIMIT - 1)

    with pytest.raises(LimitReached):
        rate.count(CLIENT, 2)


def test_threads_get_the_limit_exactly(process: Process) -> None:
    """Of 200 requests by 50 threads exactly as many as the limit pass."""
    rate = process()
    start = Barrier(50)

    def ask(_: int) -> int:
        start.wait()
        return admitted(rate, 4)

    with ThreadPoolExecutor(50) as pool:
        assert sum(pool.map(ask, range(50))) == LIMIT


def test_processes_share_a_limit_exactly(process: Process) -> None:
    """Two processes together let a client do as much as the limit."""
    one, other = process(processes=2), process(processes=2)

    passed = sum(admitted(each, 1) for _ in range(LIMIT) for each in (one, other))

    assert passed == LIMIT


_ASK = """
import json, sys
from datetime import timedelta
from forked import in_processes
from fhir_gateway.access.request_rate import RequestRate, SharedCounts
from fhir_gateway.model.errors import LimitReached
from fhir_gateway.stores.redis_client import RedisClient
from fhir_gateway.stores.redis_client import StoreUnavailable
from fhir_gateway.stores.request_counts import RedisRequestCounts

url, processes, times, limit = sys.argv[1], *map(int, sys.argv[2:])

def ask(which):
    shared = SharedCounts(RedisRequestCounts(RedisClient(url)), processes=processes)
    # A window that does not end while the test runs.
    rate = RequestRate(
        "rate", limit, period=timedelta(days=10_000), shared=shared, text="Too many:"
    )
    passed = 0
    for _ in range(times):
        try:
            rate.count("client")
        except LimitReached:
            continue
        passed += 1
    shared.close()
    print(json.dumps(passed), flush=True)

in_processes(processes, ask)
"""


def test_real_processes_share_a_limit_exactly(redis: StoppableRedis) -> None:
    """Two processes that ask at once let a client do as much as the limit."""
    finished = subprocess.run(
        [sys.executable, "-c", _ASK, redis.url, "2", "100", "150"],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )

    assert sum(map(json.loads, finished.stdout.split())) == 150


def test_a_rate_that_waits_for_nobody_is_a_tenth_off_at_most(
    process: Process,
) -> None:
    """Two processes without exact counts let a client do a tenth more at most."""
    limit = 200
    rates = [process(processes=2, limit=limit, is_exact=False) for _ in range(2)]

    passed = 0
    for _ in range(limit):
        for rate in rates:
            passed += admitted(rate, 1)
            # The report arrives before the next request.
            rate._shared.soon.submit(int).result()

    assert limit <= passed <= limit + limit // REPORTS


def test_without_redis_each_process_has_its_share(
    process: Process, redis: StoppableRedis
) -> None:
    """While Redis is away, each of four processes lets a client do a quarter."""
    redis.stop()

    assert [admitted(process(processes=4), LIMIT) for _ in range(4)] == [LIMIT // 4] * 4


def test_without_redis_nothing_is_open(process: Process, redis: StoppableRedis) -> None:
    """A process's share is one request at least, and never more than the limit."""
    redis.stop()

    assert admitted(process(processes=100), LIMIT) == 1
    assert admitted(process(processes=1), 2 * LIMIT) == LIMIT


def test_what_was_used_before_redis_went_away_counts(
    process: Process, redis: StoppableRedis
) -> None:
    """A Redis that goes away in the middle of a window gives no new share."""
    rate = process(processes=2)
    admitted(rate, LIMIT // 2)
    redis.stop()

    assert admitted(rate, LIMIT) == 0


def test_what_others_used_before_redis_went_away_counts(
    process: Process, redis: StoppableRedis
) -> None:
    """What a process knows of the others counts while Redis is away."""
    one, other = process(processes=2), process(processes=2)
    admitted(other, LIMIT - 1)
    assert admitted(one, 1) == 1
    redis.stop()

    assert admitted(one, LIMIT) == 0


def test_a_redis_that_comes_back_empty_gives_no_new_limit(
    process: Process, redis: StoppableRedis
) -> None:
    """What a process counted itself counts on after Redis lost its counts."""
    rate = process()
    admitted(rate, LIMIT)
    redis.stop()
    redis.start()

    assert admitted(rate, LIMIT) == 0


def test_requests_without_redis_are_reported_when_it_is_back(
    process: Process, redis: StoppableRedis
) -> None:
    """What was counted while Redis was away is in its count afterwards."""
    one, other = process(processes=2), process(processes=2)
    redis.stop()
    assert admitted(one, LIMIT // 2) == LIMIT // 2
    redis.start()
    one.count(CLIENT)

    assert admitted(other, LIMIT) == LIMIT // 2 - 1


def test_a_pause_follows_a_redis_that_is_away(clock: MovableClock) -> None:
    """After a failure no request asks Redis for a second: none waits in vain."""
    asked: list[str] = []

    class Away:
        def add(self, name: str, amount: int, *, lasts: timedelta) -> int:  # noqa: ARG002 - it fails before it counts
            asked.append(name)
            raise StoreUnavailable("away")

    shared = SharedCounts(Away(), processes=1)
    rate = RequestRate(
        "rate", LIMIT, period=MINUTE, shared=shared, text="", clock=clock
    )

    assert admitted(rate, LIMIT + 1) == LIMIT
    assert len(asked) == 1
    shared.close()


def test_many_clients_take_bounded_memory(process: Process) -> None:
    """Beyond fifty thousand clients in a window the others share one count."""
    rate = process(limit=1000, is_exact=False)
    for which in range(50_000):
        rate.count(str(which))

    passed = sum(admitted(rate, 1, f"more {which}") for which in range(1500))

    assert passed == 1000
    assert admitted(rate, 1, "7") == 1
