"""
A worker's parts: they run together and end together.
"""

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
