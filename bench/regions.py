"""
The simulated world's sources, answering SOAP in a process of their own.

    python -m bench.regions PORT SLOTS

Every answer about free times has other times than the one before. A GET returns the
number of answers; a PUT names in its body the source that hangs from now on, 30 s
a call, or none.
"""

import itertools
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

from bench.world import World
from fhir_gateway.model.timekeeping import (
    at_start_of_day,
    civil_date,
    civil_time_text,
    now,
)
from fhir_gateway.model.timeslot import TimeType
from fhir_gateway.rivta.envelope import (
    CONTENT_TYPE,
    Call,
    read_call,
    read_request,
    write_response,
)
from fhir_gateway.rivta.scheduling_1_1 import (
    get_all_performers,
    get_all_time_types,
    get_available_timeslots,
    get_subject_of_care_schedule,
)
from fhir_gateway.rivta.scheduling_1_1.types import TimeslotType, TimeTypeType

__all__ = ["Regions"]

_HANGING_S = 30.0
_AT = timedelta(hours=9)
_LASTS = timedelta(minutes=30)


class Regions:
    """
    What the sources of a world answer.

    Args:
        world: What they have.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = Random(world.seed)  # noqa: S311 - data, not secrets
        self._lock = threading.Lock()
        self._persons: dict[str | None, int] = {}
        self._units = {str(each.hsa_id): n for n, each in enumerate(world.all_units())}
        self._answers: dict[str, Callable[[Call], bytes]] = {
            f"{{{contract.namespace}}}{contract.interaction.name}": answer
            for contract, answer in (
                (get_all_time_types.CONTRACT, self._time_types),
                (get_all_performers.CONTRACT, self._performers),
                (get_available_timeslots.CONTRACT, self._timeslots),
                (get_subject_of_care_schedule.CONTRACT, self._schedule),
            )
        }

    def answer(self, document: bytes) -> tuple[str, bytes]:
        """Return which source a message is for, and what that answers."""
        call = read_call(document)
        address = str(call.logical_address)
        number = self._units[address]
        source = self._world.source_names()[number % self._world.sources]
        return source, self._answers[call.action](call)

    def _time_types(self, call: Call) -> bytes:
        request = read_request(get_all_time_types.CONTRACT, call)
        return write_response(
            get_all_time_types.CONTRACT,
            get_all_time_types.Response(
                list_of_time_types=tuple(
                    TimeTypeType(time_type_name=each.name, time_type_id=each.id)
                    for each in self._offered(request)
                )
            ),
        )

    def _performers(self, _: Call) -> bytes:
        return write_response(
            get_all_performers.CONTRACT, get_all_performers.Response()
        )

    def _timeslots(self, call: Call) -> bytes:
        request = read_request(get_available_timeslots.CONTRACT, call)
        number = self._units[request.healthcare_facility]  # type: ignore[index] # likewise
        (time_type,) = (
            each for each in self._offered(request) if each.id == request.time_type_id
        )
        with self._lock:
            timeslots = self._world.timeslots(number, time_type, self._chance)
        return write_response(
            get_available_timeslots.CONTRACT,
            get_available_timeslots.Response(
                timeslot_detail=tuple(
                    TimeslotType(
                        start_time_inclusive=civil_time_text(each.start),
                        end_time_exclusive=civil_time_text(each.end),
                        healthcare_facility=each.schedule.unit,
                        performer=each.schedule.performer,
                        performer_name=each.schedule.performer_name,
                        time_type_name=each.schedule.time_type_name,
                        time_type_id=each.schedule.time_type_id,
                        cancel_booking_allowed=True,
                        rebooking_allowed=True,
                        message_allowed=True,
                    )
                    for each in timeslots
                )
            ),
        )

    def _schedule(self, call: Call) -> bytes:
        """Return one booking of the resident at the unit that is asked."""
        request = read_request(get_subject_of_care_schedule.CONTRACT, call)
        unit = request.healthcare_facility
        start = at_start_of_day(civil_date(now()) + timedelta(days=7)) + _AT
        with self._lock:
            person = self._persons.setdefault(
                request.subject_of_care, len(self._persons)
            )
        return write_response(
            get_subject_of_care_schedule.CONTRACT,
            get_subject_of_care_schedule.Response(
                timeslot_detail=(
                    TimeslotType(
                        start_time_inclusive=civil_time_text(start),
                        end_time_exclusive=civil_time_text(start + _LASTS),
                        healthcare_facility=unit,
                        booking_id=f"B{person}",
                        subject_of_care=request.subject_of_care,
                        time_type_name="Besök",
                        time_type_id="TT00",
                        cancel_booking_allowed=True,
                        rebooking_allowed=True,
                        message_allowed=True,
                    ),
                )
            ),
        )

    def _offered(self, request: Any) -> tuple[TimeType, ...]:  # noqa: ANN401 - any request that names a unit
        return self._world.time_types(self._units[request.healthcare_facility])


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, regions: Regions) -> None:
        self.regions = regions
        self.hanging = ""
        self.healed = threading.Event()
        self.answers = itertools.count()
        self.answered = 0
        super().__init__(("127.0.0.1", port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # A hanging answer has nobody to hear it after a while; neither has a dead client.
    timeout = 60
    server: _Server

    def do_POST(self) -> None:
        """Answer a message, or hang."""
        source, body = self.server.regions.answer(self._body())
        if source == self.server.hanging:
            self.server.healed.wait(_HANGING_S)
        self.server.answered = next(self.server.answers) + 1
        self._send(200, CONTENT_TYPE, body)

    def do_GET(self) -> None:
        """Say how many answers there have been."""
        self._send(200, "text/plain", str(self.server.answered).encode())

    def do_PUT(self) -> None:
        """Let a source hang, and what hung before answer."""
        self.server.hanging = self._body().decode()
        self.server.healed.set()
        self.server.healed = threading.Event()
        self._send(204, "text/plain", b"")

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    with _Server(int(sys.argv[1]), Regions(World(slots=int(sys.argv[2])))) as listening:
        listening.serve_forever()
