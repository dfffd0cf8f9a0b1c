"""
Fault rules, and the ledger after each fault.
"""

import re
import socket
import time
from threading import Thread
from typing import Any

import pytest
import requests

from fhir_gateway.model.errors import (
    MalformedAnswer,
    SourceFault,
    Unavailable,
    WriteUnconfirmed,
)
from fhir_gateway.model.ids import LogicalAddress
from fhir_gateway.model.interaction import Actor
from fhir_gateway.rivta.client import FaultedWrite
from fhir_gateway.rivta.contract import Contract
from fhir_gateway.rivta.envelope import write_request
from fhir_gateway.rivta.scheduling_1_1 import get_all_time_types, make_booking
from fhir_gateway.sandbox.fault_rule import FaultKind
from fhir_gateway.sandbox.server import SandboxServer

from .consumer import TIMEOUT_S, TOLVAN, Consumer, SettableClock

WRITE = ["MakeBooking"]
SOON_S = 0.3


def _spoilt_write(
    consumer: Consumer, fault: str, **fields: Any
) -> tuple[dict[str, Any], int]:
    """Order a fault, book, and return the ledger's row and the bookings' number."""
    slot = consumer.slots()[0]
    consumer.fault(fault, interactions=WRITE, **fields)
    with pytest.raises(WriteUnconfirmed):
        consumer.send_make(consumer.make_request(slot), timeout=2)
    return consumer.writes()[-1], len(consumer.bookings())


def test_a_refused_read_is_reset(consumer: Consumer) -> None:
    """Refuse resets the connection of a read."""
    consumer.fault("refuse")

    with pytest.raises(Unavailable):
        consumer.time_types()


def test_a_refused_write_is_not_in_the_ledger(consumer: Consumer) -> None:
    """Refuse reads no body, so the write was never received."""
    slot = consumer.slots()[0]
    consumer.fault("refuse", interactions=WRITE)
    with pytest.raises(WriteUnconfirmed):
        consumer.make(slot)

    assert consumer.writes() == []


def test_refuse_can_be_for_one_unit(consumer: Consumer) -> None:
    """Refuse with units leaves the other units alone."""
    other = consumer.region.units[1]
    consumer.fault("refuse", units=[other.hsa_id])
    consumer.slots()

    with pytest.raises(Unavailable):
        consumer.slots(other)


def test_a_hanging_write_is_not_done(consumer: Consumer) -> None:
    """Hang gives no answer, and the ledger says that nothing was done."""
    row, bookings = _spoilt_write(consumer, "hang", seconds=SOON_S)

    assert (row["result"], row["done"], bookings) == (
        "DROPPED-BEFORE-PROCESSING",
        False,
        0,
    )


def test_a_late_answer_comes(consumer: Consumer) -> None:
    """Answer-late answers in full after so many seconds."""
    slot = consumer.slots()[0]
    consumer.fault("answer-late", interactions=WRITE, seconds=SOON_S)
    started = time.monotonic()
    result = consumer.make(slot)

    assert time.monotonic() - started >= SOON_S
    assert result.booking_id == consumer.bookings()[0]["booking_id"]


def test_a_write_that_is_too_late_is_done(consumer: Consumer) -> None:
    """Answer-late does the work at once, whether or not the client waits."""
    slot = consumer.slots()[0]
    consumer.fault("answer-late", interactions=WRITE, seconds=30)
    with pytest.raises(WriteUnconfirmed):
        consumer.send_make(consumer.make_request(slot), timeout=SOON_S)

    assert [row["result"] for row in consumer.writes()] == ["OK"]
    assert len(consumer.bookings()) == 1


def test_an_answer_dropped_after_processing_leaves_a_booking(
    consumer: Consumer,
) -> None:
    """Drop-after-processing does the work, and the ledger says so."""
    row, bookings = _spoilt_write(consumer, "drop-after-processing")

    assert (row["result"], row["done"], bookings) == (
        "DROPPED-AFTER-PROCESSING",
        True,
        1,
    )
    assert row["booking_id"] == consumer.bookings()[0]["booking_id"]


def test_a_call_dropped_before_processing_leaves_none(consumer: Consumer) -> None:
    """Drop-before-processing does nothing, and the ledger says so."""
    row, bookings = _spoilt_write(consumer, "drop-before-processing")

    assert (row["result"], row["done"], bookings) == (
        "DROPPED-BEFORE-PROCESSING",
        False,
        0,
    )


def test_nothing_is_delivered(consumer: Consumer) -> None:
    """Deliver-nothing is 200 with an empty body, and nothing is done."""
    row, bookings = _spoilt_write(consumer, "deliver-nothing")

    assert (row["done"], bookings) == (False, 0)
    with pytest.raises(MalformedAnswer):
        _ask_after(consumer, "deliver-nothing")


def test_nothing_is_delivered_after_processing(consumer: Consumer) -> None:
    """Deliver-nothing can come after the work was done."""
    row, bookings = _spoilt_write(consumer, "deliver-nothing", after=True)

    assert (row["result"], row["done"], bookings) == (
        "DROPPED-AFTER-PROCESSING",
        True,
        1,
    )


def _ask_after(consumer: Consumer, fault: str, **fields: Any) -> Any:
    consumer.fault(fault, **fields)
    return consumer.time_types()


def test_a_list_is_empty(consumer: Consumer) -> None:
    """Empty is a valid answer without items."""
    assert _ask_after(consumer, "empty").list_of_time_types == ()


def test_an_aggregated_schedule_is_empty(norr: Consumer) -> None:
    """Empty leaves an aggregated answer with an empty ProcessingStatus."""
    norr.fault("empty")
    answer = norr.schedule_answer(TOLVAN, "25")

    assert (answer.response.timeslot_detail, answer.processing_status) == ((), ())


def test_a_platform_fault_has_its_code(consumer: Consumer) -> None:
    """Vp-fault answers a fault with the code that was asked for."""
    with pytest.raises(SourceFault) as raised:
        _ask_after(consumer, "vp-fault", code="VP007")

    assert raised.value.code == "VP007"


@pytest.mark.parametrize("after", [True, False], ids=["after", "before"])
def test_a_platform_fault_comes_after_or_before(
    consumer: Consumer, *, after: bool
) -> None:
    """Vp-fault comes before the work or after it, and the ledger says which."""
    row, bookings = _spoilt_write(consumer, "vp-fault", after=after)

    assert (row["result"], row["done"], bookings) == ("FAULT", after, int(after))


@pytest.mark.parametrize("after", [True, False], ids=["after", "before"])
@pytest.mark.parametrize("status", [202, 404, 500])
def test_an_ok_under_a_wrong_status_is_done_or_not(
    consumer: Consumer, status: int, *, after: bool
) -> None:
    """Wrong-status says OK under a status, after the work or without any."""
    slot = consumer.slots()[0]
    consumer.fault("wrong-status", status=status, after=after)
    answer = requests.post(
        consumer.server.endpoint(consumer.name),
        data=_document(consumer, make_booking.CONTRACT, consumer.make_request(slot)),
        headers={"SOAPAction": make_booking.CONTRACT.action},
        timeout=TIMEOUT_S,
    )

    assert (answer.status_code, b"resultCode>OK<" in answer.content) == (status, True)
    assert len(consumer.bookings()) == int(after)


def test_a_list_comes_under_a_wrong_status(consumer: Consumer) -> None:
    """Wrong-status answers a read as it would have, and nobody believes it."""
    with pytest.raises(SourceFault, match="HTTP status 500"):
        _ask_after(consumer, "wrong-status")


def _document(
    consumer: Consumer, contract: Contract[Any, Any], request: object
) -> bytes:
    return write_request(
        contract,
        request,
        logical_address=LogicalAddress(consumer.unit.hsa_id),
        actor=Actor.agent(consumer.region.agent),
    )


def _exchanged(consumer: Consumer, until: int) -> bytes:
    """Ask for time types over a connection that is kept; return all that comes."""
    host, _, port = consumer.server.url.removeprefix("http://").partition(":")
    request = get_all_time_types.Request(
        healthcare_facility=consumer.unit.hsa_id, subject_of_care=TOLVAN
    )
    document = _document(consumer, get_all_time_types.CONTRACT, request)
    with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as connection:
        connection.sendall(
            f"POST /rivta/{consumer.name} HTTP/1.1\r\nHost: {host}\r\n"
            f'SOAPAction: "{get_all_time_types.CONTRACT.action}"\r\n'
            f"Content-Length: {len(document)}\r\n\r\n".encode()
            + document
        )
        received = b""
        while received.count(b":Envelope>") < until:
            received += connection.recv(65_536)
    return received


@pytest.mark.parametrize("status", [102, 103])
def test_hints_come_before_the_answer(consumer: Consumer, status: int) -> None:
    """Early-hints sends an interim answer, and after a while the final one."""
    consumer.fault("early-hints", status=status, seconds=0.05)
    received = _exchanged(consumer, until=1)

    assert re.findall(rb"HTTP/1.1 ([0-9]{3}) ", received) == [b"%d" % status, b"200"]


def test_hints_are_skipped(consumer: Consumer) -> None:
    """A client that knows HTTP reads the answer after the hints, and none twice."""
    consumer.fault("early-hints", seconds=0.01)

    assert consumer.slots()
    assert consumer.time_types()


def test_an_answer_comes_twice(consumer: Consumer) -> None:
    """Answer-twice sends the answer once more, where the next one should come."""
    consumer.fault("answer-twice", seconds=0.01)
    received = _exchanged(consumer, until=2)

    first, second = re.split(rb"(?=HTTP/1.1 200 )", received)[1:]
    assert first.partition(b"\r\n\r\n")[2] == second.partition(b"\r\n\r\n")[2]


def test_a_cookie_is_set(consumer: Consumer) -> None:
    """Set-cookie answers as ever, with a cookie."""
    consumer.fault("set-cookie")

    assert b"\r\nSet-Cookie: JSESSIONID=" in _exchanged(consumer, until=1)


def test_an_error_is_not_done(consumer: Consumer) -> None:
    """Error answers resultCode ERROR with the text, and nothing is done."""
    slot = consumer.slots()[0]
    consumer.fault("error", text="Nej.")
    result = consumer.make(slot)

    assert (result.result_code, result.result_text) == ("ERROR", "Nej.")
    assert [(row["result"], row["done"]) for row in consumer.writes()] == [
        ("ERROR", False)
    ]
    assert consumer.bookings() == []


def test_info_is_done(consumer: Consumer) -> None:
    """Info answers resultCode INFO with the text, and the work is done."""
    slot = consumer.slots_of("covid")[0]
    consumer.fault("info", text="Ta med legitimation.")
    result = consumer.make(slot)

    assert (result.result_code, result.result_text) == ("INFO", "Ta med legitimation.")
    assert [(row["result"], row["done"]) for row in consumer.writes()] == [
        ("INFO", True)
    ]
    assert len(consumer.bookings()) == 1


def test_a_fault_can_be_counted(consumer: Consumer) -> None:
    """A count of two spoils two calls and no third."""
    consumer.fault("vp-fault", count=2)
    for _ in range(2):
        with pytest.raises(SourceFault):
            consumer.time_types()

    assert consumer.time_types()
    assert consumer.faults() == []


def test_a_fault_can_be_for_some_interactions(consumer: Consumer) -> None:
    """A fault for writes leaves the reads alone."""
    consumer.fault("vp-fault", interactions=["MakeBooking"])
    slot = consumer.slots()[0]

    with pytest.raises(FaultedWrite):
        consumer.make(slot)


def test_a_fault_stays_in_its_region(norr: Consumer, syd: Consumer) -> None:
    """A fault in one region is none in another."""
    norr.fault("vp-fault")

    assert syd.time_types()


def test_faults_are_shown(consumer: Consumer) -> None:
    """GET /faults shows what applies, with what is left of the count."""
    consumer.fault("hang", count=3, seconds=2, interactions=["GetAllTimeTypes"])

    assert consumer.faults() == [
        {
            "fault": "hang",
            "interactions": ["GetAllTimeTypes"],
            "units": [],
            "count": 3,
            "seconds": 2.0,
            "code": "VP009",
            "status": 500,
            "after": False,
            "text": "",
        }
    ]


def test_faults_are_cleared(consumer: Consumer) -> None:
    """DELETE /faults ends every fault of the region."""
    consumer.fault("vp-fault")
    url = f"{consumer.server.url}/faults/{consumer.name}"
    answer = requests.delete(url, timeout=TIMEOUT_S)

    assert answer.json() == {"region": consumer.name, "faults": []}
    assert consumer.time_types()


@pytest.mark.parametrize(
    ("rule", "hint"),
    [
        pytest.param({"fault": "explode"}, "unknown fault", id="an unknown kind"),
        pytest.param({}, "unknown fault", id="no kind"),
        pytest.param([], "expected a JSON object", id="a list"),
        pytest.param(
            {"fault": "hang", "second": 1}, "unknown field 'second'", id="a misspelling"
        ),
        pytest.param({"fault": "hang", "count": 0}, "count must", id="a count of none"),
        pytest.param({"fault": "hang", "count": True}, "count must", id="a true count"),
        pytest.param(
            {"fault": "hang", "seconds": -1}, "seconds must", id="a negative time"
        ),
        pytest.param(
            {"fault": "hang", "interactions": ["Ping"]},
            "interactions for 'hang'",
            id="an unknown interaction",
        ),
        pytest.param(
            {"fault": "hang", "interactions": []}, "interactions for", id="no calls"
        ),
        pytest.param(
            {"fault": "error", "interactions": ["GetAllTimeTypes"]},
            "CancelBooking, MakeBooking, UpdateBooking",
            id="an error to a read",
        ),
        pytest.param(
            {"fault": "hang", "units": "all"}, "units must", id="units as a text"
        ),
        pytest.param(
            {"fault": "vp-fault", "after": "yes"}, "after must", id="after as a text"
        ),
        pytest.param({"fault": "vp-fault", "code": 9}, "code must", id="a number"),
        pytest.param(
            {"fault": "early-hints", "status": 200},
            "status of 'early-hints' must be from 100 to 199",
            id="a final status as a hint",
        ),
        pytest.param(
            {"fault": "wrong-status", "status": "500"},
            "status of 'wrong-status' must be from 200 to 599",
            id="a status as a text",
        ),
        pytest.param(
            {"fault": "wrong-status", "status": True}, "status of", id="a true status"
        ),
    ],
)
def test_a_bad_rule_is_refused(norr: Consumer, rule: Any, hint: str) -> None:
    """A rule that says nothing valid is 400 with what would be valid."""
    answer = requests.post(
        f"{norr.server.url}/faults/norr", json=rule, timeout=TIMEOUT_S
    )

    assert answer.status_code == 400
    assert hint in answer.json()["error"]
    assert answer.json()["fault_kinds"] == [kind.value for kind in FaultKind]
    assert norr.faults() == []


def test_a_rule_must_be_json(norr: Consumer) -> None:
    """A body that is no JSON is 400."""
    answer = requests.post(
        f"{norr.server.url}/faults/norr", data=b"{", timeout=TIMEOUT_S
    )

    assert (answer.status_code, answer.json()["error"]) == (400, "not JSON")


def test_what_hangs_is_let_go_when_the_server_stops() -> None:
    """A stop ends a hang of an hour at once."""
    server = SandboxServer(port=0, slots=1_000, clock=SettableClock())
    server.start()
    consumer = Consumer(server, "norr")
    consumer.fault("hang", seconds=3_600, count=1)
    ended: list[bool] = []

    def ask() -> None:
        with pytest.raises(Unavailable):
            consumer.time_types()
        ended.append(True)

    thread = Thread(target=ask)
    thread.start()
    while consumer.faults():
        """Wait until the call has been counted: then it hangs."""
    started = time.monotonic()
    server.stop()
    thread.join(TIMEOUT_S)

    assert ended == [True]
    assert time.monotonic() - started < 10
