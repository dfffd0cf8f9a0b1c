"""
The checker of orders: what it lets pass and what not.
"""

import itertools
import random
from typing import Final

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from faults.linearizability import Act, Step, is_linearizable

ANNA: Final = "anna"
BERT: Final = "bert"
CILLA: Final = "cilla"


def step(
    act: Act, person: str, began: float, ended: float, *, certain: bool = True
) -> Step:
    """Return a step."""
    return Step(act=act, person=person, began=began, ended=ended, is_certain=certain)


def test_one_after_the_other() -> None:
    """Booked, cancelled, booked by another: that is an order."""
    assert is_linearizable(
        [
            step(Act.ACQUIRE, ANNA, 0, 1),
            step(Act.RELEASE, ANNA, 2, 3),
            step(Act.ACQUIRE, BERT, 4, 5),
        ]
    )


@pytest.mark.parametrize("began", [0.5, 2])
def test_two_owners_have_no_order(began: float) -> None:
    """Two persons who both got the answer that they have the slot, at once or not."""
    assert not is_linearizable(
        [step(Act.ACQUIRE, ANNA, 0, 1), step(Act.ACQUIRE, BERT, began, 3)]
    )


def test_a_counted_slot_has_as_many_owners_as_places() -> None:
    """Two places make two owners and not three."""
    two = [step(Act.ACQUIRE, ANNA, 0, 1), step(Act.ACQUIRE, BERT, 2, 3)]

    assert is_linearizable(two, places=2)
    assert not is_linearizable([*two, step(Act.ACQUIRE, "cilla", 4, 5)], places=2)


def test_an_unknown_release_may_have_come() -> None:
    """A cancellation without an answer explains the next owner."""
    assert is_linearizable(
        [
            step(Act.ACQUIRE, ANNA, 0, 1),
            step(Act.RELEASE, ANNA, 2, 3, certain=False),
            step(Act.ACQUIRE, BERT, 4, 5),
        ]
    )


def test_an_unknown_release_may_come_late_but_not_early() -> None:
    """It cannot explain an owner who was there before it was asked for."""
    assert not is_linearizable(
        [
            step(Act.ACQUIRE, ANNA, 0, 1),
            step(Act.ACQUIRE, BERT, 2, 3),
            step(Act.RELEASE, ANNA, 4, 5, certain=False),
        ]
    )


def test_an_unknown_booking_may_have_come() -> None:
    """A booking without an answer explains that somebody is seen to hold the slot."""
    assert is_linearizable(
        [
            step(Act.ACQUIRE, ANNA, 0, 1, certain=False),
            step(Act.HOLDS, ANNA, 2, 3),
        ]
    )


def test_nobody_holds_what_nobody_acquired() -> None:
    """Who is seen to hold a slot must have got it."""
    assert not is_linearizable([step(Act.HOLDS, ANNA, 0, 1)])


def test_a_slot_does_not_come_back() -> None:
    """Seen to be without it after booking it, with no cancellation: no order."""
    assert not is_linearizable(
        [step(Act.ACQUIRE, ANNA, 0, 1), step(Act.LACKS, ANNA, 2, 3)]
    )


_STEPS: Final = st.lists(
    st.builds(
        lambda act, person, began, length, certain: step(
            act, person, began, began + length, certain=certain
        ),
        st.sampled_from(list(Act)),
        st.sampled_from([ANNA, BERT, CILLA]),
        st.integers(0, 8),
        st.integers(0, 5),
        st.booleans(),
    ),
    max_size=6,
)


@given(_STEPS, st.integers(1, 2))
def test_it_agrees_with_trying_every_order(steps: list[Step], places: int) -> None:
    """The search finds an order exactly when trying all of them does."""
    assert is_linearizable(steps, places=places) == _by_trying(steps, places)


@given(st.integers(0, 1 << 32), st.sampled_from([1, 3, 6]))
@settings(deadline=None, max_examples=examples(25))
def test_a_busy_slot_is_decided(seed: int, places: int) -> None:
    """Hundreds of answers, many of them at once and many unknown, have an order."""
    history = _lived(random.Random(seed), places)  # noqa: S311 - to be repeated by its seed

    assert is_linearizable(history, places=places)


@pytest.mark.parametrize("places", [1, 3])
def test_one_owner_too_many_is_found_in_a_busy_slot(places: int) -> None:
    """Among hundreds of answers a single wrong one is found."""
    history = _lived(random.Random(places), places)  # noqa: S311 - to be repeated by its seed
    end = max(each.ended for each in history) + 1
    too_many = [
        step(act, f"late {n}", end + n, end + n + 0.5)
        for act in (Act.ACQUIRE, Act.HOLDS)
        for n in range(places + 1)
    ]

    assert not is_linearizable([*history, *too_many], places=places)


def _lived(chance: random.Random, places: int) -> list[Step]:
    """Return what clients may learn of a slot where all is well."""
    holders: set[str] = set()
    steps = []
    for moment in range(300):
        person = f"person {chance.randrange(60)}"
        act = chance.choice(list(Act))
        if act is Act.ACQUIRE and len(holders | {person}) > places:
            continue
        if act is Act.ACQUIRE:
            holders.add(person)
        elif act is Act.RELEASE:
            holders.discard(person)
        elif (act is Act.HOLDS) != (person in holders):
            continue
        steps.append(
            step(
                act,
                person,
                moment - chance.uniform(0, 20),
                moment + chance.uniform(0, 20),
                certain=chance.random() < 0.6,
            )
        )
    return steps


def _by_trying(steps: list[Step], places: int) -> bool:
    certain = [each for each in steps if each.is_certain]
    unknown = [each for each in steps if not each.is_certain]
    for size in range(len(unknown) + 1):
        for some in itertools.combinations(unknown, size):
            for order in itertools.permutations([*certain, *some]):
                if _is_possible(order, places):
                    return True
    return False


def _is_possible(order: tuple[Step, ...], places: int) -> bool:
    holders: set[str] = set()
    for index, each in enumerate(order):
        later = order[index + 1 :]
        if any(other.is_certain and other.ended < each.began for other in later):
            return False
        match each.act:
            case Act.ACQUIRE:
                holders.add(each.person)
                if len(holders) > places:
                    return False
            case Act.RELEASE:
                holders.discard(each.person)
            case Act.HOLDS if each.person not in holders:
                return False
            case Act.LACKS if each.person in holders:
                return False
    return True
