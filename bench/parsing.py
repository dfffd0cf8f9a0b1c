"""
What it costs to take in a source's answer: B8.
"""

import time
from collections.abc import Callable

from lxml import etree

from bench.answer import answer_of, stored
from bench.figure import Figure

__all__ = ["parsing"]


def parsing() -> Figure:
    """Return what an answer of 1,000 times costs, against a bare parse of it."""
    document = answer_of(1000)
    bare, full = _cpu(lambda: etree.fromstring(document), lambda: stored(document))
    return Figure.at_most(
        "B8",
        "CPU from an answer of 1,000 times to its block ÷ bare lxml parse",
        {"": full / bare},
        5,
        f"{full * 1000:.1f} ms, {bare * 1000:.1f} ms",
    )


def _cpu(*works: Callable[[], object]) -> list[float]:
    """Return the least CPU seconds that each work took, done alternately."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(25):
        for taken, work in zip(times, works, strict=True):
            began = time.process_time()
            work()
            taken.append(time.process_time() - began)
    return [min(taken) for taken in times]
