"""
What a client does with the gateway: steps from the first search to the cancellation.

Each step is a function of the visit; its docstring is the row of `docs/clients.md`. A
client that has no verb for a step is not tried with it.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from .client import Client, ClientFailed

__all__ = [
    "COVID_VACCINATION",
    "STEPS",
    "Attempt",
    "Step",
    "Visit",
    "proposed",
    "take_steps",
]

COVID_VACCINATION: Final = "http://snomed.info/sct|72791000052103"
_PERSONAL_NUMBER: Final = "http://electronichealth.se/identifier/personnummer"
_TIME_TYPES: Final = "https://fhir-gateway.example.org/ValueSet/standard-time-types"

Json = Any


@dataclass(slots=True, kw_only=True)
class Visit:
    """
    A client at work.

    Attributes:
        number: The resident's personal number.
        slots: Ids of free slots that nobody else takes; a step takes the next one.
        taken: The id of a slot that another resident has.
        appointment: The appointment that the client made, as it saw it last.
    """

    client: Client
    number: str
    slots: list[str]
    taken: str
    appointment: Json = field(default=None)

    def fails(self, verb: str, *arguments: Any) -> ClientFailed:
        """Return the error of a verb that must fail."""
        try:
            value = self.client.do(verb, *arguments)
        except ClientFailed as error:
            return error
        raise AssertionError(f"{verb} gave {value}")


def proposed(slot: str, number: str, *, comment: str | None = None) -> Json:
    """Return an Appointment to book a slot with, for a resident."""
    return {
        "resourceType": "Appointment",
        "status": "proposed",
        "contained": [
            {
                "resourceType": "Patient",
                "id": "patient",
                "name": [{"family": "Provsson", "given": ["Prov"]}],
            }
        ],
        "slot": [{"reference": f"Slot/{slot}"}],
        "participant": [
            {
                "status": "accepted",
                "actor": {
                    "reference": "#patient",
                    "type": "Patient",
                    "identifier": {"system": _PERSONAL_NUMBER, "value": number},
                },
            }
        ],
        **({} if comment is None else {"comment": comment}),
    }


@dataclass(frozen=True, slots=True)
class Step:
    """A step: its name, the verbs that it needs, and what it does."""

    name: str
    verbs: frozenset[str]
    act: Callable[[Visit], None]

    @property
    def meaning(self) -> str:
        """Return its row in `docs/clients.md`."""
        return (self.act.__doc__ or "").rstrip(".")


STEPS: Final[list[Step]] = []


def _step(*verbs: str) -> Callable[[Callable[[Visit], None]], Callable[[Visit], None]]:
    def added(act: Callable[[Visit], None]) -> Callable[[Visit], None]:
        STEPS.append(Step(act.__name__, frozenset(verbs), act))
        return act

    return added


def _matches(bundle: Json) -> list[Json]:
    return [
        each["resource"]
        for each in bundle.get("entry", ())
        if each.get("search", {}).get("mode") == "match"
    ]


def _only(answer: Json) -> Json:
    """Return the Appointment in the answer of an operation."""
    if answer["resourceType"] == "Bundle":
        resources = [each["resource"] for each in answer["entry"]]
        [answer] = [each for each in resources if each["resourceType"] == "Appointment"]
    return answer


def _parameters(**values: Json) -> Json:
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": name.replace("_", "-"), **value} for name, value in values.items()
        ],
    }


@_step("metadata")
def reads_metadata(visit: Visit) -> None:
    """The CapabilityStatement."""
    assert visit.client.do("metadata")["fhirVersion"] == "4.0.1"


@_step("search")
def finds_free_times(visit: Visit) -> None:
    """Free times by SNOMED CT code, earliest first."""
    query = {"service-type": COVID_VACCINATION, "_sort": "start", "_count": "20"}
    slots = _matches(visit.client.do("search", "Slot", query))
    assert [each["status"] for each in slots] == ["free"] * 20


@_step("search", "next")
def follows_next_links(visit: Visit) -> None:
    """The next page."""
    first = visit.client.do("search", "Slot", {"_count": "5"})
    second = visit.client.do("next", first)
    found = {each["id"] for page in (first, second) for each in _matches(page)}
    assert len(found) == 10


@_step("search")
def includes_actors(visit: Visit) -> None:
    """`_include` with `:iterate`: schedules, units, staff."""
    query = {
        "_count": "3",
        "_include": "Slot:schedule",
        "_include:iterate": "Schedule:actor",
    }
    found = visit.client.do("search", "Slot", query)
    types = {each["resource"]["resourceType"] for each in found["entry"]}
    assert types >= {"Slot", "Schedule", "HealthcareService", "Location"}


@_step("search")
def compares_units(visit: Visit) -> None:
    """The first free time of each unit (`first-per`)."""
    query = {"service-type": COVID_VACCINATION, "first-per": "unit"}
    found = _matches(visit.client.do("search", "Slot", query))
    units = [each["schedule"]["reference"].split(".")[0] for each in found]
    assert len(units) > 1
    assert len(set(units)) == len(units)


@_step("search")
def counts(visit: Visit) -> None:
    """`_summary=count`."""
    found = visit.client.do("search", "Slot", {"_summary": "count"})
    assert found["total"] > 0
    assert not _matches(found)


@_step("search")
def chooses_elements(visit: Visit) -> None:
    """`_elements`."""
    query = {"_count": "1", "_elements": "start,end"}
    [slot] = _matches(visit.client.do("search", "Slot", query))
    assert slot.keys() == {
        *("resourceType", "id", "meta", "schedule", "status", "start", "end")
    }


@_step("search")
def searches_units(visit: Visit) -> None:
    """A unit by its name."""
    [unit] = _matches(visit.client.do("search", "Location", {"_count": "1"}))
    named = visit.client.do("search", "Location", {"name": unit["name"]})
    assert unit["id"] in {each["id"] for each in _matches(named)}


@_step("read")
def reads_a_slot(visit: Visit) -> None:
    """A slot by its id."""
    assert visit.client.do("read", "Slot", visit.slots[0])["status"] == "free"


@_step("ask")
def finds_proposals(visit: Visit) -> None:
    """`Appointment/$find`."""
    query = {"visit-type": COVID_VACCINATION, "_count": "3"}
    found = visit.client.do("ask", "Appointment", "find", query)
    statuses = {each["resource"]["status"] for each in found["entry"][:3]}
    assert statuses == {"proposed"}


@_step("ask")
def expands_the_value_set(visit: Visit) -> None:
    """`ValueSet/$expand` of the standard time types."""
    answer = visit.client.do("ask", "ValueSet", "expand", {"url": _TIME_TYPES})
    codes = {each["code"] for each in answer["expansion"]["contains"]}
    assert COVID_VACCINATION.rpartition("|")[2] in codes


@_step("ask")
def looks_a_code_up(visit: Visit) -> None:
    """`CodeSystem/$lookup` of a standard time type."""
    system, code = COVID_VACCINATION.split("|")
    query = {"system": system, "code": code}
    answer = visit.client.do("ask", "CodeSystem", "lookup", query)
    values = {each["name"]: each.get("valueString") for each in answer["parameter"]}
    assert values["display"]


@_step("call")
def validates(visit: Visit) -> None:
    """`Appointment/$validate` before sending."""
    sent = proposed(visit.slots[0], visit.number)
    outcome = visit.client.do("call", "Appointment", "validate", sent)
    assert {each["severity"] for each in outcome["issue"]} == {"information"}


@_step("call")
def holds_and_books(visit: Visit) -> None:
    """`$hold`, `$book`, `$cancel`."""
    slot = visit.slots.pop()
    resource = {"resource": proposed(slot, visit.number)}
    held = visit.client.do(
        "call", "Appointment", "hold", _parameters(appointment=resource)
    )
    made = visit.client.do(
        *("call", "Appointment", "book"), _parameters(appointment_resource=resource)
    )
    reference = {"valueReference": {"reference": f"Appointment/{_only(made)['id']}"}}
    gone = visit.client.do(
        *("call", "Appointment", "cancel"),
        _parameters(appointment_reference=reference),
    )
    statuses = [_only(each)["status"] for each in (held, made, gone)]
    assert statuses == ["pending", "booked", "cancelled"]


@_step("create")
def books(visit: Visit) -> None:
    """Create: book a slot."""
    sent = proposed(visit.slots.pop(), visit.number, comment="Andra dosen")
    made = visit.client.do("create", sent)
    assert (made["status"], made["comment"]) == ("booked", "Andra dosen")
    visit.appointment = made


@_step("createIfNone")
def books_if_none(visit: Visit) -> None:
    """Create with `If-None-Exist`: sent twice, booked once."""
    sent = proposed(visit.slots.pop(), visit.number)
    condition = f"identifier=urn:ietf:rfc:3986|urn:uuid:{uuid.uuid4()}"
    first = visit.client.do("createIfNone", sent, condition)
    again = visit.client.do("createIfNone", sent, condition)
    assert again["id"] == first["id"]
    assert first["status"] == "booked"


@_step("create")
def sees_that_a_slot_is_taken(visit: Visit) -> None:
    """Why a create failed: the slot is another resident's."""
    failed = visit.fails("create", proposed(visit.taken, visit.number))
    assert failed.status in (None, 409)
    assert failed.outcome["issue"][0]["code"] == "conflict"


@_step("read")
def reads_it(visit: Visit) -> None:
    """The appointment by its id."""
    read = visit.client.do("read", "Appointment", visit.appointment["id"])
    assert read["status"] == "booked"
    visit.appointment = read


@_step("vread")
def reads_a_version(visit: Visit) -> None:
    """The present version of it."""
    version = visit.appointment["meta"]["versionId"]
    read = visit.client.do("vread", "Appointment", visit.appointment["id"], version)
    assert read["meta"]["versionId"] == version


@_step("search")
def lists_own_appointments(visit: Visit) -> None:
    """The resident's own appointments by GET, without a personal number."""
    slot = visit.appointment["slot"][0]["reference"]
    found = visit.client.do("search", "Appointment", {"slot": slot})
    assert [each["id"] for each in _matches(found)] == [visit.appointment["id"]]


@_step("updateIf")
def notices_a_stale_version(visit: Visit) -> None:
    """Update of an old version is refused (`If-Match`)."""
    changed = {**visit.appointment, "status": "cancelled"}
    failed = visit.fails("updateIf", changed, "1")
    assert failed.status in (None, 412)
    assert visit.client.do("read", "Appointment", changed["id"])["status"] == "booked"


@_step("patch")
def moves(visit: Visit) -> None:
    """JSON Patch: move to another slot."""
    slot = f"Slot/{visit.slots.pop()}"
    visit.appointment = visit.client.do(
        *("patch", "Appointment", visit.appointment["id"]),
        [{"op": "replace", "path": "/slot/0/reference", "value": slot}],
    )
    assert visit.appointment["slot"] == [{"reference": slot}]


@_step("patchByPath")
def moves_by_path(visit: Visit) -> None:
    """FHIRPath Patch: move to another slot."""
    slot = f"Slot/{visit.slots.pop()}"
    parts = {
        "type": {"valueCode": "replace"},
        "path": {"valueString": "Appointment.slot[0]"},
        "value": {"valueReference": {"reference": slot}},
    }
    operation = {
        "name": "operation",
        "part": [{"name": name, **value} for name, value in parts.items()],
    }
    visit.appointment = visit.client.do(
        *("patchByPath", "Appointment", visit.appointment["id"]),
        {"resourceType": "Parameters", "parameter": [operation]},
    )
    assert visit.appointment["slot"] == [{"reference": slot}]


@_step("readXml")
def reads_xml(visit: Visit) -> None:
    """The appointment as XML."""
    read = visit.client.do("readXml", "Appointment", visit.appointment["id"])
    assert read["slot"] == visit.appointment["slot"]


@_step("createXml")
def books_by_xml(visit: Visit) -> None:
    """Create, as XML: book a slot."""
    made = visit.client.do(
        "createXml", proposed(visit.slots.pop(), visit.number, comment="Första dosen")
    )
    assert (made["status"], made["comment"]) == ("booked", "Första dosen")


@_step("update")
def cancels(visit: Visit) -> None:
    """Update: cancel."""
    read = visit.client.do("read", "Appointment", visit.appointment["id"])
    gone = visit.client.do("update", {**read, "status": "cancelled"})
    assert gone["status"] == "cancelled"


@_step("batch")
def sends_a_batch(visit: Visit) -> None:
    """A batch, with an outcome for each entry."""
    urls = ("Slot?_count=1", "Slot/none")
    answer = visit.client.do(
        "batch",
        {
            "resourceType": "Bundle",
            "type": "batch",
            "entry": [{"request": {"method": "GET", "url": each}} for each in urls],
        },
    )
    statuses = [each["response"]["status"][:3] for each in answer["entry"]]
    assert statuses == ["200", "404"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    How a step went.

    Attributes:
        is_offered: The client has the verbs for it.
        why: Why it failed; empty when it did not.
    """

    is_offered: bool
    why: str = ""


def take_steps(visit: Visit) -> dict[str, Attempt]:
    """Return how each step went, by name; a failed one does not end the visit."""
    attempts = {}
    for step in STEPS:
        if not step.verbs <= visit.client.verbs:
            attempts[step.name] = Attempt(is_offered=False)
            continue
        try:
            step.act(visit)
        except (AssertionError, ClientFailed, LookupError, TypeError) as error:
            attempts[step.name] = Attempt(is_offered=True, why=f"{error!r}"[:600])
        else:
            attempts[step.name] = Attempt(is_offered=True)
    return attempts
