"""
A worker's parts: they run together and end together.
"""

import subprocess
import sys
import threading

import pytest
from structlog.testing import capture_logs

from fhir_gateway.worker import WorkerFailed, run_side_by_side


def test_parts_run_side_by_side_until_stopped() -> None:
    """Each goes on while the others do, and all have ended in the end."""
    stop, together = threading.Event(), threading.Barrier(2)
    ended = []

    def first(until: threading.Event) -> None:
        together.wait(10)
        until.wait(10)
        ended.append("first")

    def second(until: threading.Event) -> None:
        together.wait(10)
        until.set()
        ended.append("second")

    run_side_by_side({"first": first, "second": second}, stop)

    assert sorted(ended) == ["first", "second"]


def test_a_signal_that_reaches_another_thread_stops_the_worker() -> None:
    """Where the kernel gives a part's thread the signal, the main thread handles it."""
    program = """if True:
        import os, signal, threading
        from pathlib import Path
        from fhir_gateway.worker import run_side_by_side

        main = Path(f"/proc/self/task/{os.getpid()}/stat")

        def part(stop):
            while ") S " not in main.read_text():
                pass
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
            stop.wait()

        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        run_side_by_side({"part": part}, stop)
        """

    subprocess.run([sys.executable, "-c", program], timeout=20, check=True)


def test_a_part_that_fails_ends_the_others() -> None:
    """The worker does not go on with half of its work."""
    stop = threading.Event()
    ended = []

    def go_on(until: threading.Event) -> None:
        ended.append(until.wait(10))

    def fail(_: threading.Event) -> None:
        raise ValueError("191212121212")

    with (
        capture_logs() as logs,
        pytest.raises(WorkerFailed, match=r"^the worker's refresh failed; the log"),
    ):
        run_side_by_side({"reconciliation": go_on, "refresh": fail}, stop)

    assert ended == [True]
    (logged,) = logs
    assert logged.pop("line") > 0
    assert logged == {
        "event": "worker failed",
        "log_level": "error",
        "part": "refresh",
        "kind": "ValueError",
        "file": "test_worker.py",
    }
