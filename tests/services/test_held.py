"""
What is held: read from the journal, but not for every search, and by change.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import inf

import pytest
from builders import NOW
from doubles import MovableClock

from fhir_gateway.services.held import HeldTimeslots
from fhir_gateway.stores.database import DatabaseUnavailable
from fhir_gateway.stores.journal import ClaimedPlace, Reading

FIRST = ClaimedPlace(claim="1", token="morning", settled_at=inf, is_live=True)
SECOND = ClaimedPlace(claim="2", token="morning", settled_at=7.0, is_live=True)
OTHER = ClaimedPlace(claim="3", token="evening", settled_at=inf, is_live=True)


@dataclass
class Places:
    """Places that are as one sets them, and remember how they were asked for."""

    all: Sequence[ClaimedPlace] = ()
    changes: Sequence[ClaimedPlace] = ()
    asked: list[datetime | float] = field(default_factory=list)
    is_away: bool = False

    def live(self, *, starting_after: datetime) -> Reading:
        """Return what there is."""
        self._answer(starting_after)
        return Reading(at=float(len(self.asked)), places=tuple(self.all))

    def changed(self, since: Reading) -> Reading:
        """Return what is said to have changed."""
        self._answer(since.at)
        return Reading(at=float(len(self.asked)), places=tuple(self.changes))

    def _answer(self, asked: datetime | float) -> None:
        if self.is_away:
            raise DatabaseUnavailable("gone")
        self.asked.append(asked)


@pytest.fixture(name="places")
def _places() -> Places:
    return Places([FIRST, OTHER])


@pytest.fixture(name="clock")
def _clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(name="held")
def _held(places: Places, clock: MovableClock) -> HeldTimeslots:
    return HeldTimeslots(places, clock=clock)


def changes(held: HeldTimeslots) -> dict[str, tuple[float, ...]]:
    """Return what a journal that is read anew has news of."""
    held.forget()
    return dict(held.changes())


def test_everything_is_news_at_first(held: HeldTimeslots) -> None:
    """The first answer has all that is promised away."""
    assert held.changes() == {"morning": (inf,), "evening": (inf,)}


def test_what_is_known_is_no_news(held: HeldTimeslots, places: Places) -> None:
    """What a reading repeats is not told again."""
    held.changes()
    places.changes = [FIRST, OTHER]

    assert changes(held) == {}


def test_a_second_place_is_told_with_the_first(
    held: HeldTimeslots, places: Places
) -> None:
    """All of a timeslot's places are told when one has come."""
    held.changes()
    places.changes = [SECOND]

    assert changes(held) == {"morning": (7.0, inf)}


def test_a_settled_place_is_news(held: HeldTimeslots, places: Places) -> None:
    """When a promise was settled is told as soon as it is."""
    held.changes()
    places.changes = [replace(FIRST, settled_at=9.0)]

    assert changes(held) == {"morning": (9.0,)}


def test_the_last_place_that_is_given_back(held: HeldTimeslots, places: Places) -> None:
    """A timeslot of which nothing is promised any more is told with nothing."""
    held.changes()
    places.changes = [replace(OTHER, is_live=False)]

    assert changes(held) == {"evening": ()}


def test_a_place_that_came_and_went(held: HeldTimeslots, places: Places) -> None:
    """What was never known to be promised is no news when it is not any more."""
    held.changes()
    places.changes = [replace(SECOND, is_live=False)]

    assert changes(held) == {}


def test_the_journal_is_asked_four_times_a_second(
    held: HeldTimeslots, places: Places, clock: MovableClock
) -> None:
    """Within a quarter of a second nothing is asked again."""
    for _ in range(4):
        held.changes()
        clock.forward(milliseconds=125)

    assert places.asked == [NOW, 1.0]


def test_changes_are_asked_from_the_last_reading_on(
    held: HeldTimeslots, places: Places
) -> None:
    """Each reading goes on from the one before."""
    for _ in range(4):
        changes(held)

    assert places.asked == [NOW, 1.0, 2.0, 3.0]


def test_everything_is_read_again_now_and_then(
    held: HeldTimeslots, places: Places, clock: MovableClock
) -> None:
    """What reading by change has missed is made good within ten minutes."""
    held.changes()
    clock.forward(minutes=10)
    places.all = [FIRST, SECOND]

    assert held.changes() == {"morning": (7.0, inf), "evening": ()}
    assert places.asked == [NOW, clock()]


def test_what_could_not_be_read_is_told_later(
    held: HeldTimeslots, places: Places
) -> None:
    """A journal that is away loses no change."""
    held.changes()
    places.changes = [SECOND]
    places.is_away = True
    held.forget()
    with pytest.raises(DatabaseUnavailable):
        held.changes()
    places.is_away = False

    assert held.changes() == {"morning": (7.0, inf)}
    assert places.asked == [NOW, 1.0]


def test_what_is_forgotten_is_read_anew(held: HeldTimeslots, places: Places) -> None:
    """This process's own booking is seen by its next search."""
    held.changes()
    places.changes = [SECOND]
    held.forget()

    assert held.changes() == {"morning": (7.0, inf)}
