"""
A process that is killed at each of its steps, and what is found of it afterwards.
"""

from itertools import pairwise
from typing import Final

import pytest

from faults.clients import Client, persons
from faults.crash_points import GATEWAY_POINTS, RECONCILER_POINTS
from faults.fault import Fault
from faults.history import History, Operation
from faults.invariants import evidence_of, violations
from faults.world import Part, SlotToBook, World
from fhir_gateway.model import scheduling

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("faults")]

QUIET_S: Final = 60.0


def _ask(
    client: Client, part: Part, person: str, held: str, slot: SlotToBook | None
) -> Operation:
    if slot is None:
        return client.cancel(part, person, held)
    if held:
        return client.move(part, person, held, slot)
    return client.book(part, person, slot)


def test_a_gateway_dies_at_each_point_of_each_write(running: World) -> None:
    """Killed anywhere in a booking, move or cancellation, it leaves no lie behind."""
    healthy, mortal = running.gateways
    running.start(healthy, *running.reconcilers)
    history = History()
    client = Client(running, history)
    numbers = persons(range(980, 990))
    # Of one time type of one unit: a booking can be moved between them.
    norr = [slot for slot in running.slots if slot.region == "norr"]
    unit, _, time_type, _, _ = norr[0].key
    slots = [slot for slot in norr if slot.key[0] == unit and slot.key[2] == time_type]
    not_reached = []
    for point in GATEWAY_POINTS:
        kind = point.partition(":")[0]
        person, held = next(numbers), ""
        if kind != "MAKE":
            made = client.book(healthy, person, slots.pop())
            assert made.appointment is not None
            held = made.appointment
        if point.endswith(":waiting"):
            # Else the answer could be there first.
            interaction = {
                "MAKE": scheduling.MAKE_BOOKING,
                "UPDATE": scheduling.UPDATE_BOOKING,
                "CANCEL": scheduling.CANCEL_BOOKING,
            }[kind]
            running.spoil(interaction, Fault.SILENT_AFTER, person=person)
        running.start(mortal, crash_at=f"{point}:kill")
        slot = None if kind == "CANCEL" else slots.pop()
        answer = _ask(client, mortal, person, held, slot)
        if answer.status is not None or not running.await_end(mortal):
            not_reached.append(f"{point}: {answer} {answer.diagnostics}")
        running.kill(mortal)
    running.heal()
    # Leases run out, and the reconciler settles what is left.
    running.clock.forward(110)

    assert not_reached == []
    assert running.await_quiet(QUIET_S)
    assert violations(evidence_of(running, history.all(), frozenset())) == []


def test_a_reconciler_dies_at_each_point(running: World) -> None:
    """Killed anywhere in a look, it leaves the rest to the next one."""
    gateway, (mortal, healthy) = running.gateways[0], running.reconcilers
    running.start(gateway)
    history = History()
    client = Client(running, history)
    numbers = persons(range(980, 990))
    slots = [slot for slot in running.slots if slot.region == "norr"]
    not_reached = []
    for point in RECONCILER_POINTS:
        person = next(numbers)
        fault = (
            Fault.RESET_BEFORE if point.endswith("in-postpone") else Fault.RESET_AFTER
        )
        running.spoil(scheduling.MAKE_BOOKING, fault, person=person)
        client.book(gateway, person, slots.pop())
        running.start(mortal, crash_at=f"{point}:kill")
        if not running.await_end(mortal):
            not_reached.append(point)
            running.kill(mortal)
    running.start(healthy, mortal)
    running.clock.forward(110)

    assert not_reached == []
    assert running.await_quiet(QUIET_S)
    assert violations(evidence_of(running, history.all(), frozenset())) == []


def test_the_points_are_many() -> None:
    """There are twelve for each kind of write, each once."""
    ordered = sorted(GATEWAY_POINTS)

    assert len(ordered) == 36
    assert all(one != other for one, other in pairwise(ordered))
