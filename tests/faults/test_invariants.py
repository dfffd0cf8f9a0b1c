"""
The checker's promises: one request leads to one Appointment, the index agrees.
"""

from math import inf
from types import SimpleNamespace
from typing import Any

import pytest

from faults.history import Kind
from faults.invariants import Owned, different_answers, index_differs


def asked(kind: Kind, appointment: str, began: float) -> Any:
    """Return a request of one person that names an Appointment."""
    return SimpleNamespace(
        kind=kind,
        person="191212121212",
        slot=SimpleNamespace(token="first"),
        appointment=appointment,
        began=began,
    )


def row(appointment: str, at: str = "first", state: str = "BOOKED") -> Any:
    """Return what the journal has of an Appointment in the end."""
    return SimpleNamespace(
        appointment=appointment, booking_token=at, booking_state=state
    )


MOVED = asked(Kind.MOVE, "A", 2.0)


@pytest.mark.parametrize(
    ("operations", "decided", "count"),
    [
        pytest.param(
            [asked(Kind.BOOK, "A", 1.0), asked(Kind.BOOK, "A", 2.0)],
            [row("A")],
            0,
            id="one",
        ),
        pytest.param(
            [asked(Kind.BOOK, "A", 1.0), asked(Kind.BOOK, "B", 2.0)],
            [row("A"), row("B")],
            1,
            id="two",
        ),
        pytest.param(
            [asked(Kind.BOOK, "A", 1.0), asked(Kind.BOOK, "B", 2.0)],
            [row("A", state="CANCELLED"), row("B")],
            0,
            id="two, one cancelled",
        ),
        pytest.param(
            [asked(Kind.BOOK, "A", 1.0), MOVED, asked(Kind.BOOK, "B", 3.0)],
            [row("A", "second"), row("B")],
            0,
            id="one moved, then another",
        ),
        pytest.param(
            [asked(Kind.BOOK, "A", 1.0), asked(Kind.BOOK, "B", 1.5), MOVED],
            [row("A", "second"), row("B")],
            1,
            id="two, then one moved",
        ),
        pytest.param(
            [asked(Kind.BOOK, "A", 1.0), MOVED, asked(Kind.BOOK, "B", 3.0)],
            [row("A"), row("B")],
            1,
            id="a move that was refused, then another",
        ),
    ],
)
def test_two_appointments_of_one_request_are_seen(
    operations: list[Any], decided: list[Any], count: int
) -> None:
    """Two that stand at one time at once are a violation, and nothing else is."""
    evidence: Any = SimpleNamespace(operations=operations, decided=decided)

    assert len(list(different_answers(evidence))) == count


def in_index(
    *posts: tuple[str, str, str, str], owned: list[Any], elsewhere: str = ""
) -> Any:
    """Return the evidence of an index that has these posts."""
    return SimpleNamespace(
        posts=frozenset(posts),
        owned=owned,
        decided=[],
        elsewhere=frozenset({elsewhere}),
    )


def standing(booking_id: str, *, until: float = inf) -> Owned:
    """Return a booking in a region's book."""
    return Owned(
        key=("UNIT", "202703010800", None, None, None),
        person="191212121212",
        booking_id=booking_id,
        since=1.0,
        until=until,
    )


POST = ("191212121212", "UNIT", "202703010800", "B-1")


@pytest.mark.parametrize(
    ("evidence", "count"),
    [
        pytest.param(in_index(POST, owned=[standing("B-1")]), 0, id="agrees"),
        pytest.param(in_index(owned=[standing("B-1")]), 1, id="a post is missing"),
        pytest.param(
            in_index(POST, owned=[standing("B-1", until=2.0)]), 1, id="one too much"
        ),
        pytest.param(
            in_index(POST, owned=[standing("B-2")]), 2, id="of the booking's old id"
        ),
        pytest.param(
            in_index(owned=[standing("B-1")], elsewhere="191212121212"),
            0,
            id="booked without the gateway",
        ),
        pytest.param(SimpleNamespace(posts=None), 0, id="not awaited"),
    ],
)
def test_an_index_that_differs_is_seen(evidence: Any, count: int) -> None:
    """A post too few and one too many are violations each."""
    assert len(list(index_differs(evidence))) == count
