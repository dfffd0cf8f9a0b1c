"""
A worker's parts, side by side.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Final

import structlog

from fhir_gateway.model.fault_place import fault_place

__all__ = ["WorkerFailed", "run_side_by_side"]

_log = structlog.get_logger()

_WAKES_EVERY_S: Final = 1.0


class WorkerFailed(Exception):
    """A part ended through a fault in this program."""


def run_side_by_side(
    parts: Mapping[str, Callable[[threading.Event], None]], stop: threading.Event
) -> None:
    """
    Run every part until `stop` is set.

    A failing part ends the others: a worker that does half of its work looks healthy
    from outside, and a supervisor starts an ended one again.

    Args:
        parts: The functions to run, by name; each returns soon after `stop` is set.
        stop: This function sets it as well, when a part has failed.

    Raises:
        WorkerFailed: A part failed. The message omits the part's error, which could
            name a resident; the log has its class and place.
    """
    with ThreadPoolExecutor(len(parts)) as executor:
        running = {name: executor.submit(run, stop) for name, run in parts.items()}
        # Where the kernel gives a signal to another thread, Python runs the handler,
        # which sets `stop`, only when this thread wakes.
        while not wait(running.values(), _WAKES_EVERY_S, FIRST_COMPLETED).done:
            pass
        stop.set()
    failed = []
    for name, part in running.items():
        error = part.exception()
        if error is None:
            continue
        failed.append(name)
        _log.error("worker failed", part=name, **fault_place(error))
    if failed:
        raise WorkerFailed(
            f"the worker's {' and '.join(failed)} failed; the log says where."
        )
