"""
The profiles and their examples agree with FHIR R4, with each other and with the model.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import (  # noqa: TID251 - a reader of FHIR that is not ours
    get_fhir_model_class,
)

from fhir_gateway.model.timeslot import TimeslotToken

PROFILES = Path(__file__).parents[2] / "profiles"
BASE = "https://fhir-gateway.example.org"
# Others own these URLs; profiles/ has stand-ins for validators.
FOREIGN = {
    "http://hl7.org/fhir/SearchParameter/Slot-end",
    "http://hl7.org/fhir/StructureDefinition/lastSourceSync",
    "http://fhir-registry.smarthealthit.org/StructureDefinition/booking-deep-link",
    "http://fhir-registry.smarthealthit.org/StructureDefinition/booking-phone",
    "http://fhir-registry.smarthealthit.org/StructureDefinition/has-availability",
    "http://fhir-registry.smarthealthit.org/StructureDefinition/slot-capacity",
}
# R4's own extensions, which each validator knows.
OF_R4 = {"http://hl7.org/fhir/StructureDefinition/data-absent-reason"}
FILES = sorted(PROFILES.rglob("*.json"))
DEFINITIONS = [path for path in FILES if path.parent == PROFILES]
EXAMPLES = [path for path in FILES if path.parent != PROFILES]
SLOTS = [path for path in EXAMPLES if path.name.startswith("Slot-")]


def read(path: Path) -> dict[str, Any]:
    """Return the resource in a file."""
    resource: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return resource


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every JSON object inside a value, and itself if it is one."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from objects(item)


def defined() -> dict[str, dict[str, Any]]:
    """Return this project's conformance resources by their URL."""
    return {resource["url"]: resource for resource in map(read, DEFINITIONS)}


def extension_urls(resource: dict[str, Any]) -> set[str]:
    """Return the URL of every extension that is not a part of another one."""
    return {
        extension["url"]
        for each in objects(resource)
        for extension in each.get("extension", [])
        if "://" in extension["url"]
    }


def profile_urls(resource: dict[str, Any]) -> set[str]:
    """Return every profile that something in a resource says it conforms to."""
    return {
        url
        for each in objects(resource)
        if "resourceType" in each
        for url in each.get("meta", {}).get("profile", [])
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_parses_as_fhir(path: Path) -> None:
    """fhir.resources reads every profile and every example."""
    resource = read(path)
    model = get_fhir_model_class(resource["resourceType"])
    assert model.model_validate(resource).get_resource_type() == model.__name__


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_named_after_its_resource(path: Path) -> None:
    """The file of a resource is its type, a hyphen and its id."""
    resource = read(path)
    assert path.stem == f"{resource['resourceType']}-{resource['id']}"


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: path.name)
def test_a_canonical_is_the_base_the_type_and_the_id(path: Path) -> None:
    """The URL of a conformance resource of ours follows from its type and id."""
    resource = read(path)
    own = f"{BASE}/{resource['resourceType']}/{resource['id']}"
    assert resource["url"] == own or resource["url"] in FOREIGN


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: path.name)
def test_a_conformance_resource_says_what_it_is(path: Path) -> None:
    """Status, version, date, publisher and description stand in each of them."""
    resource = read(path)
    assert resource["status"] == "active"
    assert isinstance(resource["experimental"], bool)
    reported = {"version", "date", "publisher", "description"}
    # R4's SearchParameter has no title.
    if resource["resourceType"] != "SearchParameter":
        reported.add("title")
    assert reported <= resource.keys()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_extensions_in_examples_are_defined(path: Path) -> None:
    """An example uses extensions alone that are defined."""
    assert extension_urls(read(path)) <= defined().keys() | OF_R4


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_profiles_in_examples_are_defined(path: Path) -> None:
    """An example conforms to profiles that are defined, for its type."""
    resource = read(path)
    own = set(resource.get("meta", {}).get("profile", []))
    assert profile_urls(resource) <= defined().keys()
    assert {defined()[url]["type"] for url in own} <= {resource["resourceType"]}


def test_every_structure_definition_has_an_example() -> None:
    """Each profile and each extension is used in at least one example."""
    used: set[str] = set()
    for resource in map(read, EXAMPLES):
        used |= extension_urls(resource) | profile_urls(resource)
    structures = {url for url in defined() if "/StructureDefinition/" in url}
    assert structures <= used


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_only_the_known_snomed_code_is_used(path: Path) -> None:
    """No SNOMED CT code stands in a file but vaccination against covid-19."""
    codes = {
        each["code"]
        for each in objects(read(path))
        if each.get("system") == "http://snomed.info/sct" and "code" in each
    }
    assert codes <= {"72791000052103"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_only_resident_is_the_test_number(path: Path) -> None:
    """Twelve digits in a row that are no SNOMED CT code are 191212121212."""
    text = path.read_text(encoding="utf-8")
    numbers = set(re.findall(r"(?<![0-9a-f-])\d{12}(?![0-9a-f-])", text))
    assert numbers <= {"191212121212"}


@pytest.mark.parametrize("path", SLOTS, ids=lambda path: path.name)
def test_a_slot_has_the_token_of_its_time(path: Path) -> None:
    """A slot's id has its schedule, its start and its end."""
    slot = read(path)
    token = TimeslotToken.parse(slot["id"])
    assert slot["schedule"]["reference"] == f"Schedule/{token.schedule}"
    assert token.starts_at == datetime.fromisoformat(slot["start"])
    assert token.ends_at == datetime.fromisoformat(slot["end"])
