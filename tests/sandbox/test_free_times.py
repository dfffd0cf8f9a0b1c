"""
What is free: how much, for how long, and the same every time.
"""

from collections import Counter
from datetime import date, timedelta

from fhir_gateway.model.timekeeping import civil_time_text
from fhir_gateway.sandbox.agenda import DAYS, Agenda, density
from fhir_gateway.sandbox.catalogue import regions
from fhir_gateway.sandbox.server import SandboxServer

from .consumer import COUNTED_TYPE, TODAY, Consumer, SettableClock

DEFAULT = 100_000


def _agenda(slots: int, seed: int = 1) -> Agenda:
    return Agenda(seed=seed, density=density(regions(slots), slots))


def _planned(slots: int) -> Counter[bool]:
    agenda = _agenda(slots)
    planned: Counter[bool] = Counter()
    for region in regions(slots):
        for unit in region.units:
            for time in agenda.times(unit, TODAY, TODAY + timedelta(days=DAYS - 1)):
                planned[time.is_free] += time.time_type.places
    return planned


def test_the_default_size_is_about_what_was_asked_for() -> None:
    """The default size has 100,000 free times, give or take five per cent."""
    assert abs(_planned(DEFAULT)[True] - DEFAULT) < DEFAULT / 20


def test_the_smallest_size_is_about_what_was_asked_for() -> None:
    """A size of 1,000 has 1,000 free times, give or take fifteen per cent."""
    assert abs(_planned(1_000)[True] - 1_000) < 150


def test_a_third_is_taken_by_others() -> None:
    """Between 33 and 37 per cent of the planned times are taken."""
    planned = _planned(DEFAULT)

    assert 0.33 < planned[False] / planned.total() < 0.37


def test_the_same_seed_gives_the_same_times() -> None:
    """Two sandboxes with one seed and one clock list the same times."""
    listed = []
    for _ in range(2):
        with SandboxServer(port=0, slots=2_000, clock=SettableClock()) as server:
            consumer = Consumer(server, "syd")
            listed.append(consumer.slots())

    assert listed[0]
    assert listed[0] == listed[1]


def test_another_seed_gives_other_times() -> None:
    """Two seeds give two plans."""
    unit = regions()[0].units[0]
    plans = [list(_agenda(DEFAULT, seed).times(unit, TODAY, TODAY)) for seed in (1, 2)]

    assert plans[0] != plans[1]


def test_a_day_stays_the_same_as_time_goes(
    norr: Consumer, clock: SettableClock
) -> None:
    """A day far ahead looks the same a week later."""
    far = TODAY + timedelta(days=30)
    before = norr.slots(first=far, last=far + timedelta(days=6))
    clock.instant += timedelta(days=7)

    assert before
    assert norr.slots(first=far, last=far + timedelta(days=6)) == before


def test_past_times_are_not_listed(consumer: Consumer, clock: SettableClock) -> None:
    """Once a time has begun it is no longer listed."""
    first = consumer.slots()[0]
    clock.instant += timedelta(days=1)
    listed = consumer.slots()

    assert listed
    assert first not in listed
    assert all(
        (slot.start_time_inclusive or "") > civil_time_text(clock.instant)
        for slot in listed
    )


def test_times_are_listed_for_ninety_days(consumer: Consumer) -> None:
    """Nothing is listed beyond ninety days."""
    listed = consumer.slots(last=TODAY + timedelta(days=400))
    latest = max(slot.start_time_inclusive or "" for slot in listed)

    assert latest < (TODAY + timedelta(days=DAYS)).strftime("%Y%m%d")


def test_nothing_is_open_at_weekends(consumer: Consumer) -> None:
    """No time falls on a Saturday or a Sunday."""
    days = {(slot.start_time_inclusive or "")[:8] for slot in consumer.slots()}

    assert days
    assert all(date.fromisoformat(day).weekday() < 5 for day in days)


def test_nothing_is_open_at_lunch(consumer: Consumer) -> None:
    """No time overlaps the unit's lunch."""
    hours = consumer.unit.hours
    for slot in consumer.slots():
        start, end = (
            int(text[8:10]) * 60 + int(text[10:12])
            for text in (slot.start_time_inclusive or "", slot.end_time_exclusive or "")
        )

        assert end <= hours.lunch or start >= hours.back


def test_only_the_days_asked_for_are_listed(consumer: Consumer) -> None:
    """Both days of the interval are included, and no others."""
    all_days = sorted({slot.start_time_inclusive or "" for slot in consumer.slots()})
    first, last = (date.fromisoformat(all_days[at][:8]) for at in (5, -5))
    listed = consumer.slots(first=first, last=last)
    days = [(slot.start_time_inclusive or "")[:8] for slot in listed]

    assert (min(days), max(days)) == (f"{first:%Y%m%d}", f"{last:%Y%m%d}")


def test_group_times_are_listed_once_for_each_place(norr: Consumer) -> None:
    """A time for five is listed five times without any difference."""
    assert set(Counter(norr.slots_of(COUNTED_TYPE)).values()) == {5}


def test_other_times_are_listed_once(consumer: Consumer) -> None:
    """No time but a group's is listed twice."""
    assert set(Counter(consumer.slots()).values()) == {1}
