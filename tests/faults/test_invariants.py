"""
The checker's promise that one request leads to one Appointment.
"""

from types import SimpleNamespace
from typing import Any

import pytest

from faults.history import Kind
from faults.invariants import different_answers


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
