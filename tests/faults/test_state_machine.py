"""
Any sequence of what clients, regions and operators do, one after the other.

Hypothesis finds the shortest one that breaks a promise.
"""

from typing import Any, Final

import pytest
from examples import examples
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from faults.clients import Client, Telephone, persons
from faults.fault import Fault
from faults.history import History
from faults.invariants import evidence_of, violations
from faults.world import SlotToBook, World
from fhir_gateway.model import scheduling
from fhir_gateway.model.interaction import Interaction

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("faults")]

QUIET_S: Final = 40.0
_WRITES: Final = (
    scheduling.MAKE_BOOKING,
    scheduling.UPDATE_BOOKING,
    scheduling.CANCEL_BOOKING,
)
# Those that make nobody wait.
_QUICK: Final = (
    Fault.RESET_AFTER,
    Fault.RESET_BEFORE,
    Fault.CLOSED_AFTER,
    Fault.CLOSED_BEFORE,
    Fault.TWICE,
    Fault.TWICE_VP009,
    Fault.VP009_AFTER,
    Fault.VP009_BEFORE,
    Fault.NEVER_REACHED,
    Fault.NEVER_REACHED_AFTER,
    Fault.TWICE_NEVER_REACHED,
    Fault.WRONG_STATUS,
    Fault.WRONG_OK,
    Fault.EARLY_HINTS,
    Fault.ANSWERED_TWICE,
    Fault.TOO_MUCH,
    Fault.COOKIE,
    Fault.TRUNCATED_XML,
    Fault.CROSS_TALK,
    Fault.HTML,
    Fault.NO_CONTENT,
    Fault.REFUSED,
    Fault.INFO,
)
_READ_FAULTS: Final = (
    Fault.RESET_AFTER,
    Fault.VP009_AFTER,
    Fault.HTML,
    Fault.WRONG_PATIENT,
    Fault.WRONG_STATUS,
    Fault.EARLY_HINTS,
    Fault.ANSWERED_TWICE,
)


class Bookings(RuleBasedStateMachine):
    """What can be asked of a gateway, and what can go wrong meanwhile."""

    world: World

    booked: Bundle[Any] = Bundle("booked")

    @initialize()
    def begin(self) -> None:
        """Begin with an empty journal."""
        self.world.begin_anew()
        self.world.start()
        self.history = History()
        self.client = Client(self.world, self.history)
        self.telephone = Telephone(self.world)
        self.numbers = persons(range(980, 990))
        unit = next(slot for slot in self.world.slots if slot.region == "norr").key[0]
        # A handful of times of one kind, so that they are fought over.
        alike = [slot for slot in self.world.slots if slot.key[0] == unit]
        kind = alike[0].key[2]
        self.slots = [slot for slot in alike if slot.key[2] == kind][:6]

    def teardown(self) -> None:
        """Let everything come to rest, and look at it."""
        if not hasattr(self, "history"):
            return
        self.telephone.close()
        self.world.heal()
        self.world.clock.forward(110)
        assert self.world.await_quiet(QUIET_S)
        evidence = evidence_of(
            self.world, self.history.all(), frozenset(self.telephone.persons)
        )

        assert violations(evidence) == []

    @rule(target=booked, which=st.integers(0, 5))
    def book(self, which: int) -> Any:
        """Somebody wants a slot."""
        person, slot = next(self.numbers), self._slot(which)
        operation = self.client.book(self.world.gateways[0], person, slot)
        if operation.appointment is None:
            return multiple()
        return person, slot, operation.appointment

    @rule(booking=booked)
    def repeat(self, booking: tuple[str, SlotToBook, str]) -> None:
        """The same person asks for the same slot again, at another process."""
        person, slot, _ = booking
        self.client.book(self.world.gateways[1], person, slot)

    @rule(booking=booked, which=st.integers(0, 5))
    def move(self, booking: tuple[str, SlotToBook, str], which: int) -> None:
        """Somebody wants another slot instead."""
        person, _, identifier = booking
        slot = self._slot(which)
        self.client.move(self.world.gateways[0], person, identifier, slot)

    @rule(booking=booked)
    def cancel(self, booking: tuple[str, SlotToBook, str]) -> None:
        """Somebody cancels, perhaps not for the first time."""
        person, _, identifier = booking
        self.client.cancel(self.world.gateways[0], person, identifier)

    @rule(booking=booked)
    def read(self, booking: tuple[str, SlotToBook, str]) -> None:
        """Somebody looks."""
        person, _, identifier = booking
        self.client.read(self.world.gateways[1], person, identifier)

    @rule(which=st.integers(0, 5))
    def sell_elsewhere(self, which: int) -> None:
        """A unit gives a slot to somebody who calls."""
        self.telephone.book(self._slot(which))

    @rule(interaction=st.sampled_from(_WRITES), fault=st.sampled_from(_QUICK))
    def spoil_a_write(self, interaction: Interaction, fault: Fault) -> None:
        """The next write of a kind goes wrong."""
        if interaction in fault.interactions:
            self.world.spoil(interaction, fault)

    @rule(fault=st.sampled_from(_READ_FAULTS))
    def spoil_a_look(self, fault: Fault) -> None:
        """The next look in a resident's list goes wrong."""
        self.world.spoil(scheduling.GET_SUBJECT_OF_CARE_SCHEDULE, fault)

    @rule(seconds=st.sampled_from([20, 60, 110]))
    def wait(self, seconds: int) -> None:
        """Time passes, and leases run out."""
        self.world.clock.forward(seconds)

    @rule(which=st.integers(0, 1))
    def restart(self, which: int) -> None:
        """A process is killed and started again."""
        self.world.restart(self.world.gateways[which])

    @invariant()
    def everybody_lives(self) -> None:
        """No process has ended of itself."""
        if hasattr(self, "history"):
            assert all(self.world.lives(part) for part in self.world.parts)

    def _slot(self, which: int) -> SlotToBook:
        return self.slots[which % len(self.slots)]


def test_a_time_that_was_left_is_booked_anew(common_world: World) -> None:
    """Who moved a booking may book its first time again: these are two Appointments."""

    class InThisWorld(Bookings):
        world = common_world

    machine = InThisWorld()
    machine.begin()
    booked = machine.book(0)
    machine.move(booked, 3)
    machine.repeat(booked)
    answers = machine.history.all()
    machine.teardown()

    assert [each.status for each in answers] == [201, 200, 201]
    assert answers[0].appointment != answers[2].appointment


def test_any_sequence_keeps_every_promise(common_world: World) -> None:
    """After any actions in any order, nothing that was said is untrue."""

    class InThisWorld(Bookings):
        world = common_world

    run_state_machine_as_test(
        InThisWorld,
        settings=settings(
            max_examples=examples(8),
            stateful_step_count=14,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
