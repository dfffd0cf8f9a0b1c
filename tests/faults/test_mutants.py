"""
The checker is checked: a program with one promise taken out is found out.
"""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from itertools import islice

import pytest

from faults.clients import Client, persons
from faults.fault import Fault
from faults.history import History, Operation
from faults.invariants import evidence_of, violations
from faults.world import SlotToBook, World
from fhir_gateway.model import scheduling

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("faults")]

QUIET_S = 25.0

# Whom no other test books for: what the regions have sold stays sold, and a booking of
# another test at the same start is one that only a person can distinguish.
_PERSONS = islice(persons(range(980, 990)), 100_000, None)


def _found_in(running: World, history: History) -> Counter[str]:
    """Let a world come to rest, and return which promises were broken how often."""
    running.heal()
    assert running.await_quiet(QUIET_S)
    return _broken_in(running, history)


def _broken_in(running: World, history: History) -> Counter[str]:
    """Return which promises are broken at this moment, and how often."""
    evidence = evidence_of(running, history.all(), frozenset())
    return Counter(each.partition(":")[0] for each in violations(evidence))


def _slots(running: World) -> list[SlotToBook]:
    """Return slots with one place, of norr."""
    return [
        slot for slot in running.slots if slot.region == "norr" and slot.places == 1
    ]


def _at_once(*requests: Callable[[], Operation]) -> None:
    threads = [threading.Thread(target=each) for each in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _race_for_slots(running: World, mutant: str) -> Counter[str]:
    """Let two residents want the same times at the same moments."""
    running.begin_anew(mutant=mutant)
    running.sandbox.sell_naively(naively=True)
    gateway = running.gateways[0]
    running.start(gateway)
    history = History()
    client = Client(running, history)
    for slot in _slots(running)[:6]:
        first, second = next(_PERSONS), next(_PERSONS)
        _at_once(
            lambda slot=slot, person=first: client.book(gateway, person, slot),
            lambda slot=slot, person=second: client.book(gateway, person, slot),
        )
    return _found_in(running, history)


def test_the_index_alone_keeps_two_residents_apart(running: World) -> None:
    """Two writers that take no lock sell each time once."""
    assert _race_for_slots(running, "hasty") == {}


def test_without_the_index_a_time_is_sold_twice(running: World) -> None:
    """The same writers without the index sell a time twice, and that is seen."""
    found = _race_for_slots(running, "hasty without the index")

    assert found["two owners"] > 0
    assert found["impossible orders"] > 0


def _dies_after_the_answer(running: World, mutant: str) -> Counter[str]:
    """Let a gateway die when the region has said yes and nothing is settled."""
    running.begin_anew(mutant=mutant)
    gateway, other = running.gateways
    running.start(*running.reconcilers, other)
    running.start(gateway, crash_at="MAKE:after-answer:kill")
    history = History()
    client = Client(running, history)
    person, slot = next(_PERSONS), _slots(running)[0]
    client.book(gateway, person, slot)
    # Long after its lease the reconciler has settled what is left.
    running.clock.forward(250)
    running.await_quiet(QUIET_S)
    client.book(other, person, slot)
    return _found_in(running, history)


def test_what_was_sent_before_a_crash_is_found(running: World) -> None:
    """A gateway that died after the region's yes has lied to nobody."""
    assert _dies_after_the_answer(running, "none") == {}


def test_a_send_before_its_commit_is_seen(running: World) -> None:
    """Sent before it was written down, a booking is given up, and that is seen."""
    found = _dies_after_the_answer(running, "sent before the commit")

    assert found["sent too often"] > 0
    assert found["disagreements"] > 0


def test_somebody_elses_appointment_is_seen(running: World) -> None:
    """An answer with the Appointment of the one who has the time is found out."""
    running.begin_anew(mutant="anybody's booking")
    gateway = running.gateways[0]
    running.start(gateway)
    history = History()
    client = Client(running, history)
    slot = _slots(running)[0]
    for _ in range(2):
        client.book(gateway, next(_PERSONS), slot)

    assert _found_in(running, history)["not their own"] == 1


def _books_under(running: World, mutant: str, fault: Fault) -> Counter[str]:
    """Let one MakeBooking go wrong."""
    running.begin_anew(mutant=mutant)
    running.start()
    history = History()
    running.spoil(scheduling.MAKE_BOOKING, fault)
    Client(running, history).book(
        running.gateways[0], next(_PERSONS), _slots(running)[0]
    )
    return _found_in(running, history)


LATE_FAULTS = pytest.mark.parametrize(
    "fault",
    [Fault.VP009_AFTER, Fault.NEVER_REACHED_AFTER, Fault.TWICE_NEVER_REACHED],
    ids=lambda fault: fault.text,
)


@LATE_FAULTS
def test_a_fault_is_no_no(running: World, fault: Fault) -> None:
    """After a fault nothing is said that is not so."""
    assert _books_under(running, "none", fault) == {}


@LATE_FAULTS
def test_a_fault_read_as_no_is_seen(running: World, fault: Fault) -> None:
    """Said to be a no, it leaves a booking that nobody knows of, and that is seen."""
    found = _books_under(running, "a fault read as no", fault)

    assert found["untrue no"] > 0
    assert found["disagreements"] > 0


def test_ok_under_another_status_is_no_yes(running: World) -> None:
    """After OK under a status of failure nothing is said that is not so."""
    assert _books_under(running, "none", Fault.WRONG_OK) == {}


def test_a_status_that_nobody_looks_at_is_seen(running: World) -> None:
    """A yes under a status of failure, believed while no list can be read, is seen."""
    running.begin_anew(mutant="any status believed")
    running.start()
    history = History()
    running.spoil(scheduling.MAKE_BOOKING, Fault.WRONG_OK)
    running.spoil(scheduling.GET_SUBJECT_OF_CARE_SCHEDULE, Fault.HTML)
    Client(running, history).book(
        running.gateways[0], next(_PERSONS), _slots(running)[0]
    )
    found = _broken_in(running, history)

    assert found["untrue yes"] > 0


def test_a_status_that_nobody_looks_at_is_outweighed_by_the_list(
    running: World,
) -> None:
    """A yes that is wrong and believed is no "booked" where the list can be read."""
    running.begin_anew(mutant="any status believed")
    running.start()
    history = History()
    running.spoil(scheduling.MAKE_BOOKING, Fault.WRONG_OK)
    Client(running, history).book(
        running.gateways[0], next(_PERSONS), _slots(running)[0]
    )

    # The region contradicts itself, so that only a person can settle it.
    assert _broken_in(running, history) == {"unsettled": 1}


def _reads_out_of_step(running: World, mutant: str) -> Counter[str]:
    """
    Let the list of one resident, empty, come late, as another's list is asked for.

    The other's cancellation was never carried out: only the list can show it.
    """
    running.begin_anew(mutant=mutant)
    gateway = running.gateways[0]
    running.start(gateway)
    history = History()
    client = Client(running, history)
    lost, booked = next(_PERSONS), next(_PERSONS)
    slot, other = _slots(running)[:2]
    running.spoil(scheduling.MAKE_BOOKING, Fault.CLOSED_BEFORE, person=lost)
    pending = client.book(gateway, lost, slot)
    made = client.book(gateway, booked, other)
    assert pending.appointment is not None
    assert made.appointment is not None
    running.spoil(scheduling.CANCEL_BOOKING, Fault.CLOSED_BEFORE, person=booked)
    client.cancel(gateway, booked, made.appointment)
    running.spoil(
        scheduling.GET_SUBJECT_OF_CARE_SCHEDULE, Fault.EARLY_HINTS, person=lost
    )
    client.read(gateway, lost, pending.appointment)
    client.read(gateway, booked, made.appointment)
    running.start(*running.reconcilers)
    return _found_in(running, history)


def test_answers_out_of_step_harm_nobody(running: World) -> None:
    """An empty list that comes late is no other resident's."""
    assert _reads_out_of_step(running, "none") == {}


def test_answers_that_are_mixed_up_are_not_believed(running: World) -> None:
    """On a kept connection another answer comes, of neither the id nor the person."""
    assert _reads_out_of_step(running, "connections kept") == {}


def _books_twice_with_cookies(running: World, mutant: str) -> Counter[str]:
    running.begin_anew(mutant=mutant)
    running.start()
    history = History()
    client = Client(running, history)
    for slot in _slots(running)[:2]:
        person = next(_PERSONS)
        running.spoil(scheduling.MAKE_BOOKING, Fault.COOKIE, person=person)
        client.book(running.gateways[0], person, slot)
    return _found_in(running, history)


def test_no_cookie_comes_back(running: World) -> None:
    """What one resident's booking sets is not in another's."""
    assert _books_twice_with_cookies(running, "none") == {}


def test_a_cookie_that_comes_back_is_seen(running: World) -> None:
    """A program that keeps cookies is found out."""
    assert _books_twice_with_cookies(running, "connections kept")["leaks"] > 0


def test_a_second_sending_is_seen(running: World) -> None:
    """A program that sends again what it does not know the outcome of is found out."""
    running.begin_anew(mutant="SENT sent again")
    running.sandbox.sell_naively(naively=True)
    running.start()
    history = History()
    running.spoil(scheduling.MAKE_BOOKING, Fault.RESET_AFTER)
    Client(running, history).book(
        running.gateways[0], next(_PERSONS), _slots(running)[0]
    )
    found = _found_in(running, history)

    assert found["sent too often"] > 0
    assert found["two owners"] > 0


def test_what_nobody_settles_is_seen(running: World) -> None:
    """What is left unknown when all is quiet is a broken promise."""
    gateway = running.gateways[0]
    running.start(gateway)
    history = History()
    running.spoil(scheduling.MAKE_BOOKING, Fault.RESET_AFTER)
    Client(running, history).book(gateway, next(_PERSONS), _slots(running)[0])
    evidence = evidence_of(running, history.all(), frozenset())

    assert "unsettled: 1 MAKE UNKNOWN" in violations(evidence)


def test_a_stopped_gateway_does_not_send_late(running: World) -> None:
    """Stopped between commit and first byte for longer than its lease, it sends not."""
    gateway = running.gateways[0]
    running.start(*running.reconcilers)
    running.start(gateway, crash_at="MAKE:after-sent:stop")
    history = History()
    client = Client(running, history)
    person, slot = next(_PERSONS), _slots(running)[0]
    asking = threading.Thread(target=client.book, args=(gateway, person, slot))
    asking.start()
    until = time.monotonic() + QUIET_S
    while not running.stands_still(gateway) and time.monotonic() < until:
        time.sleep(0.02)
    running.clock.forward(130)
    assert running.await_quiet(QUIET_S)
    running.signal(gateway, signal.SIGCONT)
    asking.join()

    assert _found_in(running, history) == {}
    assert not [each for each in running.proxies["norr"].received if each.is_write]
