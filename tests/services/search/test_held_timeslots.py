"""
What is held: read from the journal, but not for every search, and by change.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import inf

import pytest
from builders import NOW, timeslot
from doubles import MovableClock

from fhir_gateway.model.timeslot import TimeslotToken
from fhir_gateway.services.search.held_timeslots import HeldTimeslots
from fhir_gateway.stores.database import DatabaseUnavailable
from fhir_gateway.stores.journal import Place, Reading

Held = Mapping[str, tuple[float, ...]]


@dataclass
class Places:
    """Places that are as one sets them, and remember how they were asked for."""

    all: Held
    changes: Held = field(default_factory=dict)
    asked: list[datetime | float] = field(default_factory=list)
    is_away: bool = False

    def read_live(self, *, starting_after: datetime) -> Reading:
        """Return what there is."""
        return self._answer(starting_after, self.all)

    def read_changed(self, since: float) -> Reading:
        """Return what is said to have changed."""
        return self._answer(since, self.changes)

    def list_of_timeslot(self, token: str) -> tuple[Place, ...]:
        """Return a place of what is held."""
        held = self.all.get(token, ())
        return tuple(Place(booking="b", is_settled=each < inf) for each in held)

    def is_known(self, token: str) -> bool:
        """Return whether it is held."""
        return token in self.all

    def _answer(self, asked: datetime | float, held: Held) -> Reading:
        if self.is_away:
            raise DatabaseUnavailable("gone")
        self.asked.append(asked)
        return Reading(at=float(len(self.asked)), held=held)


@pytest.fixture(name="places")
def _places() -> Places:
    return Places({"morning": (inf,), "evening": (7.0,)})


@pytest.fixture(name="clock")
def _clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(name="held")
def _held(places: Places, clock: MovableClock) -> HeldTimeslots:
    return HeldTimeslots(places, clock=clock)


def changes(held: HeldTimeslots) -> Held:
    """Return what a journal that is read anew has news of."""
    held.forget()
    return held.changes()


def test_everything_is_news_at_first(held: HeldTimeslots, places: Places) -> None:
    """The first answer has all that is promised away."""
    assert held.changes() == places.all


def test_changes_are_returned(held: HeldTimeslots, places: Places) -> None:
    """After that a reading returns what has changed, and nothing else."""
    held.changes()
    places.changes = {"morning": (7.0, inf), "evening": ()}

    assert changes(held) == {"morning": (7.0, inf), "evening": ()}


def test_the_journal_is_asked_four_times_a_second(
    held: HeldTimeslots, places: Places, clock: MovableClock
) -> None:
    """Within a quarter of a second nothing is asked again, and nothing is news."""
    places.changes = {"noon": (1.0,)}
    reported = []
    for _ in range(4):
        reported.append(held.changes())
        clock.forward(milliseconds=125)

    assert places.asked == [NOW, 1.0]
    assert reported == [places.all, {}, places.changes, {}]


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
    places.changes = {"noon": (1.0,), "night": (2.0,)}
    changes(held)
    places.changes = {"night": ()}
    changes(held)
    clock.forward(minutes=10)
    places.all = {"morning": (inf, inf)}

    assert held.changes() == {"morning": (inf, inf), "evening": (), "noon": ()}
    assert places.asked == [NOW, 1.0, 2.0, clock()]


def test_what_could_not_be_read_is_returned_later(
    held: HeldTimeslots, places: Places
) -> None:
    """A journal that is away loses no change."""
    held.changes()
    places.changes = {"noon": (inf,)}
    places.is_away = True
    held.forget()
    with pytest.raises(DatabaseUnavailable):
        held.changes()
    places.is_away = False

    assert held.changes() == {"noon": (inf,)}
    assert places.asked == [NOW, 1.0]


def test_what_is_forgotten_is_read_anew(held: HeldTimeslots, places: Places) -> None:
    """This process's own booking is seen by its next search."""
    held.changes()
    places.changes = {"noon": (inf,)}
    held.forget()

    assert held.changes() == {"noon": (inf,)}


@pytest.mark.parametrize(
    ("held_hours", "asked_hours", "passed", "expected"),
    [
        pytest.param(3, 3, 0, True, id="promised away"),
        pytest.param(3, 4, 0, False, id="another time"),
        pytest.param(3, 3, 3, False, id="begun"),
    ],
)
def test_one_timeslot_is_asked_about_this_moment(
    clock: MovableClock,
    held_hours: float,
    asked_hours: float,
    passed: float,
    *,
    expected: bool,
) -> None:
    """What is promised away is, for as long as it is to come."""
    held = HeldTimeslots(Places({timeslot(held_hours).token: (inf,)}), clock=clock)
    clock.forward(hours=passed)

    assert held.has(TimeslotToken.parse(timeslot(asked_hours).token)) is expected
