"""
Two worlds, one with the canary and one without: nobody else can distinguish them.

In the other world a stranger has the times that the canary has booked and held: who has
a time, nobody else may learn, and that somebody has it, everybody may. All answers to
everybody else are the same byte for byte, but for ids and times.
"""

import itertools
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web.bodies import (
    COVID_VACCINATION,
    FHIR_JSON,
    JSON_PATCH,
    PERSONNUMMER,
    appointment,
)
from web.dialects import (
    BOOKINGS,
    CANCELLATIONS,
    HOLDS,
    MOVES,
    parameters,
    reference,
)
from web.running import OtherPrograms, fill
from werkzeug.test import TestResponse

from fhir_gateway.model.timekeeping import now

from .canary import NUMBER, found, watching
from .stopwatch import Stopwatch
from .tries import add_tries, tried
from .world import (
    Unprinted,
    World,
    hold_again,
    judge,
    live_canary,
    live_stranger,
    new_world,
    resident,
)

pytestmark = pytest.mark.flow

# Of an example, on average: hypothesis likes short lists.
_STEPS: Final = 6
_NOBODYS: Final = "11111111-1111-4111-8111-111111111111"
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_INSTANT: Final = re.compile(
    r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"
)
# The region's own id of a booking, and the ids of audit records and of searches.
_NUMBERED: Final = (
    re.compile(r'("identifier":\[\{"system":"[^"]*","value":)"[^"]*"'),
    re.compile(r'("resourceType":"AuditEvent","id":)"[^"]*"'),
    re.compile(r"(AuditEvent/)[A-Za-z0-9.-]+"),
    re.compile(r'(_cursor=)[^&"]+'),
)
_UNCOMPARED: Final = frozenset({"Date", "Last-Modified", "X-Request-Id"})
_VERSION: Final = re.compile(r'W/"[0-9]+"')
_HELD_FOR_S: Final = 120
_LATELY: Final = timedelta(hours=3)


@dataclass
class Side:
    """One of the worlds, as one example sees it."""

    world: World
    made: list[dict[str, Any]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)


@dataclass
class Pair(Unprinted):
    """Both worlds, and what the canary has in one of them."""

    one: World
    other: World
    held_at_s: float = field(default_factory=time.monotonic)

    def sides(self) -> tuple[Side, Side]:
        """Return the worlds for an example."""
        if time.monotonic() - self.held_at_s > _HELD_FOR_S:
            # At no moment has a hold ended in one world only.
            for each in (self.one, self.other):
                hold_again(each)
            self.held_at_s = time.monotonic()
        return Side(self.one), Side(self.other)


@pytest.fixture(name="pair", scope="module")
def _pair(
    other_programs: OtherPrograms, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    with (
        watching() as watch,
        new_world(other_programs, tmp_path_factory.mktemp("with")) as one,
        new_world(other_programs, tmp_path_factory.mktemp("without")) as other,
    ):
        # Not at norr: its own system may see what is booked there.
        live_canary(one, ("mitt", "syd"))
        live_stranger(other, one.canary)
        for each in (one, other):
            fill(each.guarded.made)
        yield Pair(one, other)
        for each in (one, other):
            each.look(watch)

    assert watch.leaks == []


# Requests, before it is known what ids they find.


@dataclass(frozen=True)
class Step:
    """A request, with what stands for ids, slots, numbers and keys."""

    who: str
    how: str
    which: int
    slot: int
    number: str
    key: int | None
    version: int | None
    dialect: int


_OPEN: Final = ("search", "read", "find", "metadata")
_NEW: Final = ("create", "$book", "$hold", "$hold-slot", "$validate")
_CHANGES: Final = ("get", "cancel", "move", "patch", "test", "put", "$cancel-type")
_LISTS: Final = ("list", "own", "single", "audit")
_STEP = st.builds(
    Step,
    who=st.sampled_from(
        ["resident"] * 6 + ["staff", "staff", "system", "system", "operator", "nobody"]
    ),
    how=st.sampled_from([*_OPEN, *_NEW, *_NEW, *_CHANGES, *_CHANGES, *_LISTS]),
    # Below ten one of the canary's, then one that was made, then one of nobody's.
    which=st.integers(0, 24),
    # The first are the canary's.
    slot=st.integers(0, 40),
    number=st.sampled_from(["own", "own", "own", "canary", "nobody"]),
    key=st.none() | st.integers(0, 9),
    version=st.none() | st.integers(0, 4),
    dialect=st.integers(0, 9),
)


def _slot(side: Side, pair: Pair, step: Step) -> str:
    canarys = pair.one.canary.slots
    if step.slot < 2 * len(canarys):
        return canarys[step.slot % len(canarys)]
    region = ("norr", "mitt", "syd")[step.slot % 3]
    known = side.world.slots(region)
    return known[step.slot % len(known)]


def _id(side: Side, pair: Pair, step: Step) -> str:
    canarys = pair.one.canary.ids + pair.one.canary.holds
    if step.which < 10:
        return canarys[step.which % len(canarys)]
    if step.which < 22 and side.made:
        made: str = side.made[step.which % len(side.made)]["id"]
        return made
    return _NOBODYS


def _body(side: Side, pair: Pair, step: Step, number: str) -> dict[str, Any]:
    """Return an Appointment as a client that has read one sends it back."""
    id_ = _id(side, pair, step)
    for each in side.made:
        if each["id"] == id_:
            return each
    return appointment(_slot(side, pair, step), number, id=id_, status="booked") | {
        "meta": {"versionId": "1"}
    }


def _request(
    side: Side, pair: Pair, step: Step, own: str
) -> tuple[str, str, dict[str, Any]]:
    """Return method, path and options."""
    number = {"own": own, "canary": NUMBER, "nobody": "198001019812"}[step.number]
    slot, id_ = _slot(side, pair, step), _id(side, pair, step)
    headers = {}
    if step.key is not None:
        keys = pair.one.canary.keys
        headers["Idempotency-Key"] = (
            keys[step.key % len(keys)] if step.key < 5 else f"own-{step.key}-{own}"[:9]
        )
    if step.version is not None and step.how in _CHANGES:
        headers["If-Match"] = f'W/"{step.version}"'
    here = f"/fhir/Appointment/{id_}"
    as_fhir: dict[str, Any] = {"content_type": FHIR_JSON, "headers": headers}
    dialects = sorted(BOOKINGS if step.how == "$book" else HOLDS)
    dialect = dialects[step.dialect % len(dialects)]
    body = _body(side, pair, step, number)
    if step.how in ("$hold-slot", "$validate", "own", "single"):
        return _newer_request(step, slot, id_, body, headers)
    match step.how:
        case "search":
            region = ("norr", "mitt", "syd")[step.slot % 3]
            query = {
                "service-type": COVID_VACCINATION,
                "_count": str(1 + step.which),
                "_source": f"https://fhir-gateway.example.org/source/{region}",
                "_include": ["Slot:schedule"] if step.dialect % 2 else [],
            }
            return "GET", "/fhir/Slot", {"query_string": query, "headers": headers}
        case "read":
            return "GET", f"/fhir/Slot/{slot}", {"headers": headers}
        case "find":
            return "POST", "/fhir/Appointment/$find", as_fhir | {"json": parameters()}
        case "metadata":
            return "GET", "/fhir/HealthcareService?_count=3", {"headers": headers}
        case "create":
            return (
                "POST",
                "/fhir/Appointment",
                as_fhir | {"json": appointment(slot, number)},
            )
        case "$book":
            made = BOOKINGS[dialect](slot, number)
            return "POST", "/fhir/Appointment/$book", as_fhir | {"json": made}
        case "$hold":
            made = HOLDS[dialect](slot, number)
            return "POST", "/fhir/Appointment/$hold", as_fhir | {"json": made}
        case "get":
            return "GET", here, {"headers": headers}
        case "cancel":
            return (
                "PATCH",
                here,
                {
                    "json": [
                        {"op": "replace", "path": "/status", "value": "cancelled"}
                    ],
                    "content_type": JSON_PATCH,
                    "headers": headers,
                },
            )
        case "patch":
            return (
                "PATCH",
                here,
                {
                    "json": [
                        {
                            "op": "replace",
                            "path": "/slot/0/reference",
                            "value": f"Slot/{slot}",
                        }
                    ],
                    "content_type": JSON_PATCH,
                    "headers": headers,
                },
            )
        case "test":
            place = "/participant/0/actor/identifier/value"
            return (
                "PATCH",
                here,
                {
                    "json": [{"op": "test", "path": place, "value": number}],
                    "content_type": JSON_PATCH,
                    "headers": headers,
                },
            )
        case "put":
            changed = body | {"slot": [{"reference": f"Slot/{slot}"}], "id": id_}
            return "PUT", here, as_fhir | {"json": changed}
        case "move" | "$cancel-type":
            table = MOVES if step.how == "move" else CANCELLATIONS
            names = sorted(table)
            make = table[names[step.dialect % len(names)]]
            name, on, made = make(body, slot) if step.how == "move" else make(body)  # type: ignore[operator] # the tables differ in the number of arguments
            path = f"/fhir/Appointment/{f'{on}/' if on else ''}${name}"
            return "POST", path, as_fhir | {"json": made}
        case "list":
            form = {"patient.identifier": f"{PERSONNUMMER}|{number}"}
            return (
                "POST",
                "/fhir/Appointment/_search",
                {"data": form, "headers": headers},
            )
        case "audit":
            if step.dialect % 2:
                return "GET", "/fhir/AuditEvent", {"headers": headers}
            form = {"patient.identifier": f"{PERSONNUMMER}|{number}"}
            return (
                "POST",
                "/fhir/AuditEvent/_search",
                {"data": form, "headers": headers},
            )
    return (
        "POST",
        "/fhir/Appointment/$cancel",
        as_fhir
        | {
            "json": parameters(reference("appointment-reference", f"Appointment/{id_}"))
        },
    )


def _newer_request(
    step: Step, slot: str, id_: str, body: dict[str, Any], headers: dict[str, str]
) -> tuple[str, str, dict[str, Any]]:
    """Return method, path and options of what came after the first operations."""
    as_fhir: dict[str, Any] = {"content_type": FHIR_JSON, "headers": headers}
    match step.how:
        case "$hold-slot":
            status = "free" if step.dialect % 2 else "busy-tentative"
            made = parameters(
                reference("slot-reference", f"Slot/{slot}"),
                {"name": "slot-status", "valueCode": status},
            )
            return "POST", "/fhir/Slot/$hold", as_fhir | {"json": made}
        case "$validate":
            on = f"/{id_}" if step.dialect % 2 else ""
            path = f"/fhir/Appointment{on}/$validate"
            return "POST", path, as_fhir | {"json": body}
        case "own":
            query = {"_count": str(step.which), "_include": "Appointment:slot"}
            return "GET", "/fhir/Appointment", {"query_string": query}
    query = [{"_id": id_}, {"slot": f"Slot/{slot}"}, {"identifier": "1"}][
        step.dialect % 3
    ]
    return "GET", "/fhir/Appointment", {"query_string": query}


def shown(side: Side, pair: Pair, response: TestResponse) -> tuple[int, str, str]:
    """Return an answer as far as it is the same in both worlds."""
    headers = {
        name: value
        for name, value in sorted(response.headers.items())
        if name not in _UNCOMPARED
        # Others are of the content, which has the time of its source's last answer.
        and not (name == "ETag" and _VERSION.fullmatch(value) is None)
    }
    # The length of a text with another region's id in it.
    headers.pop("Content-Length", None)
    if response.status_code == 200 and '"searchset"' in response.text:
        headers.pop("ETag", None)
    return (
        response.status_code,
        _named(side, pair, str(headers)),
        _named(side, pair, _in_order(side, response.text)),
    )


def _in_order(side: Side, text: str) -> str:
    """Return an answer with the entries of one time in an order without their ids."""
    # A search sorts those by the ids, which are other ones in the other world.
    answer = json.loads(text) if text.startswith("{") else {}
    if "entry" not in answer:
        return text

    def content(entry: Any) -> str:
        return _UUID.sub(lambda match: side.names.get(match[0], ""), json.dumps(entry))

    answer["entry"] = [
        entry
        for _, times in itertools.groupby(
            answer["entry"], key=lambda entry: entry["resource"].get("start")
        )
        for entry in sorted(times, key=content)
    ]
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


def _named(side: Side, pair: Pair, text: str) -> str:
    for pattern in _NUMBERED:
        text = pattern.sub(r'\1"…"', text)
    guessed = {*pair.one.canary.ids, *pair.one.canary.holds, _NOBODYS}

    def name(match: re.Match[str]) -> str:
        if match[0] in guessed:
            return match[0]
        return side.names.setdefault(match[0], f"uuid-{len(side.names)}")

    def moment(match: re.Match[str]) -> str:
        said = datetime.fromisoformat(match[0])
        return "lately" if abs(now() - said) < _LATELY else match[0]

    return _INSTANT.sub(moment, _UUID.sub(name, text))


def _difference(one: tuple[int, str, str], other: tuple[int, str, str]) -> str:
    """Return where the answers with and without the canary begin to differ."""
    texts = [f"{status} {head} {body}" for status, head, body in (one, other)]
    pairs = enumerate(zip(*texts, strict=False))
    begins = max(0, next((at for at, (a, b) in pairs if a != b), 0) - 300)
    return ", without ".join(repr(each[begins : begins + 600]) for each in texts)


def _remember(side: Side, response: TestResponse) -> None:
    """Keep what was made or changed, to use it again, and to undo it."""
    if response.status_code not in (200, 201, 202):
        return
    # In the same order in both worlds, so that a number means the same one.
    for each in _appointments(json.loads(_in_order(side, response.text))):
        if each.get("status") == "proposed" and "participant" not in each:
            continue
        if _UUID.fullmatch(each.get("id", "")):
            kept = [old for old in side.made if old["id"] != each["id"]]
            side.made = [*kept, each]


def _appointments(body: Any) -> Iterator[dict[str, Any]]:
    if isinstance(body, dict):
        if body.get("resourceType") == "Appointment":
            yield body
        for item in body.values():
            yield from _appointments(item)
    elif isinstance(body, list):
        for item in body:
            yield from _appointments(item)


def _undo(side: Side) -> None:
    for each in side.made:
        numbers = [
            participant["actor"]["identifier"]["value"]
            for participant in each.get("participant", ())
            if "identifier" in participant.get("actor", {})
        ]
        if numbers:
            client = side.world.guarded.client("resident", numbers[0])
            client.post(
                f"/fhir/Appointment/{each['id']}/$cancel",
                json=parameters(),
                content_type=FHIR_JSON,
            )


# An example has fewer steps on the average than a quarter of the most.
@given(steps=st.lists(_STEP, min_size=1, max_size=5 * _STEPS))
@tried("other patients", in_one=_STEPS)
def test_nobody_notices_whether_the_canary_lives(pair: Pair, steps: list[Step]) -> None:
    """Each answer to anybody else is the same in a world without the canary."""
    own = resident()
    one, other = sides = pair.sides()
    add_tries("other patients", len(steps) - 1)
    try:
        for step in steps:
            answers = []
            for side in sides:
                method, path, options = _request(side, pair, step, own)
                client = side.world.client(step.who, own)
                stopwatch = Stopwatch()
                response = client.open(path, method=method, **options)
                judge(response.status_code, response.headers, b"", stopwatch.seconds)
                # A system may see what it has booked itself, also for the canary.
                if step.number != "canary" and step.who != "system":
                    assert not found(response.data), response.text
                answers.append(shown(side, pair, response))
                _remember(side, response)
            assert answers[0] == answers[1], f"{step}: {_difference(*answers)}"
    finally:
        for side in (one, other):
            _undo(side)
