"""
What a free time takes: B7.
"""

from bench.figure import Figure
from bench.serving import FilledWorld

__all__ = ["bytes_a_slot"]


def bytes_a_slot(
    place: FilledWorld, *, empty: int, read: int, searched: int, included: int
) -> Figure:
    """
    Return what a free time takes in Redis and in each web process.

    Args:
        place: What is served.
        empty: Resident bytes of a web process that has nothing to search and has
            answered as often with a constant.
        read: Of one that has read everything.
        searched: Of the same, after the load of B1 to B3.
        included: Of the same, after that of B4. What this adds is of the answers in
            flight, a quarter of a megabyte each, and of the kept includes, however many
            free times there are; so it is shown separately.
    """

    def a_slot(resident: int) -> float:
        return (resident - empty) / place.slots

    return Figure.at_most(
        "B7",
        "bytes a slot",
        {
            "Redis": place.redis_bytes / place.slots,
            "a web process": a_slot(searched),
        },
        60,
        f"a web process {a_slot(read):.0f} before any search,"
        f" {a_slot(included):.0f} after includes; resident {searched >> 20} MiB,"
        f" {empty >> 20} MiB with nothing",
    )
