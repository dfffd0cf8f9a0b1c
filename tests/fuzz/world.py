"""
A gateway that asks for tokens, and a resident who has used all of it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

from flask.testing import FlaskClient
from web.bodies import FHIR_JSON, PERSONNUMMER, appointment, free_slots
from web.dialects import appointment_of, call, parameters, resource
from web.guarded import Guarded, issuers_file, served_keys, token_for
from web.running import (
    OtherPrograms,
    fill,
    let_answers_last,
    numbers_of_test_persons,
    own_regions,
)
from werkzeug.test import TestResponse

from fhir_gateway.model.client_limits import ClientLimits
from fhir_gateway.sandbox_sources import write_log_service

from .canary import (
    COMMENT,
    FAMILY,
    GIVEN,
    NUMBER,
    PHONE,
    SECRETS,
    SENT,
    Watch,
    found,
)
from .stopwatch import Stopwatch

__all__ = [
    "EVERYBODY",
    "Canary",
    "Unprinted",
    "World",
    "ask",
    "hold_again",
    "judge",
    "live_canary",
    "live_stranger",
    "new_world",
    "resident",
]

EVERYBODY: Final = ("nobody", "resident", "staff", "system", "operator")
_LONGEST_S: Final = 5.0
_KNOWN: Final = 120
_MANY: Final = 1_000_000
# A client of a fuzz test asks more than any client may.
_LIMITS: Final = ClientLimits(
    searches=_MANY,
    region_calls=_MANY,
    failed_looks=_MANY,
    request_keys=_MANY,
    holds=_MANY,
    holds_an_hour=_MANY,
)
# A year for each of what needs persons of its own.
_PERSONS: Final = chain.from_iterable(
    numbers_of_test_persons(year) for year in (1976, 1977, 1978)
)


@dataclass
class Canary:
    """
    What the resident has whom nobody else may notice.

    Attributes:
        number: Of the resident.
        ids: Of appointments: booked and cancelled.
        holds: Of appointments that are held.
        booked: The slots that are.
        held: The slots that are.
        keys: The request keys that were used.
        token: An access token.
    """

    number: str = NUMBER
    ids: list[str] = field(default_factory=list)
    holds: list[str] = field(default_factory=list)
    booked: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    token: str = ""

    @property
    def slots(self) -> list[str]:
        """Return the slots that nobody else can have."""
        return self.booked + self.held


class Unprinted:
    """What hypothesis names only, when it prints a failing example."""

    def _repr_pretty_(self, printer: Any, _: bool) -> None:  # noqa: FBT001 - hypothesis calls it so
        printer.text(f"{type(self).__name__}(…)")


@dataclass(frozen=True)
class World(Unprinted):
    """A gateway over regions of its own, and the resident in it."""

    guarded: Guarded
    canary: Canary
    folder: Path
    redis_url: str
    known_slots: dict[str, list[str]] = field(default_factory=dict)

    def client(self, who: str, number: str) -> FlaskClient:
        """Return a client: nobody's, or of a role; a resident has the number."""
        if who == "nobody":
            return self.guarded.client()
        return self.guarded.client(who, number if who == "resident" else None)

    def slots(self, region: str = "norr") -> list[str]:
        """Return the ids of free slots of a region; the same ones each time."""
        if region not in self.known_slots:
            found_here = free_slots(self.guarded.client(), region)
            self.known_slots[region] = [
                each["id"] for each in islice(found_here, _KNOWN)
            ]
        return self.known_slots[region]

    def undo(self, response: TestResponse) -> None:
        """Cancel the appointment that an answer says was made, if it made one."""
        if response.status_code not in (200, 201, 202) or response.json is None:
            return
        made = _appointments_in(response.json)
        for each in made:
            numbers = [
                participant["actor"]["identifier"]["value"]
                for participant in each.get("participant", ())
                if "identifier" in participant.get("actor", {})
            ]
            if each.get("status") in ("cancelled", "proposed") or not numbers:
                continue
            client = self.guarded.client("resident", numbers[0])
            status = call(client, "cancel", parameters(), on=each["id"]).status_code
            assert status == 200, status

    def look(self, watch: Watch) -> None:
        """Look for the canary in everything that this gateway has stored."""
        watch.look_at_redis(self.redis_url)
        watch.look_at_files(self.folder)


def resident() -> str:
    """Return the number of a person whom no test has had."""
    return next(_PERSONS)


def ask(client: FlaskClient, method: str, path: str, **options: Any) -> TestResponse:
    """Send a request; the answer is no failure, came in time, and repeats nothing."""
    stopwatch = Stopwatch()
    response = client.open(path, method=method, **options)
    judge(
        response.status_code,
        response.headers,
        response.data,
        stopwatch.seconds,
    )
    return response


def judge(status: int, headers: Mapping[str, str], body: bytes, took_s: float) -> None:
    """
    Judge an answer to somebody who is not the canary.

    It is no failure, but 503 where the server says when to come back; it came in time;
    it holds nothing of the canary's; and a refusal repeats nothing of the request.
    """
    shown = f"{status} {body[:2000]!r}"
    assert status < 500 or (status == 503 and "Retry-After" in headers), shown
    assert took_s < _LONGEST_S, f"{took_s:.1f} s: {shown}"
    answered = body + repr(dict(headers)).encode()
    secrets = SECRETS if status < 400 else SECRETS + SENT
    assert not found(answered, secrets), shown
    assert not found(repr(dict(headers)), SECRETS + SENT), shown


@contextmanager
def new_world(
    other_programs: OtherPrograms, folder: Path, *, is_open: bool = True
) -> Iterator[World]:
    """
    Start a gateway with regions of its own.

    Args:
        other_programs: Start it.
        folder: For its files.
        is_open: Anybody may search free times, without a token.
    """
    with (
        own_regions(folder) as (sandbox, sources),
        served_keys() as jwks_uri,
        other_programs.start(
            sources=let_answers_last(sources),
            issuers=issuers_file(folder, jwks_uri),
            log_service=write_log_service(folder, sandbox.server.url),
            public_search=is_open,
            limits=_LIMITS,
        ) as made,
    ):
        started = other_programs.started
        fill(made)
        assert made.identity is not None
        made.identity.start()
        try:
            yield World(
                guarded=Guarded(made, sandbox),
                canary=Canary(),
                folder=other_programs.settings.data_dir / f"other-{started}",
                redis_url=f"{other_programs.redis_url}?db={1 + started % 15}",
            )
        finally:
            made.identity.stop()


def live_canary(world: World, regions: tuple[str, ...]) -> None:
    """Book, hold and cancel as the canary, with request keys."""
    canary = world.canary
    canary.token = token_for("resident", NUMBER)
    client = world.guarded.with_token(canary.token)
    for region in regions:
        slots = free_slots(client, region)
        for use in ("booked", "cancelled"):
            slot = next(slots)["id"]
            key = f"{use}-{region}-{'k' * 20}"
            response = client.post(
                "/fhir/Appointment",
                json=_body(slot),
                content_type=FHIR_JSON,
                headers={"Idempotency-Key": key},
            )
            assert response.status_code == 201, response.text
            canary.keys.append(key)
            canary.ids.append(response.json["id"])
            if use == "cancelled":
                cancelled = call(client, "cancel", parameters(), on=canary.ids[-1])
                assert cancelled.status_code == 200, cancelled.text
            else:
                canary.booked.append(slot)
    slot = next(free_slots(client, regions[0]))["id"]
    canary.held.append(slot)
    hold_again(world)
    listed = client.post(
        "/fhir/Appointment/_search",
        data={"patient.identifier": f"{PERSONNUMMER}|{NUMBER}"},
    )
    assert NUMBER in listed.text


def live_stranger(world: World, canary: Canary) -> None:
    """Book and hold what the canary of another world has, as somebody else."""
    world.canary.number = number = resident()
    client = world.client("resident", number)
    for slot in canary.booked:
        response = client.post(
            "/fhir/Appointment",
            json=appointment(slot, number),
            content_type=FHIR_JSON,
        )
        assert response.status_code == 201, response.text
    world.canary.held.extend(canary.held)
    hold_again(world)


def hold_again(world: World) -> None:
    """Release what the canary holds, and hold the same; no hold lasts for long."""
    canary = world.canary
    client = world.client("resident", canary.number)
    for id_ in canary.holds:
        released = call(
            client,
            "hold",
            parameters({"name": "slot-status", "valueCode": "free"}),
            on=id_,
        )
        assert released.status_code == 200, released.text
    canary.holds.clear()
    for slot in canary.held:
        body = _body(slot, canary.number)
        response = call(client, "hold", parameters(resource("appointment", body)))
        assert response.status_code in (200, 201), response.text
        canary.holds.append(appointment_of(response)["id"])


def _body(slot: str, number: str = NUMBER) -> dict[str, Any]:
    body = appointment(slot, number, comment=COMMENT)
    body["contained"][0] |= {
        "name": [{"family": FAMILY, "given": [GIVEN]}],
        "telecom": [{"system": "phone", "value": PHONE}],
    }
    return body


def _appointments_in(body: Any) -> list[dict[str, Any]]:
    """Return the appointments in an answer of any form, but those that it finds."""
    match body:
        case {"resourceType": "Appointment"}:
            return [body]
        case {"resourceType": "Parameters", "parameter": list(given)}:
            return [
                each["resource"]
                for each in given
                if each.get("resource", {}).get("resourceType") == "Appointment"
            ]
        case {"resourceType": "Bundle", "type": kind, "entry": list(entries)}:
            return [
                each["resource"]
                for each in entries
                if kind != "searchset"
                and each["resource"]["resourceType"] == "Appointment"
            ]
    return []
