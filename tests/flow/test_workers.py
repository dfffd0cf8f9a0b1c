"""
Several real workers over one real Redis: they share the sources, and take over.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

import pytest
from redis import Redis

from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.ids import SourceName
from fhir_gateway.sandbox.server import SandboxServer
from fhir_gateway.sandbox_sources import write_sources
from fhir_gateway.stores.embedded_redis import EmbeddedRedis
from fhir_gateway.stores.source_status import SourceStatus, unpack_status

pytestmark = pytest.mark.flow

SLOTS: Final = 600
REGIONS: Final = frozenset({"norr", "mitt", "syd"})
TAKEN_OVER_WITHIN_S: Final = 30.0


@dataclass(frozen=True)
class Call:
    """One question of a worker to a region, in seconds of a clock that never stops."""

    worker: str
    region: str
    began: float
    ended: float


class Listener:
    """
    A wire between workers and regions that notes who asks what when.

    Workers know the regions as `<url>/<worker>/rivta/<region>`.
    """

    def __init__(self, regions: str) -> None:
        self.calls: list[Call] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            """Passes a question on, and its answer back."""

            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_POST(self) -> None:
                """Pass on a message."""
                _, worker, rest = self.path.split("/", 2)
                body = self.rfile.read(int(self.headers["Content-Length"]))
                passed = {
                    name: self.headers[name] for name in ("SOAPAction", "Content-Type")
                }
                began = time.monotonic()
                request = Request(f"{regions}/{rest}", data=body, headers=passed)
                with urlopen(request, timeout=10) as answer:
                    reported = answer.read()
                    kind = answer.headers["Content-Type"]
                region = rest.rpartition("/")[2]
                listener.calls.append(Call(worker, region, began, time.monotonic()))
                # A worker that was killed does not hear the answer.
                with suppress(OSError):
                    self.send_response(200)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(reported)))
                    self.end_headers()
                    self.wfile.write(reported)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def asked_by(self, worker: str, *, since: float = 0.0) -> list[Call]:
        """Return the calls of a worker that began since."""
        return [
            each
            for each in list(self.calls)
            if each.worker == worker and each.began >= since
        ]


@dataclass
class Place:
    """A Redis, regions that are listened to, and workers."""

    folder: Path
    redis: Any
    redis_url: str
    regions: str
    listener: Listener
    stack: ExitStack
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def spoil(self, region: str, **fault: Any) -> None:
        """Let a region's calls go wrong from now on."""
        request = Request(
            f"{self.regions}/faults/{region}", data=json.dumps(fault).encode()
        )
        urlopen(request, timeout=5).close()

    def status(self, region: str) -> SourceStatus | None:
        """Return what was last reported of a region."""
        packed = self.redis.get(f"status:{region}")
        return None if packed is None else unpack_status(SourceName(region), packed)

    def start(self, name: str) -> None:
        """Start a worker."""
        folder = self.folder / name
        sources = write_sources(
            folder, f"{self.listener.url}/{name}", SLOTS, Vocabulary()
        )
        # Due again at once, so that a worker never rests.
        sources.write_text(
            sources.read_text(encoding="utf-8").replace(
                "calls_in_flight = 4\n",
                "calls_in_flight = 4\nfresh_for_s = 3\nread_timeout_s = 2\n",
            ),
            encoding="utf-8",
        )
        self.workers[name] = self.stack.enter_context(
            running_worker(
                {
                    **os.environ,
                    "FHIR_GATEWAY_SOURCES": str(sources),
                    "FHIR_GATEWAY_DATA_DIR": str(folder),
                    "REDIS_URL": self.redis_url,
                },
                folder / "worker.log",
            )
        )

    def log(self, name: str) -> str:
        """Return what a worker has said."""
        return (self.folder / name / "worker.log").read_text(encoding="utf-8")

    def sources_of(self, name: str) -> set[str]:
        """Return the sources that a worker has the lease of."""
        process = f"-{self.workers[name].pid}-"
        held = {key: self.redis.get(key) for key in self.redis.keys("lease:*")}
        return {
            key.decode().partition(":")[2]
            for key, holder in held.items()
            if holder is not None and process in holder.decode()
        }

    def reported_by(self, name: str) -> set[str]:
        """Return the sources of which a worker stored the last status."""
        found = set()
        for region in REGIONS:
            status = self.status(region)
            if status is not None and str(status.worker).endswith(
                f"-{self.workers[name].pid}"
            ):
                found.add(region)
        return found

    def holds_nothing_personal(self) -> None:
        """Assert that Redis has our kinds of keys alone, and no number in any value."""
        sources = (self.folder / "first" / "sources.toml").read_text(encoding="utf-8")
        (subject, *_) = re.findall(r'refresh_subject = "([0-9]{12})"', sources)
        keys = self.redis.keys("*")
        reported = repr(
            (self.redis.xrange("changes"), self.redis.zrange("workers", 0, -1))
        )
        plain = [each for each in keys if each not in (b"changes", b"workers")]
        kept = b"".join(filter(None, self.redis.mget(plain))) + reported.encode()
        assert {key.partition(b":")[0].decode() for key in keys} == {
            *("slots", "offer", "status", "lease", "workers", "changes")
        }
        assert subject.encode() not in kept
        assert subject.encode() not in b"".join(keys)

    def changes_of_worker(self, *, since: float) -> set[int]:
        """Return how often each region came to be asked by another worker."""
        changes = set()
        for region in REGIONS:
            workers = [
                each.worker
                for each in sorted(self.listener.calls, key=lambda each: each.began)
                if each.region == region and each.began >= since
            ]
            pairs = pairwise(workers)
            changes.add(sum(first != second for first, second in pairs))
        return changes

    def never_two_at_once(self) -> None:
        """Assert that no region was ever asked by two workers at one moment."""
        for region in REGIONS:
            calls = sorted(
                (each for each in self.listener.calls if each.region == region),
                key=lambda each: each.began,
            )
            for first, second in pairwise(calls):
                assert first.worker == second.worker or second.began >= first.ended


@contextmanager
def running_worker(
    environment: dict[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a real worker while this lasts."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-m", "fhir_gateway", "worker"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            # It says where each of its threads is.
            process.send_signal(signal.SIGABRT)
            process.wait()
            raise AssertionError(log.read_text(encoding="utf-8")) from None


def await_that(holds: Callable[[], bool], within_s: float = 40.0) -> float:
    """Wait until something holds; return how long that took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < within_s, "it did not come to hold"
        time.sleep(0.1)
    return time.monotonic() - began


@pytest.fixture(name="place")
def _place() -> Iterator[Place]:
    # Not tmp_path_factory's: the socket of Redis needs a short path.
    folder = Path(tempfile.mkdtemp(prefix="workers-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        embedded = stack.enter_context(EmbeddedRedis(folder))
        server = stack.enter_context(SandboxServer(port=0, slots=SLOTS))
        redis = stack.enter_context(Redis.from_url(embedded.url))
        listener = Listener(server.url)
        stack.callback(listener.stop)
        yield Place(folder, redis, embedded.url, server.url, listener, stack)


def test_a_killed_workers_sources_move_to_another(place: Place) -> None:
    """Two workers share the sources; after kill -9 the other has all within 30 s."""
    place.start("first")
    place.start("second")
    await_that(
        lambda: (
            place.sources_of("first") | place.sources_of("second") == REGIONS
            and len(place.sources_of("first")) in (1, 2)
        )
    )
    await_that(
        lambda: (
            place.reported_by("first") == place.sources_of("first")
            and place.reported_by("second") == place.sources_of("second")
        )
    )

    os.kill(place.workers["first"].pid, signal.SIGKILL)
    took = await_that(
        lambda: place.reported_by("second") == place.sources_of("second") == REGIONS
    )

    assert took < TAKEN_OVER_WITHIN_S
    place.never_two_at_once()


def test_a_worker_that_wakes_up_asks_nothing_more(place: Place) -> None:
    """Stopped past its leases it goes on without a call until it has one again."""
    place.start("first")
    await_that(lambda: place.reported_by("first") == REGIONS)
    place.start("second")
    await_that(lambda: len(place.sources_of("second")) == 1)
    lost = place.sources_of("first")

    os.kill(place.workers["first"].pid, signal.SIGSTOP)
    await_that(lambda: place.sources_of("second") == REGIONS)
    woken_at = time.monotonic()
    os.kill(place.workers["first"].pid, signal.SIGCONT)
    await_that(lambda: "lease lost" in place.log("first"))
    # It takes its share again, and asks only then.
    await_that(lambda: place.sources_of("first") != set())
    shared = place.sources_of("first")
    await_that(lambda: place.reported_by("first") == shared)

    assert len(lost) == 2
    assert place.changes_of_worker(since=woken_at) <= {0, 1}
    place.never_two_at_once()


def test_a_worker_that_stops_hands_over_at_once(place: Place) -> None:
    """SIGTERM gives the leases back: nobody waits for them to run out."""
    place.start("first")
    await_that(lambda: place.reported_by("first") == REGIONS)
    await_that(lambda: len(place.redis.keys("slots:*")) > 0)
    place.holds_nothing_personal()
    os.kill(place.workers["first"].pid, signal.SIGTERM)
    place.workers["first"].wait(20)

    assert place.redis.keys("lease:*") == []
    assert place.redis.zcard("workers") == 0
    assert place.workers["first"].returncode == 0


def test_a_hanging_region_delays_no_other(place: Place) -> None:
    """While one region answers nothing, the others are asked for everything at once."""
    place.spoil("norr", fault="hang", seconds=30)
    place.start("first")

    def is_whole(region: str) -> bool:
        status = place.status(region)
        return status is not None and status.questions > 0 == status.unanswered

    await_that(lambda: is_whole("mitt") and is_whole("syd"))
    await_that(
        lambda: (
            (status := place.status("norr")) is not None
            and status.failing_since is not None
        )
    )
    asked = [each for each in place.listener.calls if each.region != "norr"]
    pauses = [
        second.began - first.began
        for first, second in pairwise(sorted(asked, key=lambda each: each.began))
    ]

    # Two regions at twenty calls a second each, on a machine that does other things.
    assert sorted(pauses)[len(pauses) // 2] < 0.5
