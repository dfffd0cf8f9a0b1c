"""
Processes that begin at once: what they import, their parent has imported for all.
"""

from collections.abc import Callable
from multiprocessing import get_context

__all__ = ["in_processes"]


def in_processes(count: int, work: Callable[[int], object]) -> list[int | None]:
    """
    Do work in so many processes at once; return their exit codes.

    Only a program with one thread may call it, since it forks.
    """
    fork = get_context("fork")
    start = fork.Barrier(count)

    def begin(which: int) -> None:
        start.wait()
        work(which)

    processes = [fork.Process(target=begin, args=(which,)) for which in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]
