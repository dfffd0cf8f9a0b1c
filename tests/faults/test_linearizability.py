"""
The checker of orders: what it lets pass and what not.
"""

import itertools
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faults.linearizability import Act, Step, is_linearizable

ANNA: Final = "anna"
BERT: Final = "bert"


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
    """Two persons who were both told that they have the slot, at once or not."""
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
        st.sampled_from([ANNA, BERT]),
        st.integers(0, 8),
        st.integers(0, 5),
        st.booleans(),
    ),
    max_size=6,
)


@given(_STEPS)
def test_it_agrees_with_trying_every_order(steps: list[Step]) -> None:
    """The search finds an order exactly when trying all of them does."""
    assert is_linearizable(steps) == _by_trying(steps)


def _by_trying(steps: list[Step]) -> bool:
    certain = [each for each in steps if each.is_certain]
    unknown = [each for each in steps if not each.is_certain]
    for size in range(len(unknown) + 1):
        for some in itertools.combinations(unknown, size):
            for order in itertools.permutations([*certain, *some]):
                if _is_possible(order):
                    return True
    return False


def _is_possible(order: tuple[Step, ...]) -> bool:
    holder: str | None = None
    for index, each in enumerate(order):
        later = order[index + 1 :]
        if any(other.is_certain and other.ended < each.began for other in later):
            return False
        match each.act:
            case Act.ACQUIRE if holder not in (None, each.person):
                return False
            case Act.ACQUIRE:
                holder = each.person
            case Act.RELEASE:
                holder = None if holder == each.person else holder
            case Act.HOLDS if holder != each.person:
                return False
            case Act.LACKS if holder == each.person:
                return False
    return True
