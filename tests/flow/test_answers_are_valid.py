"""
Every kind of answer is valid FHIR R4, and fits the profiles that it names.

Judged by validators that this project did not write; see tests/validators.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import requests
from hl7_validator import ACCEPTED_WARNINGS, Hl7Validator, Message
from node_validators import NodeValidators
from web.bodies import (
    COVID_VACCINATION,
    FHIR_JSON,
    JSON_PATCH,
    PERSONNUMMER,
    appointment,
    slot_patch,
    status_patch,
)
from web.dialects import (
    BOOKINGS,
    CANCELLATIONS,
    HOLDS,
    MOVES,
    appointment_in,
    parameters,
    text,
)
from web.running import REGIONS, OtherPrograms, Sandbox, fill

from fhir_gateway.fhir.resource_xml import xml_from_resource
from fhir_gateway.sandbox.server import SandboxServer

# One process of each validator, and one collection, serve all of these tests.
pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("validators")]

_TOLVAN: Final = "191212121212"
_ALL_INCLUDES: Final = (
    "_include=Slot:schedule&_include:iterate=Schedule:actor"
    "&_include:iterate=HealthcareService:location"
    "&_include:iterate=HealthcareService:organization"
    "&_include:iterate=Location:organization"
    "&_include:iterate=PractitionerRole:practitioner"
)
_SEARCHES: Final = (
    f"Slot?service-type={COVID_VACCINATION}&_count=60&{_ALL_INCLUDES}",
    "Slot?service-type=TT-GRUPP&_count=3",
    "Slot?_count=0",
    "Slot?status=busy",
    "Slot?service-type=nothing",
    "Slot?schedule.actor:Location=SE2321009902-1001&_sort=-start&_include=Slot:schedule",
    "HealthcareService?service-type=72791000052103&_include=HealthcareService:location",
    "HealthcareService?_count=2&_include=HealthcareService:organization",
    "HealthcareService?_count=1000",
    "Slot?first-per=unit&_count=1",
    "Slot?schedule.actor:Location.near=63.8|20.3&day-of-week=mon,tue&time-of-day=ge08:00",
    "HealthcareService?location.near=63.8|20.3|9|km",
    "HealthcareService?location=SE1-1",
    "Location?near=63.8|20.3&_revinclude=HealthcareService:location",
    "Organization?name=region",
    "Schedule?_count=5&_include=Schedule:actor",
    "Practitioner?name=anna&_revinclude=PractitionerRole:practitioner",
    "PractitionerRole?_count=5&_include:iterate=PractitionerRole:service",
    "Location?organization=SE1-1",
)
_CANONICAL_BASE: Final = "https://fhir-gateway.example.org"
_SYSTEM_OF_A_UNIT: Final = f"{_CANONICAL_BASE}/CodeSystem/time-types-SE2321009901-1001"
_STANDARD: Final = f"{_CANONICAL_BASE}/ValueSet/standard-time-types"
_DOCUMENTS: Final = (
    *("metadata?mode=terminology", "metadata?mode=normative"),
    *("StructureDefinition/slot", "SearchParameter/slot-time-of-day"),
    *("OperationDefinition/appointment-find", "ImplementationGuide/fhir-gateway"),
    *("CodeSystem/error-code", "ValueSet/standard-time-types", "Endpoint/fhir"),
    *("ConceptMap/time-types-norr", "ConceptMap/nothing"),
    *("CodeSystem?_sort=name", "ValueSet?context-type-value=focus$Slot", "Endpoint"),
    "StructureDefinition?type=Slot",
    f"ConceptMap/$translate?system={_SYSTEM_OF_A_UNIT}&code=TT-COVID",
    f"ConceptMap/$translate?system={_SYSTEM_OF_A_UNIT}&code=TT-NONE",
    f"ValueSet/$expand?url={_STANDARD}&includeDesignations=true&filter=covid&count=1",
    "ValueSet/error-code/$expand?count=0",
    f"ValueSet/$validate-code?url={_STANDARD}&system={_SYSTEM_OF_A_UNIT}&code=x",
    "CodeSystem/$lookup?coding=http://snomed.info/sct|72791000052103",
    "CodeSystem/error-code/$validate-code?code=NOT_FOUND&display=x",
    "CodeSystem/$validate-code?url=http://snomed.info/sct&code=185349003",
    "CodeSystem/error-code/$subsumes?codeA=NOT_FOUND&codeB=NOT_FOUND",
)
_BAD_READS: Final = (
    *("Slot/x", "Patient/x", "Appointment/x", "nothing/at/all"),
    *("Appointment?patient.identifier=x", "Slot?_format=ttl"),
    "Slot?colour=red&start=ne2026&status=open&_count=-1&_include=*&_sort=x&schedule=%20",
    "Slot?191212121212=x",
    "Slot?_cursor=x",
    "Slot?start=%00",
    "Slot?" + "&".join(f"service-type={number}" for number in range(101)),
)


@dataclass
class Answers:
    """A client that writes every answer into a folder, as a file of its own."""

    base: str
    folder: Path
    count: int = 0

    def keep(self, response: requests.Response) -> dict[str, Any]:
        """Write an answer down; return its body."""
        self.write(response.content, response.status_code)
        body: dict[str, Any] = response.json()
        return body

    def write(self, content: bytes, status: int) -> None:
        """Write a resource down."""
        self.count += 1
        (self.folder / f"{self.count:03}-{status}.json").write_bytes(content)

    def get(self, path: str) -> dict[str, Any]:
        """Keep the answer to a GET."""
        return self.keep(requests.get(f"{self.base}/{path}", timeout=30))

    def send(
        self,
        method: str,
        path: str,
        body: Any,
        content_type: str = FHIR_JSON,
        **more: str,
    ) -> dict[str, Any]:
        """Keep the answer to a body."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": content_type, **more}
        url = f"{self.base}/{path}"
        return self.keep(
            requests.request(method, url, data=data, headers=headers, timeout=30)
        )

    def patch(self, body: dict[str, Any], operations: Any) -> dict[str, Any]:
        """Keep the answer to a patch."""
        return self.send("PATCH", f"Appointment/{body['id']}", operations, JSON_PATCH)

    def call(self, name: str, body: Any, *, on: str | None = None) -> dict[str, Any]:
        """Keep the answer to an operation, on an appointment or on the type."""
        path = f"Appointment/{on}/${name}" if on else f"Appointment/${name}"
        return self.send("POST", path, body)

    def find(self, number: str, **more: str | list[str]) -> dict[str, Any]:
        """Keep the answer to a search for a resident's appointments."""
        return self.keep(
            requests.post(
                f"{self.base}/Appointment/_search",
                data={"patient.identifier": f"{PERSONNUMMER}|{number}", **more},
                timeout=30,
            )
        )

    def find_records(self, number: str) -> dict[str, Any]:
        """Keep the answer to a search for the audit records about a resident."""
        return self.keep(
            requests.post(
                f"{self.base}/AuditEvent/_search",
                data={"patient.identifier": f"{PERSONNUMMER}|{number}"},
                timeout=30,
            )
        )

    def slots(self, region: str, code: str = COVID_VACCINATION) -> Iterator[str]:
        """Yield the ids of free slots of a region."""
        bundle = requests.get(
            f"{self.base}/Slot?service-type={code}&_count=1000", timeout=30
        ).json()
        for entry in bundle["entry"]:
            resource = entry["resource"]
            if resource.get("meta", {}).get("source", "").endswith(f"/{region}"):
                yield resource["id"]

    def book(self, region: str, number: str, **changes: Any) -> dict[str, Any]:
        """Keep the answer to a booking of a region's first free slot."""
        body = appointment(next(self.slots(region)), number, **changes)
        return self.send("POST", "Appointment", body)


def every_reference(value: Any) -> set[str]:
    """Return every reference in a body to another resource."""
    if isinstance(value, list):
        return {each for item in value for each in every_reference(item)}
    if not isinstance(value, dict):
        return set()
    found = {each for item in value.values() for each in every_reference(item)}
    reference = value.get("reference", "#")
    return found if reference.startswith("#") else found | {reference}


def searches_and_reads(answers: Answers) -> None:
    """Search in every way, and read all that an answer refers to."""
    answers.get("metadata")
    for path in _DOCUMENTS:
        answers.get(path)
    waiting: set[str] = set()
    read: set[str] = set()
    for query in _SEARCHES:
        bundle = answers.get(query)
        waiting |= every_reference(bundle)
    while waiting:
        reference = waiting.pop()
        read.add(reference)
        waiting |= every_reference(answers.get(reference)) - read
    for region in REGIONS:
        answers.get(f"Slot/{next(answers.slots(region))}")


def feed(answers: Answers) -> None:
    """Fetch the open feed; keep some lines of each file, as answers of their own."""
    manifest = requests.get(f"{answers.base}/$bulk-publish", timeout=30).json()
    for output in {
        (each["type"], each["extension"]["source"]): each for each in manifest["output"]
    }.values():
        url = answers.base + output["url"].partition("/fhir")[2]
        file = requests.get(url, timeout=30)
        assert file.status_code == 200
        for line in file.content.splitlines()[:3]:
            answers.write(line, file.status_code)


def bookings(answers: Answers, sandbox: Sandbox, numbers: Iterator[str]) -> None:
    """Book, move and cancel everywhere; see what is said, and what is not known."""
    for region in REGIONS:
        number = next(numbers)
        booked = answers.book(region, number, comment="Jag har feber.")
        answers.get(f"Appointment/{booked['id']}")
        answers.get(booked["slot"][0]["reference"])
        later = list(answers.slots(region))
        schedule = booked["slot"][0]["reference"].partition("/")[2].rsplit(".", 2)[0]
        slot = [each for each in later if each.startswith(schedule)][10]
        answers.patch(booked, slot_patch(slot))
        answers.find(number)
        answers.call("validate", booked, on=booked["id"])
        answers.call("validate", appointment(later[0], number))
        answers.call("validate", booked | {"status": "arrived"}, on=booked["id"])
        answers.find(
            number,
            _count="1",
            _include=["Appointment:slot", "Appointment:actor"],
            **{"_include:iterate": "Location:organization", "status:not": "cancelled"},
        )
        answers.get(f"Appointment?_id={booked['id']}")
        answers.get(f"Appointment?slot=Slot/{slot}")
        answers.patch(booked, status_patch("cancelled"))
        answers.find(number)
        sandbox.spoil(region, "info", text="Kom tio minuter före.")
        reported = answers.book(region, number)
        answers.send(
            "PUT", f"Appointment/{reported['id']}", reported | {"status": "cancelled"}
        )
        sandbox.heal()
        sandbox.spoil(region, "drop-after-processing", interactions=["MakeBooking"])
        pending = answers.book(region, number)
        answers.find(number)
        sandbox.heal()
        answers.get(f"Appointment/{pending['id']}")
        sandbox.spoil(region, "vp-fault")
        answers.find(number)
        answers.get(f"Appointment/{pending['id']}")
        answers.book(region, number)
        sandbox.heal()
        sandbox.spoil(region, "error", text="Ring oss.")
        answers.book(region, number)
        sandbox.heal()
        records = answers.find_records(number)
        answers.get(f"AuditEvent/{records['entry'][0]['resource']['id']}")
    invite(answers, sandbox, next(numbers))
    invited = answers.find(_TOLVAN)
    for entry in invited["entry"]:
        if entry["search"]["mode"] == "match":
            answers.get(f"Appointment/{entry['resource']['id']}")


def invite(answers: Answers, sandbox: Sandbox, number: str) -> None:
    """Find an open invitation and its slots, and book one."""
    order = sandbox.invite("norr", number)
    system = f"{_CANONICAL_BASE}/identifier/booking-id/{order['unit']}"
    found = answers.find(number, identifier=f"{system}|{order['booking_id']}")
    (proposed,) = (
        each["resource"] for each in found["entry"] if each["search"]["mode"] == "match"
    )
    answers.get(f"Appointment/{proposed['id']}")
    slots = answers.get(f"Slot?invitation={proposed['id']}&_count=3")
    answers.get(f"Appointment/$find?invitation={proposed['id']}&_count=3")
    slot = slots["entry"][0]["resource"]["id"]
    wanted = appointment(slot, number)
    answers.send(
        "PUT",
        f"Appointment/{proposed['id']}",
        {
            **proposed,
            "status": "booked",
            **{name: wanted[name] for name in ("contained", "slot", "participant")},
        },
    )
    answers.get(f"Slot?invitation={proposed['id']}")


def operations(answers: Answers, sandbox: Sandbox, numbers: Iterator[str]) -> None:
    """Call every operation in every dialect; see every form of an answer."""
    for query in ("", "?visit-type=72791000052103&_count=3&specialty=394814009"):
        answers.get(f"Appointment/$find{query}")
    found = answers.call("find", parameters(text("visit-type", COVID_VACCINATION)))
    answers.get(f"Appointment/{found['entry'][0]['resource']['id']}")
    for dialect, book in BOOKINGS.items():
        number = next(numbers)
        slots = answers.slots("norr")
        hold = HOLDS.get(dialect, HOLDS["plain"])
        held = answers.call("hold", hold(next(slots), number))
        answers.call("hold", parameters(), on=appointment_in(held)["id"])
        answers.find(number)
        answers.call("hold", hold(next(slots), number))
        answers.call("hold", hold(next(slots), number))
        slot = appointment_in(held)["slot"][0]["reference"].partition("/")[2]
        booked = appointment_in(answers.call("book", book(slot, number)))
        schedule = slot.rsplit(".", 2)[0]
        later = [each for each in answers.slots("norr") if each.startswith(schedule)]
        move = MOVES.get(dialect, MOVES["ihe"])
        operation, on, body = move(booked, later[20])
        moved = appointment_in(answers.call(operation, body, on=on))
        sandbox.spoil("norr", "info", text="Ring om du får feber.")
        cancel = CANCELLATIONS.get(dialect, CANCELLATIONS["plain"])
        operation, on, body = cancel(moved)
        answers.call(operation, body, on=on)
        sandbox.heal()
        answers.call("reschedule", parameters(), on=moved["id"])
        answers.call("hold", parameters(), on=moved["id"])
        sandbox.spoil("norr", "drop-after-processing", interactions=["MakeBooking"])
        answers.call("book", book(next(answers.slots("norr")), number))
        sandbox.heal()
        answers.send("POST", "Slot/$hold", HOLDS["austria"](next(slots), next(numbers)))
        answers.call("book", parameters(text("colour", "red")))
        answers.find_records(number)


def batches(answers: Answers, number: str) -> None:
    """Send batches: reads, twice too, searches, a booking, and refused entries."""
    slots = answers.slots("norr")
    slot = next(slots)
    wanted: list[dict[str, Any]] = [
        *({"request": {"method": "GET", "url": f"Slot/{slot}"}} for _ in range(2)),
        {"request": {"method": "HEAD", "url": f"Slot/{slot}"}},
        {"request": {"method": "GET", "url": "Slot?_count=2&_include=Slot:schedule"}},
        {"request": {"method": "GET", "url": "metadata"}},
        {"request": {"method": "GET", "url": "Slot/x"}},
        {"request": {"method": "GET", "url": "https://elsewhere.example.org/"}},
        {"request": {"method": "DELETE", "url": f"Slot/{slot}"}},
        {
            "request": {"method": "POST", "url": "Appointment"},
            "resource": appointment(next(slots), number),
        },
        {},
    ]
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "batch"}
    for body in (bundle | {"entry": wanted}, bundle, bundle | {"type": "transaction"}):
        answers.send("POST", "", body)


def refusals(answers: Answers, number: str) -> None:
    """Ask for and send what is refused, each for a reason of its own."""
    for path in _BAD_READS:
        answers.get(path)
    slot = next(answers.slots("norr"))
    good = appointment(slot, number)
    booked = answers.send("POST", "Appointment", good, Prefer="return=OperationOutcome")
    assert booked["resourceType"] == "OperationOutcome"
    for body in (
        b"{",
        [],
        good | {"colour": "red", "comment": ""},
        appointment("1", "1", status="fulfilled"),
        appointment(slot.rpartition(".")[0] + ".1", number),
        appointment(slot, _TOLVAN),
        appointment(slot, number, participant=[{"status": "x"}] * 200),
    ):
        answers.send("POST", "Appointment", body)
    answers.send("POST", "Appointment", good, "text/plain")
    answers.send("POST", "Appointment", b" " * 300_000)
    answers.send("DELETE", "Appointment/x", b"")
    kept = answers.find(number)["entry"][0]["resource"]
    path = f"Appointment/{kept['id']}"
    answers.send("PUT", path, kept, **{"If-Match": 'W/"99"'})
    answers.send("PUT", path, kept, **{"If-Match": "99"})
    answers.send("PUT", path, kept | {"id": "x"})
    answers.send("PUT", path, kept | {"status": "arrived"})
    answers.send("PUT", path, kept | {"comment": "x"})
    answers.send("PUT", path, kept | {"slot": [{"reference": "Slot/1"}]})
    answers.patch(kept, [{"op": "remove", "path": "/x"}])
    answers.patch(kept, {})


@dataclass(frozen=True)
class Collected:
    """A folder of answers, one a file, and how many there are."""

    folder: Path
    count: int


@pytest.fixture(name="collected", scope="module", params=["resources", "operations"])
def _collected(
    request: pytest.FixtureRequest,
    live_url: str,
    sandbox_server: SandboxServer,
    persons: Iterator[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Collected:
    """Give the answers of every kind, to REST and to operations."""
    answers = Answers(live_url, tmp_path_factory.mktemp(request.param))
    sandbox = Sandbox(sandbox_server)
    try:
        if request.param == "operations":
            operations(answers, sandbox, persons)
        else:
            searches_and_reads(answers)
            feed(answers)
            bookings(answers, sandbox, persons)
            refusals(answers, next(persons))
            batches(answers, next(persons))
    finally:
        sandbox.heal()
    return Collected(answers.folder, answers.count)


@pytest.fixture(name="collected_in_part", scope="module")
def _collected_in_part(
    other_programs: OtherPrograms,
    sandbox_server: SandboxServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Collected:
    """Give searchsets before any source has answered, and with one missing."""
    folder = tmp_path_factory.mktemp("in-part")
    sandbox = Sandbox(sandbox_server)
    with other_programs.start() as made:
        client = made.app.test_client()
        made.view.catch_up()
        paths = ("Slot", "HealthcareService", "Slot?_count=0")
        texts = [client.get(f"/fhir/{path}").text for path in paths]
        sandbox.spoil("syd", "vp-fault")
        try:
            fill(made)
            texts += [client.get(f"/fhir/{path}").text for path in paths]
        finally:
            sandbox.heal()
    for number, answer in enumerate(texts):
        (folder / f"{number}.json").write_text(answer, encoding="utf-8")
    return Collected(folder, len(texts))


def test_every_answer_is_valid(collected: Collected, node: NodeValidators) -> None:
    """Each answer of the server is valid FHIR R4 and fits this project's profiles."""
    assert collected.count > 70
    finished = node.validate(collected.folder, "--require-profiles")

    assert finished.stdout == f"{collected.count} resources valid, 0 invalid\n"


def test_hl7s_validator_accepts_every_answer(
    collected: Collected, hl7: Hl7Validator
) -> None:
    """HL7's own validator finds no error, and no warning of a kind not accepted."""
    assert refused(hl7, collected) == []


def test_hl7s_validator_accepts_the_xml_of_each_kind(
    collected: Collected, hl7: Hl7Validator, tmp_path: Path
) -> None:
    """It finds nothing in the XML of an answer of each status and kind of content."""
    kinds = {}
    for path in sorted(collected.folder.glob("*.json")):
        resource = json.loads(path.read_bytes())
        content = frozenset(
            each.get("resource", {}).get("resourceType")
            for each in resource.get("entry", ())
        )
        kinds[path.stem[-3:], resource["resourceType"], content] = resource
    for number, resource in enumerate(kinds.values()):
        (tmp_path / f"{number}.xml").write_bytes(xml_from_resource(resource))

    assert refused(hl7, Collected(tmp_path, len(kinds))) == []


def test_an_answer_with_sources_missing_is_valid(
    collected_in_part: Collected, node: NodeValidators
) -> None:
    """A searchset that names the sources that could not be asked is valid FHIR R4."""
    finished = node.validate(collected_in_part.folder, "--require-profiles")

    assert finished.stdout == "6 resources valid, 0 invalid\n"


def test_hl7s_validator_accepts_an_answer_with_sources_missing(
    collected_in_part: Collected, hl7: Hl7Validator
) -> None:
    """HL7's own validator finds nothing in a searchset that names missing sources."""
    assert refused(hl7, collected_in_part) == []


def refused(hl7: Hl7Validator, collected: Collected) -> list[Message]:
    """Return the errors, and the warnings of no accepted kind."""
    count, messages = hl7.messages(collected.folder)
    assert count == collected.count
    return [
        each for each in messages if each.is_error or each.kind not in ACCEPTED_WARNINGS
    ]
