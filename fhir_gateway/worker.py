"""
A worker's parts, side by side.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import structlog

from fhir_gateway.model.fault_place import fault_place

__all__ = ["WorkerFailed", "run_side_by_side"]

_log = structlog.get_logger()


class WorkerFailed(Exception):
    """A part ended by a fault of this program's own."""


def run_side_by_side(
    parts: Mapping[str, Callable[[threading.Event], None]], stop: threading.Event
) -> None:
    """
    Run every part until `stop` is set.

    A part that fails takes the others with it: a worker that does half of its work
    looks well from outside, and one that has ended is started again.

    Args:
        parts: What runs, by name; each returns soon after `stop` is set.
        stop: Is set as well when a part has failed.

    Raises:
        WorkerFailed: A part failed. What it raised is not in the message, which could
            name a resident; its class and place are in the log.
    """
    with ThreadPoolExecutor(len(parts)) as executor:
        running = {name: executor.submit(run, stop) for name, run in parts.items()}
        wait(running.values(), return_when=FIRST_COMPLETED)
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
