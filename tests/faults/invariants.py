"""
The checker: what must be true of a run after any faults in it.

It compares what clients were answered with the regions' ledgers, with what the proxies
received, and with the journal. It shares no rule with the program.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from math import inf
from typing import Any, Final

from redis import Redis
from sqlalchemy import select

from faults.clients import FAMILY_NAME
from faults.fault import Fault
from faults.history import Kind, Operation, Outcome
from faults.linearizability import Act, Step, is_linearizable
from faults.world import SlotKey, SlotToBook, World, slot_key
from fhir_gateway.model import scheduling
from fhir_gateway.model.timekeeping import civil_time_text
from fhir_gateway.stores.journal.tables import bookings, intents, metadata

__all__ = [
    "Evidence",
    "Owned",
    "different_answers",
    "evidence_of",
    "index_differs",
    "story_of",
    "violations",
]

_NUMBER: Final = re.compile(r"(?<![0-9])(?:18|19|20)[0-9]{10}(?![0-9])")
_KINDS: Final = {
    scheduling.MAKE_BOOKING: "MAKE",
    scheduling.UPDATE_BOOKING: "UPDATE",
    scheduling.CANCEL_BOOKING: "CANCEL",
}
_WRITTEN: Final = {
    Kind.BOOK: "MakeBooking",
    Kind.MOVE: "UpdateBooking",
    Kind.CANCEL: "CancelBooking",
}
# Alarms on what the program cannot find out by itself.
_NEEDS_PERSON: Final = ("AMBIGUOUS", "BEGUN", "SOMETHING_ELSE")
_UNSETTLED: Final = ("CLAIMED", "SENT", "UNKNOWN")
_MOST_PERSONS: Final = 4


@dataclass(kw_only=True)
class Owned:
    """A slot was somebody's in a region's book, for a while."""

    key: SlotKey
    person: str
    booking_id: str
    since: float
    until: float = inf


@dataclass(kw_only=True)
class Done:
    """A write that a region carried out."""

    interaction: str
    key: SlotKey
    person: str
    at: float


@dataclass(kw_only=True)
class Decided:
    """A row of the journal's intents, with its booking's."""

    appointment: str
    person: str
    kind: str
    state: str
    token: str
    was_sent: bool
    alarm: str | None
    booking_state: str
    booking_token: str


@dataclass(kw_only=True)
class Evidence:
    """
    All that is known of a run.

    Attributes:
        owners: The resident of each Appointment.
        elsewhere: Who booked without this server.
        sends: Calls that reached a proxy whole, by kind, person, unit and start.
        delivered: How often the platform delivered each, if more than once.
        listed: When each person's list last came back whole from a region.
        alarms: The ids of the appointments that an alarm named.
        cookies: Calls that brought a region's cookie back.
        posts: What the engagement index has: person, unit, start, id of the booking.
        texts: What must hold nothing personal, by where it was found.
    """

    operations: Sequence[Operation]
    slots: dict[str, SlotToBook]
    owned: list[Owned]
    done: list[Done]
    decided: list[Decided]
    owners: dict[str, str]
    elsewhere: frozenset[str]
    sends: Counter[tuple[str, str, str, str]]
    delivered_twice: frozenset[tuple[str, str, str]]
    listed: dict[str, float]
    alarms: frozenset[str]
    cookies: int
    texts: dict[str, str]
    posts: frozenset[tuple[str, str, str, str]] | None = None


def evidence_of(
    world: World,
    operations: Sequence[Operation],
    elsewhere: frozenset[str],
    posts: Sequence[dict[str, Any]] | None = None,
) -> Evidence:
    """
    Gather what a world knows when it has come to rest.

    Args:
        world: The world.
        operations: What clients did.
        elsewhere: Who booked without this server.
        posts: What the engagement index has; None where it was not awaited.
    """
    owned: list[Owned] = []
    done: list[Done] = []
    for region in world.proxies:
        _replay(world.ledger(region)["writes"], owned, done)
    sends: Counter[tuple[str, str, str, str]] = Counter()
    twice = set()
    listed: dict[str, float] = {}
    for proxy in world.proxies.values():
        for call in proxy.received:
            if (
                call.interaction == scheduling.GET_SUBJECT_OF_CARE_SCHEDULE
                and call.fault is Fault.NONE
            ):
                listed[call.actor or ""] = call.at
            if call.interaction in _KINDS and call.is_whole:
                kind = _KINDS[call.interaction]
                person, start = call.actor or "", (call.start or "")[:12]
                sends[kind, person, (call.unit or "") if start else "", start] += 1
                if len(call.deliveries) > 1:
                    twice.add((kind, person, start))
    return Evidence(
        operations=operations,
        slots={slot.token: slot for slot in world.slots},
        owned=owned,
        done=done,
        decided=_decided(world),
        owners=_owners(world),
        elsewhere=elsewhere,
        sends=sends,
        delivered_twice=frozenset(twice),
        listed=listed,
        alarms=frozenset(_alarms(world.logs())),
        cookies=sum(
            call.has_cookie
            for proxy in world.proxies.values()
            for call in proxy.received
        ),
        texts=_texts(world, operations),
        posts=None
        if posts is None
        else frozenset(
            (
                each["subject_of_care"],
                each["logical_address"],
                each["most_recent_content"][:12],
                each["booking_id"],
            )
            for each in posts
        ),
    )


def violations(evidence: Evidence) -> list[str]:
    """Return what was not as it must be, a sentence each."""
    checks = (
        _two_owners,
        _untrue_yes,
        _untrue_no,
        _not_their_own,
        _unsettled,
        _sent_too_often,
        _disagreements,
        index_differs,
        _impossible_orders,
        _turned_back,
        _without_a_time,
        different_answers,
        _failures,
        _leaks,
    )
    return [
        f"{check.__name__.strip('_').replace('_', ' ')}: {sentence}"
        for check in checks
        for sentence in check(evidence)
    ]


def story_of(evidence: Evidence, world: World, sentence: str) -> list[str]:
    """Return all that is known of the persons whom a violation is about, in order."""
    tails = dict.fromkeys(re.findall(r"…([0-9]{8})", sentence))
    return [
        line
        for tail in list(tails)[:_MOST_PERSONS]
        for line in _story_of(evidence, world, tail)
    ]


def _story_of(evidence: Evidence, world: World, tail: str) -> list[str]:
    decided = [row for row in evidence.decided if row.person.endswith(tail)]
    names = {row.appointment for row in decided}
    # Others who have named their Appointment are part of it.
    events = [
        (operation.began, f"{operation} (until {operation.ended:.3f})")
        for operation in evidence.operations
        if operation.person.endswith(tail)
        or operation.appointment in names
        or operation.answered in names
    ]
    events += [
        (
            call.at,
            (
                f"received {call.interaction.name if call.interaction else '-'}"
                f" {call.booking_id or ''}: {call.fault.text},"
                f" {len(call.deliveries)} deliveries"
            ),
        )
        for proxy in world.proxies.values()
        for call in proxy.received
        if (call.actor or "").endswith(tail)
    ]
    events += [
        (done.at, f"done {done.interaction} {done.key}")
        for done in evidence.done
        if done.person.endswith(tail)
    ]
    return [
        *(f"{at:.3f} {what}" for at, what in sorted(events)),
        *(
            f"{row.appointment} {row.booking_state}, {row.kind} {row.state}"
            for row in decided
        ),
        *(
            line
            for line in world.logs().splitlines()
            if any(name in line for name in names)
        ),
    ]


# Gathering.


def _replay(
    rows: Sequence[dict[str, Any]], owned: list[Owned], done: list[Done]
) -> None:
    live: dict[str, Owned] = {}
    for row in rows:
        if not row["done"]:
            continue
        at = datetime.fromisoformat(row["received_at"]).timestamp()
        key = slot_key(row["unit"], row["timeslot"])
        before = None
        if row["interaction"] != scheduling.MAKE_BOOKING.name:
            before = live.pop(row["booking_id_sent"])
            before.until = at
        person = before.person if before else row["subject_of_care"]
        done.append(Done(interaction=row["interaction"], key=key, person=person, at=at))
        if row["interaction"] != scheduling.CANCEL_BOOKING.name:
            new = Owned(key=key, person=person, booking_id=row["booking_id"], since=at)
            live[row["booking_id"]] = new
            owned.append(new)


def _decided(world: World) -> list[Decided]:
    with world.database.reading() as connection:
        rows = connection.execute(
            select(
                bookings.c.id,
                bookings.c.state.label("booking_state"),
                bookings.c.token,
                bookings.c.subject_sealed,
                intents.c.kind,
                intents.c.state,
                intents.c.timeslot,
                intents.c.sent_at,
                intents.c.alarm,
            ).join(intents, intents.c.booking == bookings.c.id)
        ).all()
    return [
        Decided(
            appointment=row.id,
            person=world.seal.unseal(row.subject_sealed)["number"],
            kind=row.kind,
            state=row.state,
            token="" if row.timeslot is None else _wire_start(row.timeslot),
            was_sent=row.sent_at is not None,
            alarm=row.alarm,
            booking_state=row.booking_state,
            booking_token=row.token,
        )
        for row in rows
    ]


def _owners(world: World) -> dict[str, str]:
    with world.database.reading() as connection:
        rows = connection.execute(select(bookings.c.id, bookings.c.subject_sealed))
        return {row.id: world.seal.unseal(row.subject_sealed)["number"] for row in rows}


def _wire_start(document: dict[str, Any]) -> str:
    start = datetime.fromtimestamp(document["start"]).astimezone()
    return f"{document['unit']} {civil_time_text(start)[:12]}"


def _alarms(logs: str) -> Iterator[str]:
    for line in logs.splitlines():
        with suppress(ValueError):
            event = json.loads(line)
            if isinstance(event, dict) and event.get("event") == "duplicate booking":
                yield event["booking"]


def _texts(world: World, operations: Sequence[Operation]) -> dict[str, str]:
    urls = {
        call.url for proxy in world.proxies.values() for call in list(proxy.received)
    }
    return {
        "the logs": world.logs(),
        "Redis": _redis_text(world.redis_url),
        "a URL to a region": "\n".join(urls),
        "an error": "\n".join({each.diagnostics for each in operations}),
        "the journal": _journal_text(world),
    }


def _redis_text(url: str) -> str:
    with Redis.from_url(url) as redis:
        parts = []
        for key in redis.scan_iter(count=1000):
            kind = redis.type(key)
            value: object = key
            match kind:
                case b"string":
                    value = redis.get(key)
                case b"hash":
                    value = redis.hgetall(key)
                case b"stream":
                    value = redis.xrange(key)
                case b"set":
                    value = redis.smembers(key)
                case b"list":
                    value = redis.lrange(key, 0, -1)
                case b"zset":
                    value = redis.zrange(key, 0, -1)
            parts.append(f"{key!r} {value!r}")
    return "\n".join(parts)


def _journal_text(world: World) -> str:
    with world.database.reading() as connection:
        return "\n".join(
            repr(tuple(row))
            for table in metadata.tables.values()
            for row in connection.execute(select(table))
        )


# Checks.


def _two_owners(evidence: Evidence) -> Iterator[str]:
    """No place has two owners from us; the platform's doubles raise the alarm."""
    by_slot: dict[SlotKey, list[Owned]] = defaultdict(list)
    for each in evidence.owned:
        if each.person not in evidence.elsewhere:
            by_slot[each.key].append(each)
    places = {slot.key: slot.places for slot in evidence.slots.values()}
    of_person = defaultdict(set)
    for row in evidence.decided:
        of_person[row.person].add(row.appointment)
    for key, owned in by_slot.items():
        owned.sort(key=lambda each: each.since)
        live: list[Owned] = []
        for each in owned:
            live = [other for other in live if other.until > each.since]
            if any(other.person == each.person for other in live):
                yield from _double(evidence, each, of_person[each.person])
            live.append(each)
            persons = {other.person for other in live}
            if len(persons) > places.get(key, 1):
                yield f"{key} was sold to {len(persons)} at {each.since:.3f}"


def _double(evidence: Evidence, owned: Owned, appointments: set[str]) -> Iterator[str]:
    name = f"{owned.key} twice to …{owned.person[4:]}"
    if ("MAKE", owned.person, owned.key[1]) not in evidence.delivered_twice:
        yield f"{name}, and not by the platform"
    elif (
        not appointments & evidence.alarms
        # Nobody can know of it before the list that shows it has been read.
        and owned.since <= evidence.listed.get(owned.person, 0.0) < owned.until
    ):
        yield f"{name} by the platform, and nobody was alarmed"


def _doubled(evidence: Evidence) -> set[str]:
    """Return who once had one time twice."""
    doubled = set()
    last: dict[tuple[SlotKey, str], float] = {}
    for each in sorted(evidence.owned, key=lambda owned: owned.since):
        if last.get((each.key, each.person), 0.0) > each.since:
            doubled.add(each.person)
        before = last.get((each.key, each.person), 0.0)
        last[each.key, each.person] = max(before, each.until)
    return doubled


def _with_several(evidence: Evidence) -> set[str]:
    """Return who has had more than one Appointment."""
    appointments = defaultdict(set)
    for row in evidence.decided:
        appointments[row.person].add(row.appointment)
    return {person for person, ids in appointments.items() if len(ids) > 1}


def _untrue_yes(evidence: Evidence) -> Iterator[str]:
    """What an answer called booked, or cancelled, was so at that moment."""
    owned: dict[tuple[SlotKey, str], list[Owned]] = defaultdict(list)
    for each in evidence.owned:
        owned[each.key, each.person].append(each)
    doubled, several = _doubled(evidence), _with_several(evidence)
    for operation in evidence.operations:
        if operation.outcome is not Outcome.YES or operation.stated_slot is None:
            continue
        slot = evidence.slots.get(operation.stated_slot)
        if slot is None:
            yield f"{operation}: in a slot that no region has"
            continue
        held = owned[slot.key, operation.person]
        if operation.stated == "booked":
            if not any(
                each.since <= operation.ended and each.until >= operation.began
                for each in held
            ):
                yield f"{operation}: not in the region's book"
        # The platform's double may stand on, which is why there is an alarm; and who
        # has booked the time anew holds it by another Appointment.
        elif operation.person not in doubled | several and any(
            each.since <= operation.began and each.until >= operation.ended
            for each in held
        ):
            yield f"{operation}: still in the region's book"


def _untrue_no(evidence: Evidence) -> Iterator[str]:
    """Nothing in a region's book comes from requests that were all answered no."""
    doubled = _doubled(evidence)
    attempts: dict[tuple[str, str, SlotKey | None], list[Operation]] = defaultdict(list)
    for operation in evidence.operations:
        if operation.kind not in _WRITTEN:
            continue
        key = operation.slot.key if operation.slot else None
        attempts[_WRITTEN[operation.kind], operation.person, key].append(operation)
    for done in evidence.done:
        if done.person in evidence.elsewhere:
            continue
        if done.interaction == "CancelBooking" and done.person in doubled:
            # The double is there still, and was reported: "no" is as true as "yes".
            continue
        key = None if done.interaction == "CancelBooking" else done.key
        before = [
            operation
            for operation in attempts[done.interaction, done.person, key]
            if operation.began <= done.at
        ]
        if not before:
            yield f"{done.interaction} for …{done.person[4:]} that nobody asked for"
        elif all(
            operation.outcome in (Outcome.NO, Outcome.NEVER_SENT)
            for operation in before
        ):
            yield f"{before[-1]}: yet {done.interaction} was done at {done.at:.3f}"


def _not_their_own(evidence: Evidence) -> Iterator[str]:
    """Each client is answered with its own Appointment, the one it asked about."""
    for operation in evidence.operations:
        if operation.answered is None:
            continue
        if operation.answered != operation.appointment:
            yield f"{operation}: of another Appointment than was asked about"
        if evidence.owners.get(operation.answered) != operation.person:
            yield f"{operation}: of somebody else's Appointment"


def _unsettled(evidence: Evidence) -> Iterator[str]:
    """When all is quiet nothing is left to be found out."""
    left = Counter(
        f"{row.kind} {row.state}" for row in evidence.decided if row.state in _UNSETTLED
    )
    for what, count in left.items():
        yield f"{count} {what}"


def _sent_too_often(evidence: Evidence) -> Iterator[str]:
    """Each intent was sent at most once by us."""
    allowed: Counter[tuple[str, str, str, str]] = Counter()
    for row in evidence.decided:
        if row.was_sent:
            unit, _, start = row.token.partition(" ")
            allowed[row.kind, row.person, unit, start] += 1
    for sent, count in evidence.sends.items():
        if sent[1] in evidence.elsewhere:
            continue
        if count > allowed[sent]:
            kind, person, _, start = sent
            yield (
                f"{kind} {start} for …{person[4:]} was sent {count} times for"
                f" {allowed[sent]} intents"
            )


def _disagreements(evidence: Evidence) -> Iterator[str]:
    """In the end the journal and the regions' books say the same."""
    doubled = _doubled(evidence)
    standing = {
        (each.key, each.person)
        for each in evidence.owned
        if each.until == inf and each.person not in evidence.elsewhere
    }
    known = set()
    left_open = set()
    for row in evidence.decided:
        slot = evidence.slots.get(row.booking_token)
        if row.booking_state == "BOOKED" and slot is not None:
            known.add((slot.key, row.person))
        if row.state in _UNSETTLED and row.alarm in _NEEDS_PERSON:
            left_open.add(row.person)
    for key, person in known - standing:
        if person in left_open:
            continue
        yield f"{key} of …{person[4:]} is BOOKED here and not there"
    for key, person in standing - known:
        if person not in doubled | left_open:
            yield f"{key} of …{person[4:]} is booked there and not here"


def index_differs(evidence: Evidence) -> Iterator[str]:
    """In the end the index has a post of each booking in the books, and no other."""
    if evidence.posts is None:
        return
    doubled = _doubled(evidence)
    left_open = {
        row.person
        for row in evidence.decided
        if row.state in _UNSETTLED and row.alarm in _NEEDS_PERSON
    }
    exempt = doubled | left_open | evidence.elsewhere
    standing = {
        (each.person, each.key[0], each.key[1], each.booking_id)
        for each in evidence.owned
        if each.until == inf
    }
    for person, unit, start, booking_id in evidence.posts - standing:
        if person not in exempt:
            yield f"{unit} {start} {booking_id} of …{person[4:]} is no booking"
    for person, unit, start, booking_id in standing - evidence.posts:
        if person not in exempt:
            yield f"{unit} {start} {booking_id} of …{person[4:]} has no post"


def _impossible_orders(evidence: Evidence) -> Iterator[str]:
    """The answers to clients about a slot could have come one after the other."""
    doubled, several = _doubled(evidence), _with_several(evidence)
    targets: dict[str, set[str]] = defaultdict(set)
    for operation in evidence.operations:
        if operation.slot is not None:
            targets[operation.person].add(operation.slot.token)
    steps: dict[str, list[Step]] = defaultdict(list)
    for operation in evidence.operations:
        for token, step in _steps(
            operation, targets[operation.person], doubled | several, several
        ):
            steps[token].append(step)
    for token, history in steps.items():
        slot = evidence.slots.get(token)
        if slot is None:
            continue
        try:
            if not is_linearizable(history, places=slot.places):
                yield f"{slot.key}: no order of {_listed(history)}"
        except ValueError as error:
            yield f"{slot.key}: {error}: {_listed(history)}"


def _listed(history: Sequence[Step]) -> str:
    return "; ".join(
        f"{step.act.value}{'' if step.is_certain else '?'} …{step.person[4:]}"
        f" {step.began:.3f}-{step.ended:.3f}"
        for step in sorted(history, key=lambda each: each.began)
    )


def _steps(
    operation: Operation, targets: set[str], doubled: set[str], several: set[str]
) -> Iterator[tuple[str, Step]]:
    acts: list[tuple[str, Act]] = []
    outcome = operation.outcome
    if outcome in (Outcome.NO, Outcome.NEVER_SENT):
        return
    is_certain = outcome is Outcome.YES
    match operation.kind:
        case Kind.BOOK | Kind.MOVE if not is_certain or operation.stated == "booked":
            assert operation.slot is not None
            acts.append((operation.slot.token, Act.ACQUIRE))
            if operation.kind is Kind.MOVE:
                acts += [
                    (token, Act.RELEASE) for token in targets - {operation.slot.token}
                ]
        case Kind.CANCEL:
            # It may be another Appointment of theirs that is cancelled.
            is_certain = is_certain and operation.person not in several
            acts += [(token, Act.RELEASE) for token in targets]
        case Kind.READ if is_certain and operation.stated == "booked":
            stated = operation.stated_slot or ""
            acts.append((stated, Act.HOLDS))
            if operation.person not in doubled:
                acts += [(token, Act.LACKS) for token in targets - {stated}]
        case Kind.READ if is_certain and operation.person not in doubled:
            acts += [(token, Act.LACKS) for token in targets]
    for token, act in acts:
        yield (
            token,
            Step(
                act=act,
                person=operation.person,
                began=operation.began,
                ended=operation.ended,
                is_certain=is_certain,
            ),
        )


def _turned_back(evidence: Evidence) -> Iterator[str]:
    """What was said to be cancelled is never booked again without an alarm."""
    contradicted = {
        row.appointment for row in evidence.decided if row.alarm == "CONTRADICTED"
    }
    cancelled: dict[str, float] = {}
    for operation in sorted(evidence.operations, key=lambda each: each.ended):
        if operation.appointment is None:
            continue
        if operation.stated == "cancelled":
            cancelled.setdefault(operation.appointment, operation.ended)
    for operation in evidence.operations:
        since = cancelled.get(operation.appointment or "", inf)
        if (
            operation.began > since
            and operation.stated in ("booked", "pending")
            and operation.appointment not in contradicted
        ):
            yield f"{operation}: cancelled since {since:.3f}"


def _without_a_time(evidence: Evidence) -> Iterator[str]:
    """A move never leaves the resident without a time."""
    cancelled = {
        done.person for done in evidence.done if done.interaction == "CancelBooking"
    }
    moved = {
        done.person for done in evidence.done if done.interaction == "UpdateBooking"
    }
    by_person: dict[str, list[Owned]] = defaultdict(list)
    for each in evidence.owned:
        by_person[each.person].append(each)
    for person in moved - cancelled:
        held = sorted(by_person[person], key=lambda each: each.since)
        until = held[0].until
        for each in held[1:]:
            if each.since > until:
                yield f"…{person[4:]} had no time from {until:.3f}"
            until = max(until, each.until)
        if until != inf:
            yield f"…{person[4:]} was moved and has no time"


def different_answers(evidence: Evidence) -> Iterator[str]:
    """
    The same request for a booking that stands leads to the same Appointment.

    A booking that its resident has moved stands at its first time until that move
    begins: after it the resident may book that time anew.
    """
    ended = {
        row.appointment
        for row in evidence.decided
        if row.booking_state in ("CANCELLED", "REFUSED")
    }
    at = {row.appointment: row.booking_token for row in evidence.decided}
    moved_at: dict[str, float] = {}
    named: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for operation in sorted(evidence.operations, key=lambda each: each.began):
        appointment = operation.appointment
        if not appointment or not operation.slot:
            continue
        if operation.kind is Kind.MOVE:
            moved_at.setdefault(appointment, operation.began)
        elif operation.kind is Kind.BOOK and appointment not in ended:
            of_slot = named[operation.person, operation.slot.token]
            of_slot.setdefault(appointment, operation.began)
    for (person, token), since in named.items():
        until = {
            each: moved_at.get(each, inf) if at.get(each, token) != token else inf
            for each in since
        }
        if any(
            since[one] < until[other] and since[other] < until[one]
            for one, other in combinations(since, 2)
        ):
            yield f"{token} of …{person[4:]} has {len(since)} Appointments"


def _failures(evidence: Evidence) -> Iterator[str]:
    """The server never fails but by saying that it cannot ask."""
    failed = Counter(
        f"{operation.kind.value} {operation.status} {operation.diagnostics}"
        for operation in evidence.operations
        if (operation.status or 0) >= 500 and operation.status != 503
    )
    for what, count in failed.items():
        yield f"{count} times {what}"


def _leaks(evidence: Evidence) -> Iterator[str]:
    """
    No person's number and no name stands anywhere but in a sealed field.

    A cookie that one resident's call set would link another's to it.
    """
    if evidence.cookies:
        yield f"{evidence.cookies} cookies came back"
    persons = {operation.person for operation in evidence.operations}
    for where, text in evidence.texts.items():
        if FAMILY_NAME in text or FAMILY_NAME.encode().decode("latin-1") in text:
            yield f"a name in {where}"
        found = {number for number in _NUMBER.findall(text) if number in persons}
        if found:
            yield f"{len(found)} personal numbers in {where}"
