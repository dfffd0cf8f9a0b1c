"""
Answers of regions that are hardly SOAP, or lie; read by the adapter.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from builders import NORR, UNIT, schedule, subject
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.adapters.scheduling_1_1 import Scheduling11
from fhir_gateway.adapters.scheduling_1_1.options import options_from_mapping
from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.ids import BookingId, HsaId, LogicalAddress
from fhir_gateway.model.interaction import Actor
from fhir_gateway.model.scheduling import (
    CancelBooking,
    GetAllCareTypes,
    GetAllHealthcareFacilities,
    GetAllPerformers,
    GetAllTimeTypes,
    GetAvailableDates,
    GetAvailableTimeslots,
    GetBookingDetails,
    GetSubjectOfCareSchedule,
    MakeBooking,
    UpdateBooking,
)
from fhir_gateway.model.timeslot import Timeslot
from fhir_gateway.rivta.transport import Reply, Transport

from .canary import SENT_NUMBER, found, markers_of
from .stopwatch import Stopwatch
from .texts import TEXTS
from .tries import add_tries, is_full, tried

_FOLDER: Final = Path(__file__).parent.parent / "data" / "rivta"
_SAMPLES: Final = {
    path.name: path.read_bytes() for path in sorted(_FOLDER.glob("*.response.xml"))
}
_LONGEST_S: Final = 5.0
_PERSON: Final = subject()
_AGENT: Final = Actor.agent(HsaId("SE2321000016-X99"))
_ASKED: Final[dict[str, Any]] = {
    "unit": HsaId(UNIT),
    "actor": _AGENT,
    "subject_of_care": _PERSON.number,
}
_DAYS: Final[dict[str, Any]] = {
    "first_day": date(2026, 10, 1),
    "last_day": date(2026, 12, 31),
}
_FREE: Final = Timeslot(
    schedule=schedule(),
    start=datetime(2026, 10, 24, 6, 30, tzinfo=UTC),
    end=datetime(2026, 10, 24, 7, 0, tzinfo=UTC),
)
_BOOKING: Final = BookingId("B-4711")
_CALLS: Final[dict[str, Callable[[Scheduling11], Any]]] = {
    "GetAllTimeTypes": lambda adapter: adapter.get_all_time_types(
        GetAllTimeTypes(**_ASKED), timeout=5
    ),
    "GetAllCareTypes": lambda adapter: adapter.get_all_care_types(
        GetAllCareTypes(**_ASKED), timeout=5
    ),
    "GetAllPerformers": lambda adapter: adapter.get_all_performers(
        GetAllPerformers(**_ASKED), timeout=5
    ),
    "GetAllHealthcareFacilities": lambda adapter: adapter.get_all_healthcare_facilities(
        GetAllHealthcareFacilities(**_ASKED), timeout=5
    ),
    "GetAvailableDates": lambda adapter: adapter.get_available_dates(
        GetAvailableDates(**_ASKED, **_DAYS), timeout=5
    ),
    "GetAvailableTimeslots": lambda adapter: adapter.get_available_timeslots(
        GetAvailableTimeslots(**_ASKED, **_DAYS), timeout=5
    ),
    "GetBookingDetails": lambda adapter: adapter.get_booking_details(
        GetBookingDetails(unit=HsaId(UNIT), actor=_AGENT, booking_id=_BOOKING),
        timeout=5,
    ),
    "GetSubjectOfCareSchedule": lambda adapter: adapter.get_subject_of_care_schedule(
        GetSubjectOfCareSchedule(
            address=LogicalAddress(UNIT), actor=_AGENT, subject_of_care=_PERSON.number
        ),
        timeout=5,
    ),
    "MakeBooking": lambda adapter: adapter.make_booking(
        MakeBooking(timeslot=_FREE, subject_of_care=_PERSON), timeout=5
    ),
    "UpdateBooking": lambda adapter: adapter.update_booking(
        UpdateBooking(booking_id=_BOOKING, timeslot=_FREE, subject_of_care=_PERSON),
        timeout=5,
    ),
    "CancelBooking": lambda adapter: adapter.cancel_booking(
        CancelBooking(unit=HsaId(UNIT), booking_id=_BOOKING, actor=_AGENT), timeout=5
    ),
}

_BOMB: Final = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
_DOCTYPES: Final = [
    '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>',
    '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd">',
    '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:1/p"> %p;]>',
    f'<!DOCTYPE a [<!ENTITY e0 "ha">{_BOMB}]>',
    '<!DOCTYPE a [<!ENTITY x "' + "a" * 50_000 + '">]>',
    "<!DOCTYPE a>",
    "<!doctype html>",
]
_CHARSETS: Final = [
    *(None, "text/xml", "text/xml; charset=utf-16", "text/xml; charset=utf-7"),
    *("text/html", "multipart/related; boundary=x", "text/xml; charset=''", "x" * 999),
    *("text/xml;charset=ISO-8859-1", "application/soap+xml", "text/xml; charset=idna"),
]
_INSTANCE: Final = b'xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'
_TAG: Final = re.compile(rb"<[A-Za-z][^<>]*>")
_TEXT: Final = re.compile(rb">([^<>]*[^<>\s][^<>]*)<")


class Region(Transport):
    """A region that answers each call with the same bytes."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self._reply = reply

    def post(
        self,
        url: str,  # noqa: ARG002 - it listens to nothing
        document: bytes,  # noqa: ARG002 - it listens to nothing
        headers: Mapping[str, str],  # noqa: ARG002 - it listens to nothing
        *,
        timeout: float,  # noqa: ARG002 - it answers at once
        most_bytes: int,
    ) -> Reply:
        """Answer, as far as the answer may be long."""
        reply = self._reply
        return Reply(
            status=reply.status,
            body=reply.body[: most_bytes + 1],
            content_type=reply.content_type,
        )


def read(interaction: str, reply: Reply) -> None:
    """
    Read an answer: it is a result of the model, or an error without personal data.

    The interaction need not be the one that the answer belongs to.
    """
    adapter = Scheduling11(
        NORR,
        options_from_mapping({"endpoint": "http://127.0.0.1:1/{interaction}"}),
        transport=Region(reply),
    )
    differences: list[str] = []
    adapter.watch(lambda _, difference: differences.append(difference))
    stopwatch = Stopwatch()
    said = ""
    try:
        result = _CALLS[interaction](adapter)
        said = " ".join(
            str(getattr(result, name, "")) for name in ("left_out", "unreadable")
        )
    except GatewayError as error:
        said = f"{error} {error.log_text} {error!r}"
        notes = getattr(error, "__notes__", [])
        said += " ".join(notes)
    assert stopwatch.seconds < _LONGEST_S
    # A region's own words are shown as it says them, but for numbers.
    numbers = markers_of(SENT_NUMBER)
    assert not found(said + " ".join(differences), numbers), said


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, Reply]:
    """Return the recorded answer to a call, or another one, with damages."""
    name = draw(st.sampled_from(sorted(_SAMPLES)))
    interaction = name.partition(".")[0]
    if draw(st.integers(0, 9)) == 0:
        interaction = draw(st.sampled_from(sorted(_CALLS)))
    body = _SAMPLES[name]
    for _ in range(draw(st.integers(1, 3))):
        body = _damaged(draw, body)
    status = draw(st.sampled_from([200] * 8 + [500, 202, 204, 301, 404]))
    content_type = draw(st.just("text/xml; charset=utf-8") | st.sampled_from(_CHARSETS))
    return interaction, Reply(status=status, body=body, content_type=content_type)


def _damaged(draw: st.DrawFn, body: bytes) -> bytes:
    place = draw(st.integers(0, max(0, len(body) - 1)))
    match draw(st.sampled_from(range(16))):
        case 0:
            return body[:place]
        case 1 if body:
            flipped = bytearray(body)
            for at in draw(st.lists(st.integers(0, len(body) - 1), max_size=8)):
                flipped[at] ^= draw(st.integers(1, 255))
            return bytes(flipped)
        case 2:
            return body[:place] + draw(st.binary(max_size=12)) + body[place:]
        case 3:
            doctype = draw(st.sampled_from(_DOCTYPES)).encode()
            entity = draw(st.sampled_from([b"&x;", b"&e11;", b"&#0;", b"&#x1F600;"]))
            return _after_declaration(body, doctype, _at_text(draw, body, entity))
        case 4:
            inner = draw(st.sampled_from([b"<!-- a -->", b"<?a b?>", b"<![CDATA[1]]>"]))
            return _inside_text(draw, body, inner)
        case 5:
            return _at_text(draw, body, draw(TEXTS).encode(errors="replace"))
        case 6:
            deep = draw(st.sampled_from([100, 255, 257, 20_000]))
            return _at_text(draw, body, b"<a>" * deep + b"</a>" * deep)
        case 7:
            wide = draw(st.sampled_from([100, 5_000]))
            return _at_text(draw, body, b"<a/>" * wide)
        case 8:
            number = f"{SENT_NUMBER[:8]}-{SENT_NUMBER[8:]}"
            text = draw(st.sampled_from([SENT_NUMBER, number, f"för {number}, obs"]))
            return _at_text(draw, body, text.encode())
        case 9:
            return body.replace(
                draw(
                    st.sampled_from([b":1", b"urn:riv", b"schemas", b"Body", b"soap"])
                ),
                draw(st.sampled_from([b":2", b"urn:x", b"", b"Header", b"s", b"\xc3"])),
                draw(st.sampled_from([1, 99])),
            )
        case 10:
            attribute = draw(
                st.sampled_from(
                    [
                        b" %s i:nil='true'" % _INSTANCE,
                        b" %s i:type='i:x'" % _INSTANCE,
                        b' xmlns=""',
                        b' xmlns="urn:x"',
                        b" a='1' a='2'",
                        b"".join(b' a%d=""' % n for n in range(2_000)),
                    ]
                )
            )
            tag = _some(draw, _TAG, body)
            if tag is None or tag[0].endswith(b"/>"):
                return body
            return body[: tag.end() - 1] + attribute + body[tag.end() - 1 :]
        case 11:
            coding = draw(
                st.sampled_from(["utf-16", "utf-32", "latin-1", "utf-16-be", "cp037"])
            )
            return body.decode(errors="replace").encode(coding, "replace")
        case 12:
            declared = draw(
                st.sampled_from([b"UTF-16", b"ISO-8859-1", b"x", b"UTF-7", b"us-ascii"])
            )
            return re.sub(rb'encoding="[^"]*"', b'encoding="' + declared + b'"', body)
        case 13:
            tag = _some(draw, _TAG, body)
            return body if tag is None else body[: tag.start()] + body[tag.end() :]
        case 14:
            first, second = (draw(st.integers(0, len(body))) for _ in "ab")
            return body[: max(first, second)] + body[min(first, second) :]
        case _:
            return draw(st.sampled_from([b"", b"<a/>", b"<html>", b"\0", body + body]))


def _some(
    draw: st.DrawFn, pattern: re.Pattern[bytes], body: bytes
) -> re.Match[bytes] | None:
    matches = list(pattern.finditer(body))
    return draw(st.sampled_from(matches)) if matches else None


def _at_text(draw: st.DrawFn, body: bytes, text: bytes) -> bytes:
    """Return a document with one of its texts replaced."""
    match = _some(draw, _TEXT, body)
    return (
        body if match is None else body[: match.start(1)] + text + body[match.end(1) :]
    )


def _inside_text(draw: st.DrawFn, body: bytes, inner: bytes) -> bytes:
    match = _some(draw, _TEXT, body)
    if match is None:
        return body
    at = draw(st.integers(match.start(1), match.end(1)))
    return body[:at] + inner + body[at:]


def _after_declaration(body: bytes, doctype: bytes, rest: bytes) -> bytes:
    end = body.find(b"?>") + 2 if body.startswith(b"<?xml") else 0
    return rest[:end] + doctype + rest[end:]


@given(answer=answers())
@tried("XML replies", 0.6)
def test_an_answer_that_is_hardly_soap_is_read_or_is_a_fault(
    answer: tuple[str, Reply],
) -> None:
    """No damage makes the adapter fail, hang, or repeat what a region said."""
    read(*answer)


@pytest.mark.parametrize("name", sorted(_SAMPLES))
def test_an_answer_that_breaks_off_anywhere_is_a_fault(name: str) -> None:
    """A recorded answer that is cut off at any byte does not fail."""
    body = _SAMPLES[name]
    step = 1 if is_full() else max(1, len(body) // 5)
    for end in range(0, len(body), step):
        read(
            name.partition(".")[0],
            Reply(status=200, body=body[:end], content_type="text/xml"),
        )
        add_tries("XML replies")
