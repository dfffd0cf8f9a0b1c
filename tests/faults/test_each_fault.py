"""
Each fault by itself: what the client gets, and the outcome in the end.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from faults.clients import Client, Telephone, persons
from faults.fault import Fault
from faults.history import History, Kind, Operation
from faults.invariants import evidence_of, violations
from faults.world import SlotToBook, World
from fhir_gateway.model import scheduling
from fhir_gateway.model.interaction import Interaction

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("faults")]

QUIET_S: Final = 40.0

DONE: Final = {200, 201}
OPEN: Final = {202}
NO: Final = {409, 422, 503}

# What is said, and whether it has been done in the end.
_EXPECTED: Final = {
    Fault.NONE: (DONE, True),
    Fault.RESET_AFTER: (OPEN, True),
    Fault.CLOSED_AFTER: (OPEN, True),
    Fault.RESET_BEFORE: (OPEN, False),
    Fault.CLOSED_BEFORE: (OPEN, False),
    # The answer to the second delivery is a no, and no truth.
    Fault.TWICE: (DONE, True),
    # An answer that says nothing certain: the list is looked at at once.
    Fault.TWICE_VP009: (DONE, True),
    Fault.VP009_AFTER: (DONE, True),
    Fault.VP009_BEFORE: (OPEN, False),
    Fault.NEVER_REACHED: (OPEN, False),
    Fault.NEVER_REACHED_AFTER: (DONE, True),
    Fault.TWICE_NEVER_REACHED: (DONE, True),
    Fault.WRONG_STATUS: (DONE, True),
    Fault.WRONG_OK: (OPEN, False),
    Fault.EARLY_HINTS: (DONE, True),
    Fault.ANSWERED_TWICE: (DONE, True),
    Fault.TOO_MUCH: (DONE, True),
    Fault.COOKIE: (DONE, True),
    # Half a second before we give up: a slow machine may be too slow for it.
    Fault.ANSWER_LATE: (DONE | OPEN, True),
    Fault.ANSWER_TOO_LATE: (OPEN, True),
    Fault.ARRIVED_LATE: (OPEN, True),
    Fault.SILENT_AFTER: (OPEN, True),
    Fault.SILENT_BEFORE: (OPEN, False),
    Fault.SLOW_DRIP: (OPEN, True),
    Fault.TRUNCATED: (OPEN, True),
    Fault.TRUNCATED_XML: (DONE, True),
    Fault.CROSS_TALK: (DONE | OPEN, True),
    Fault.HTML: (DONE, True),
    Fault.NO_CONTENT: (DONE, True),
    Fault.WRONG_ENCODING: (DONE, True),
    # Those may take longer than the client waits, or than the write may.
    Fault.GZIP_BOMB: (DONE | OPEN, True),
    Fault.HUGE: (DONE | OPEN, True),
    Fault.REFUSED: (NO, False),
    Fault.INFO: (DONE, True),
    Fault.NO_ID: (DONE, True),
    Fault.EMPTY_ID: (DONE, True),
}


class Office:
    """Books, moves and cancels for persons of its own, and looks at the outcome."""

    def __init__(self, running: World) -> None:
        self.world = running
        self.history = History()
        self.client = Client(running, self.history)
        self.numbers = persons(range(980, 990))
        self.slots = self._slots()

    def _slots(self) -> Iterator[SlotToBook]:
        """Yield slots that can be moved between: of norr, one time type of one unit."""
        movable = [
            slot
            for slot in self.world.slots
            if slot.region == "norr" and slot.key[2] == "TT-COVID"
        ]
        unit = movable[0].key[0]
        yield from (slot for slot in movable if slot.key[0] == unit)

    def booked(self, person: str) -> str:
        """Book a slot for a person, and return the Appointment's id."""
        slot = next(self.slots)
        made = self.client.book(self.world.gateways[0], person, slot)
        while made.status == 503:
            # A busy machine may stand still for the second that a write may wait.
            made = self.client.book(self.world.gateways[0], person, slot)
        assert made.status == 201, made.diagnostics
        assert made.appointment is not None
        return made.appointment

    def broken(self) -> list[str]:
        """Let everything come to rest, and return which promises were broken."""
        self.world.heal()
        assert self.world.await_quiet(QUIET_S)
        return violations(evidence_of(self.world, self.history.all(), frozenset()))


@pytest.fixture(name="office")
def _office(running: World) -> Office:
    running.start()
    return Office(running)


def _faults_of(interaction: Interaction) -> list[Fault]:
    return [fault for fault in _EXPECTED if interaction in fault.interactions]


def _under_each_fault(
    office: Office, interaction: Interaction, ask: Callable[[str], Operation]
) -> dict[Fault, Operation]:
    faults = _faults_of(interaction)
    people = {fault: next(office.numbers) for fault in faults}
    for fault, person in people.items():
        office.world.spoil(interaction, fault, person=person)
    with ThreadPoolExecutor(8) as executor:
        answers = executor.map(lambda person: _patiently(ask, person), people.values())
        return dict(zip(people, answers, strict=True))


def _patiently(ask: Callable[[str], Operation], person: str) -> Operation:
    """Ask again where a busy machine stood still for the second that it has."""
    answer = ask(person)
    while answer.status == 503 and "was stopped" in answer.diagnostics:
        answer = ask(person)
    return answer


def _unexpected(office: Office, answers: dict[Fault, Operation]) -> list[str]:
    """Return what differs from what each fault should have led to."""
    wrong = []
    for fault, operation in answers.items():
        statuses, is_done = _EXPECTED[fault]
        if operation.status not in statuses:
            wrong.append(f"{fault.text}: {operation.status} {operation.diagnostics}")
        if operation.appointment is None:
            continue
        seen = office.client.read(
            office.world.gateways[0], operation.person, operation.appointment
        )
        if operation.kind is Kind.CANCEL:
            expected = "cancelled" if is_done else "booked"
        elif operation.kind is Kind.BOOK:
            expected = "booked" if is_done else "cancelled"
        else:
            expected = "booked"
            is_there = operation.slot is not None and (
                seen.stated_slot == operation.slot.token
            )
            if is_there is not is_done:
                wrong.append(f"{fault.text}: at {seen.stated_slot} in the end")
        if seen.stated != expected:
            wrong.append(f"{fault.text}: {seen.stated} in the end")
    return wrong


def test_every_fault_of_a_booking(office: Office) -> None:
    """For each fate of MakeBooking, the client gets the truth in the end."""
    answers = _under_each_fault(
        office,
        scheduling.MAKE_BOOKING,
        lambda person: office.client.book(
            office.world.gateways[0], person, next(office.slots)
        ),
    )

    assert office.broken() == []
    assert _unexpected(office, answers) == []


def test_every_fault_of_a_move(office: Office) -> None:
    """For each fate of UpdateBooking, the resident has one time or the other."""

    def move(person: str) -> Operation:
        identifier = office.booked(person)
        return office.client.move(
            office.world.gateways[0], person, identifier, next(office.slots)
        )

    answers = _under_each_fault(office, scheduling.UPDATE_BOOKING, move)

    assert office.broken() == []
    assert _unexpected(office, answers) == []


def test_every_fault_of_a_cancellation(office: Office) -> None:
    """For each fate of CancelBooking, it is one cancellation or none."""

    def cancel(person: str) -> Operation:
        identifier = office.booked(person)
        return office.client.cancel(office.world.gateways[0], person, identifier)

    answers = _under_each_fault(office, scheduling.CANCEL_BOOKING, cancel)

    assert office.broken() == []
    assert _unexpected(office, answers) == []


def test_a_double_of_the_platforms_raises_the_alarm(office: Office) -> None:
    """When the region books a second delivery too, the time is booked and reported."""
    office.world.sandbox.sell_naively(naively=True)
    person = next(office.numbers)
    office.world.spoil(scheduling.MAKE_BOOKING, Fault.TWICE, person=person)
    made = office.client.book(office.world.gateways[0], person, next(office.slots))
    evidence = evidence_of(office.world, office.history.all(), frozenset())

    assert made.status == 201
    assert len([each for each in evidence.owned if each.person == person]) == 2
    assert evidence.alarms == {made.appointment}
    assert office.broken() == []


def test_a_time_sold_by_telephone_is_gone(office: Office) -> None:
    """A client that wants it is answered 409, and nothing is sent."""
    telephone = Telephone(office.world)
    slot, person = next(office.slots), next(office.numbers)
    telephone.book(slot)
    refused = office.client.book(office.world.gateways[0], person, slot)
    telephone.close()

    assert refused.status == 409
    assert not [each for each in office.world.proxies["norr"].received if each.is_write]


def test_a_port_that_does_not_listen(office: Office) -> None:
    """Nothing can have been sent: 503 at once, and the time is free again after."""
    slot, person = next(office.slots), next(office.numbers)
    office.world.proxies["norr"].refuse_connections()
    refused = office.client.book(office.world.gateways[0], person, slot)
    office.world.heal()
    booked = office.client.book(office.world.gateways[0], person, slot)

    assert (refused.status, booked.status) == (503, 201)
    assert office.broken() == []


def test_a_port_that_answers_no_connection(office: Office) -> None:
    """A connection that is never answered is given up after 2 s."""
    slot, person = next(office.slots), next(office.numbers)
    office.world.proxies["norr"].ignore_connections()
    began = time.monotonic()
    refused = office.client.book(office.world.gateways[0], person, slot)
    took = time.monotonic() - began
    office.world.heal()

    assert refused.status == 503
    assert took < 6
    assert office.broken() == []
