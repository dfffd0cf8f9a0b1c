"""
Clients that book, repeat, move, cancel and read over HTTP, all at once.
"""

import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from web.bodies import FHIR_JSON, JSON_PATCH, appointment
from web.dialects import BOOKINGS, CANCELLATIONS, HOLDS, MOVES, appointment_in

from faults.history import NEVER_SENT, History, Kind, Operation, Outcome
from faults.world import Part, SlotToBook, World
from fhir_gateway.adapters.scheduling_1_1 import Scheduling11
from fhir_gateway.adapters.scheduling_1_1.options import options_from_mapping
from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.person import PersonalIdentityNumber, SubjectOfCare
from fhir_gateway.model.scheduling import MakeBooking

__all__ = ["FAMILY_NAME", "Client", "Driver", "Telephone", "persons"]

# It stands nowhere else: to see it in a log or a URL is to see a leak.
FAMILY_NAME: Final = "Kanariefågelsson"

_TIMEOUT_S: Final = 20.0
_TRIES: Final = 3
_DOWN_PAUSE_S: Final = 0.1
_MOST_KEPT: Final = 4000
_SHARE_ALIKE: Final = 0.85
_SHARE_KEYED: Final = 0.4
_SHARE_HELD: Final = 0.1
_SHARE_BY_STAFF: Final = 0.1
_SHARE_OF_OPERATIONS: Final = 0.3
# Those that need to know no more of an appointment than its id.
_MOVED_BY: Final = ("argonaut", "medplum")
_CANCELLED_BY: Final = ("argonaut", "medplum", "on the instance")


def persons(serials: range) -> Iterator[str]:
    """Yield numbers that no resident has: Skatteverket keeps serials from 980."""
    for year in range(1940, 2000):
        for month in range(1, 13):
            for day in range(1, 29):
                for serial in serials:
                    yield _with_check_digit(f"{year}{month:02}{day:02}{serial}")


def _with_check_digit(digits: str) -> str:
    doubled = [
        int(digit) * (2 if index % 2 == 0 else 1)
        for index, digit in enumerate(digits[2:])
    ]
    total = sum(value // 10 + value % 10 for value in doubled)
    return f"{digits}{-total % 10}"


class Client:
    """One client: says what it asks, and writes down what it is answered."""

    def __init__(self, world: World, history: History) -> None:
        self._world = world
        self._history = history

    def hold(
        self,
        part: Part,
        person: str,
        slot: SlotToBook,
        *,
        dialect: str = "plain",
        role: str = "resident",
    ) -> Operation:
        """Hold a slot; no region hears of it."""
        return self._do(
            part,
            Operation(
                kind=Kind.HOLD,
                person=person,
                slot=slot,
                dialect=dialect,
            ),
            "POST",
            "/fhir/Appointment/$hold",
            _named(HOLDS[dialect](slot.token, person)),
            FHIR_JSON,
            role=role,
        )

    def book(
        self,
        part: Part,
        person: str,
        slot: SlotToBook,
        *,
        key: str | None = None,
        dialect: str = "rest",
        role: str = "resident",
    ) -> Operation:
        """Book a slot, under a key of the client's if there is one."""
        is_rest = dialect == "rest"
        body = (appointment if is_rest else BOOKINGS[dialect])(slot.token, person)
        return self._do(
            part,
            Operation(
                kind=Kind.BOOK,
                person=person,
                slot=slot,
                dialect=dialect,
            ),
            "POST",
            "/fhir/Appointment" if is_rest else "/fhir/Appointment/$book",
            _named(body),
            FHIR_JSON,
            {} if key is None else {"Idempotency-Key": key},
            role=role,
        )

    def move(
        self,
        part: Part,
        person: str,
        identifier: str,
        slot: SlotToBook,
        *,
        dialect: str = "rest",
    ) -> Operation:
        """Move a booking to another slot."""
        operation = Operation(
            kind=Kind.MOVE,
            person=person,
            slot=slot,
            appointment=identifier,
            dialect=dialect,
        )
        if dialect != "rest":
            return self._call(
                part, operation, *MOVES[dialect]({"id": identifier}, slot.token)
            )
        change = {
            "op": "replace",
            "path": "/slot/0/reference",
            "value": f"Slot/{slot.token}",
        }
        return self._do(
            part,
            operation,
            "PATCH",
            f"/fhir/Appointment/{identifier}",
            [change],
            JSON_PATCH,
        )

    def cancel(
        self, part: Part, person: str, identifier: str, *, dialect: str = "rest"
    ) -> Operation:
        """Cancel a booking."""
        operation = Operation(
            kind=Kind.CANCEL,
            person=person,
            appointment=identifier,
            dialect=dialect,
        )
        if dialect != "rest":
            return self._call(
                part, operation, *CANCELLATIONS[dialect]({"id": identifier})
            )
        return self._do(
            part,
            operation,
            "PATCH",
            f"/fhir/Appointment/{identifier}",
            [{"op": "replace", "path": "/status", "value": "cancelled"}],
            JSON_PATCH,
        )

    def read(self, part: Part, person: str, identifier: str) -> Operation:
        """Read a booking."""
        return self._do(
            part,
            Operation(
                kind=Kind.READ,
                person=person,
                appointment=identifier,
            ),
            "GET",
            f"/fhir/Appointment/{identifier}",
        )

    def snoop(self, part: Part, person: str | None, role: str, use: str) -> int | None:
        """
        Ask for somebody else's appointment; return the status, None without an answer.

        Args:
            part: Whom to ask.
            person: Who asks.
            role: Their role.
            use: Method and path.
        """
        method, _, path = use.partition(" ")
        connection = http.client.HTTPConnection(
            "127.0.0.1", part.port, timeout=_TIMEOUT_S
        )
        headers = {
            "Authorization": f"Bearer {self._world.token(role, person)}",
            "Content-Type": JSON_PATCH if method == "PATCH" else FHIR_JSON,
        }
        body = json.dumps([{"op": "replace", "path": "/status", "value": "cancelled"}])
        try:
            connection.request(
                method, path, body=body if method == "PATCH" else None, headers=headers
            )
            with connection.getresponse() as answer:
                answer.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return answer.status

    def _call(
        self,
        part: Part,
        operation: Operation,
        name: str,
        instance: str | None,
        body: dict[str, Any],
    ) -> Operation:
        """Call an operation, on an appointment or on the type."""
        path = f"/fhir/Appointment/{instance}/" if instance else "/fhir/Appointment/"
        return self._do(part, operation, "POST", f"{path}${name}", body, FHIR_JSON)

    def _do(  # noqa: PLR0917 - one call for each kind of request
        self,
        part: Part,
        operation: Operation,
        method: str,
        url: str,
        body: Any = None,
        content_type: str | None = None,
        more_headers: Mapping[str, str] = MappingProxyType({}),
        role: str = "resident",
    ) -> Operation:
        connection = http.client.HTTPConnection(
            "127.0.0.1", part.port, timeout=_TIMEOUT_S
        )
        operation.began = self._world.clock.seconds()
        token = self._world.token(role, operation.person)
        headers = {"Authorization": f"Bearer {token}", **more_headers}
        if content_type:
            headers["Content-Type"] = content_type
        document = None if body is None else json.dumps(body).encode()
        is_connected = False
        reported: dict[str, Any] | None = None
        try:
            connection.connect()
            is_connected = True
            connection.request(method, url, body=document, headers=headers)
            answer = connection.getresponse()
            reported = json.loads(answer.read() or b"{}")
            operation.status = answer.status
        except (OSError, http.client.HTTPException, ValueError):
            operation.status = None if is_connected else NEVER_SENT
        finally:
            connection.close()
        operation.ended = self._world.clock.seconds()
        # First, so that it is not lost where the answer is none that is understood.
        self._history.add(operation)
        if reported is not None:
            _note(operation, reported)
        return operation


def _named(body: dict[str, Any]) -> dict[str, Any]:
    """Return the body, with every resident in it named as none other is."""
    named = {
        name: (
            _named(value)
            if isinstance(value, dict)
            else [_named(each) if isinstance(each, dict) else each for each in value]
            if isinstance(value, list)
            else value
        )
        for name, value in body.items()
    }
    if named.get("resourceType") == "Patient":
        named["name"] = [{"family": FAMILY_NAME, "given": ["Anna"]}]
    return named


def _note(operation: Operation, reported: dict[str, Any]) -> None:
    if reported.get("resourceType", "OperationOutcome") == "OperationOutcome":
        operation.diagnostics = " ".join(
            str(issue.get("diagnostics") or issue.get("details", {}).get("text"))
            for issue in reported.get("issue", ())
        )
        return
    booked = appointment_in(reported)
    operation.stated = booked["status"]
    operation.answered = booked["id"]
    operation.appointment = operation.appointment or booked["id"]
    operation.stated_slot = booked["slot"][0]["reference"].removeprefix("Slot/")


class Telephone:
    """Somebody who books at the regions themselves, without this server."""

    def __init__(self, world: World) -> None:
        self.persons: set[str] = set()
        self._numbers = persons(range(990, 1000))
        self._lock = threading.Lock()
        self._adapters = {
            region: Scheduling11(
                SourceName(region),
                options_from_mapping({"endpoint": world.sandbox.endpoint(region)}),
            )
            for region in world.proxies
        }

    def close(self) -> None:
        """Hang up."""
        for adapter in self._adapters.values():
            adapter.close()

    def book(self, slot: SlotToBook) -> None:
        """Take a slot, if it is to be had."""
        with self._lock:
            number = next(self._numbers)
            self.persons.add(number)
        with suppress(GatewayError):
            self._adapters[slot.region].make_booking(
                MakeBooking(
                    timeslot=slot.timeslot,
                    subject_of_care=SubjectOfCare(
                        number=PersonalIdentityNumber(number),
                        first_name="Annan",
                        last_name="Testlund",
                    ),
                ),
                timeout=10,
            )


@dataclass(kw_only=True)
class _Known:
    person: str
    identifier: str
    slot: SlotToBook


def _dialect(dialects: Sequence[str], chance: random.Random) -> str:
    is_operation = chance.random() < _SHARE_OF_OPERATIONS
    return chance.choice(dialects) if is_operation else "rest"


def _kind_of(slot: SlotToBook) -> tuple[str, str | None]:
    unit, _, time_type, _, _ = slot.key
    return unit, time_type


@dataclass
class Driver:
    """
    Many clients at once.

    Attributes:
        bookings: How many bookings to try.
        hot: Slots that many want.
        cold: Slots that hardly two want.
        tried: How many bookings have been tried so far.
        is_stopped: Set to end before all have been tried.
        snooped: How often somebody asked for what is not theirs.
        intrusions: Each time that they were not refused.
    """

    world: World
    history: History
    telephone: Telephone
    hot: Sequence[SlotToBook]
    cold: Sequence[SlotToBook]
    bookings: int
    seed: int
    goes_on: Callable[[], bool] = lambda: False
    tried: int = 0
    is_stopped: bool = False
    snooped: int = 0
    intrusions: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _known: list[_Known] = field(default_factory=list)
    _alike: dict[tuple[str, str | None], list[SlotToBook]] = field(default_factory=dict)
    _numbers: Iterator[str] = field(default_factory=lambda: persons(range(980, 990)))

    def __post_init__(self) -> None:
        for slot in self.cold:
            self._alike.setdefault(_kind_of(slot), []).append(slot)

    def run(self, clients: int) -> None:
        """
        Let so many clients work until enough bookings have been tried.

        One that ends by an exception ends the others, and it is raised.
        """
        with ThreadPoolExecutor(clients) as executor:
            working = [executor.submit(self._work, number) for number in range(clients)]
            try:
                wait(working, return_when=FIRST_EXCEPTION)
            finally:
                # In any case the executor waits for every client.
                self.is_stopped = True
        for client in working:
            client.result()

    def _work(self, number: int) -> None:
        chance = random.Random(f"{self.seed} {number}")  # noqa: S311 - to be repeated by its seed
        client = Client(self.world, self.history)
        while not self.is_stopped:
            draw = chance.random()
            known = self._one_known(chance) if draw >= 0.5 else None
            if known is None:
                if not self._book(client, chance):
                    return
            elif draw < 0.68:
                self._move(client, known, chance)
            elif draw < 0.71:
                self._snoop(client, known, chance)
            elif draw < 0.8:
                dialect = _dialect(_CANCELLED_BY, chance)
                self._tried_again(
                    lambda part, known=known, dialect=dialect: client.cancel(
                        part, known.person, known.identifier, dialect=dialect
                    ),
                    chance,
                )
            else:
                self._tried_again(
                    lambda part, known=known: client.read(
                        part, known.person, known.identifier
                    ),
                    chance,
                )

    def _book(self, client: Client, chance: random.Random) -> bool:
        with self._lock:
            if self.tried >= self.bookings and not self.goes_on():
                return False
            self.tried += 1
            person = next(self._numbers)
        slot = self._slot(chance)
        role = "staff" if chance.random() < _SHARE_BY_STAFF else "resident"
        if chance.random() < self.world.mix.sold_elsewhere:
            self.telephone.book(slot)
        # Staff see no booking, so that only a key finds what a lost answer said.
        is_keyed = role == "staff" or chance.random() < _SHARE_KEYED
        key = f"{int(person):x}" if is_keyed else None
        if chance.random() < _SHARE_HELD:
            holder = chance.choice(tuple(HOLDS))
            self._tried_again(
                lambda part: client.hold(part, person, slot, dialect=holder, role=role),
                chance,
            )
        dialect = _dialect(tuple(BOOKINGS), chance)
        operation = self._tried_again(
            lambda part: client.book(
                part, person, slot, key=key, dialect=dialect, role=role
            ),
            chance,
        )
        if operation.outcome is not Outcome.NO and chance.random() < 0.1:
            # A client that is not sure asks again, in the same words.
            again = self._tried_again(
                lambda part: client.book(
                    part, person, slot, key=key, dialect=dialect, role=role
                ),
                chance,
            )
            operation = again if again.appointment else operation
        if operation.appointment is not None:
            with self._lock:
                known = _Known(
                    person=person, identifier=operation.appointment, slot=slot
                )
                if len(self._known) < _MOST_KEPT:
                    self._known.append(known)
                else:
                    self._known[chance.randrange(_MOST_KEPT)] = known
        return True

    def _snoop(self, client: Client, known: _Known, chance: random.Random) -> None:
        """Let somebody ask for an appointment that is not theirs."""
        here = f"/fhir/Appointment/{known.identifier}"
        use = chance.choice(
            (
                f"GET {here}",
                f"PATCH {here}",
                f"POST {here}/$cancel",
                f"POST {here}/$book",
            )
        )
        role = chance.choice(("resident", "staff", "operator"))
        stranger = next(persons(range(238, 240))) if role == "resident" else None
        status = client.snoop(chance.choice(self.world.gateways), stranger, role, use)
        expected = {"resident": 404, "staff": 404 if "$book" in use else 403}
        with self._lock:
            self.snooped += 1
            # 503 where it cannot be recorded; None where a process ended.
            if status not in (None, 503, expected.get(role, 403)):
                self.intrusions.append(
                    f"access: {use.partition(' ')[0]} by {role}: {status}"
                )

    def _move(self, client: Client, known: _Known, chance: random.Random) -> None:
        alike = self._alike.get(_kind_of(known.slot), ())
        # Now and then to a time of another kind, which a region seldom permits.
        if alike and chance.random() < _SHARE_ALIKE:
            slot = chance.choice(alike)
        else:
            slot = self._slot(chance)
        dialect = _dialect(_MOVED_BY, chance)
        self._tried_again(
            lambda part: client.move(
                part, known.person, known.identifier, slot, dialect=dialect
            ),
            chance,
        )

    def _tried_again(
        self, ask: Callable[[Part], Operation], chance: random.Random
    ) -> Operation:
        """Ask; when no answer came, ask again in the same words, as clients do."""
        operation = None
        until = time.monotonic() + _TIMEOUT_S
        tries = 0
        while tries < _TRIES:
            operation = ask(chance.choice(self.world.gateways))
            if operation.outcome is Outcome.NEVER_SENT:
                if time.monotonic() > until:
                    break
                time.sleep(_DOWN_PAUSE_S)
                continue
            tries += 1
            if operation.status is not None:
                break
        assert operation is not None
        return operation

    def _slot(self, chance: random.Random) -> SlotToBook:
        return chance.choice(self.hot if chance.random() < 0.3 else self.cold)

    def _one_known(self, chance: random.Random) -> _Known | None:
        with self._lock:
            # The youngest most: they are still on their way.
            if not self._known:
                return None
            if chance.random() < 0.5:
                return self._known[-1 - chance.randrange(min(40, len(self._known)))]
            return chance.choice(self._known)
