"""
What a free time takes: B7.
"""

from bench.figure import Figure
from bench.serving import FilledWorld

__all__ = ["bytes_a_slot"]


def bytes_a_slot(place: FilledWorld, *, full: int, empty: int) -> Figure:
    """
    Return what a free time takes in Redis and in each web process.

    Args:
        place: What is served.
        full: Resident bytes of a web process that has answered searches in it.
        empty: Resident bytes of one that has nothing to search.
    """
    return Figure.at_most(
        "B7",
        "bytes a slot",
        {
            "Redis": place.redis_bytes / place.slots,
            "a web process": (full - empty) / place.slots,
        },
        60,
        f"a web process resident {full >> 20} MiB, {empty >> 20} MiB with nothing",
    )
