"""
What is held: read from the journal, but not for every search.
"""

from collections.abc import Mapping
from datetime import datetime

from builders import NOW
from doubles import MovableClock

from fhir_gateway.services.held import HeldTimeslots


class CountingJournal:
    """A journal that holds one place more each time it is asked."""

    def __init__(self) -> None:
        self.asked: list[datetime] = []

    def held_places(
        self, *, starting_after: datetime
    ) -> Mapping[str, tuple[float, ...]]:
        """Return how many times it has been asked."""
        self.asked.append(starting_after)
        return {"token": (len(self.asked),)}


def test_the_journal_is_asked_four_times_a_second() -> None:
    """Within a quarter of a second the same answer is given again."""
    clock, journal = MovableClock(), CountingJournal()
    held = HeldTimeslots(journal, clock=clock)

    answers = []
    for _ in range(4):
        answers.append(held())
        clock.forward(milliseconds=125)

    assert answers == [
        {"token": (1,)},
        {"token": (1,)},
        {"token": (2,)},
        {"token": (2,)},
    ]


def test_only_coming_times_are_asked_about() -> None:
    """What has begun is no search's business."""
    journal = CountingJournal()

    HeldTimeslots(journal, clock=MovableClock())()

    assert journal.asked == [NOW]


def test_what_is_forgotten_is_read_anew() -> None:
    """This process's own booking is seen by its next search."""
    held = HeldTimeslots(CountingJournal(), clock=MovableClock())

    held()
    held.forget()

    assert held() == {"token": (2,)}
