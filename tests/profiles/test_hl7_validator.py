"""
HL7's own validator agrees with the profiles and their examples.
"""

import io
import json
import tarfile
from pathlib import Path

import pytest
from hl7_validator import ACCEPTED_WARNINGS, Hl7Validator

from fhir_gateway.fhir.implementation_guide import package
from fhir_gateway.fhir.resource_xml import xml_from_resource
from fhir_gateway.fhir.vocabulary import Vocabulary

pytestmark = pytest.mark.xdist_group("validators")

PROFILES = Path(__file__).parents[2] / "profiles"
BROKEN = Path(__file__).parents[1] / "validators" / "broken"
SLOT = next((PROFILES / "examples").glob("Slot-*.json"))

# It checks the type of a reference's target only where it has the target at hand. The
# other validators find this one.
UNSEEN = {"Slot.schedule__reference-to-a-patient.json"}


def test_everything_in_profiles_is_valid(hl7: Hl7Validator) -> None:
    """Every definition and example is valid, and each kind of warning is accepted."""
    count, messages = hl7.messages(PROFILES)

    assert count == len(list(PROFILES.rglob("*.json")))
    assert [each for each in messages if each.is_error] == []
    assert {each.kind for each in messages} <= ACCEPTED_WARNINGS


def test_the_xml_of_everything_in_profiles_is_valid(
    hl7: Hl7Validator, tmp_path: Path
) -> None:
    """It reads our XML of every definition and example, and finds nothing new."""
    paths = list(PROFILES.rglob("*.json"))
    for path in paths:
        resource = json.loads(path.read_bytes())
        (tmp_path / f"{path.stem}.xml").write_bytes(xml_from_resource(resource))

    count, messages = hl7.messages(tmp_path)

    assert count == len(paths)
    assert [each for each in messages if each.is_error] == []
    assert {each.kind for each in messages} <= ACCEPTED_WARNINGS


def test_everything_in_the_package_is_valid(hl7: Hl7Validator, tmp_path: Path) -> None:
    """Each file of the package is valid, the ImplementationGuide among them."""
    with tarfile.open(fileobj=io.BytesIO(package(Vocabulary()))) as archive:
        archive.extractall(tmp_path, filter="data")
    for name in ("package.json", ".index.json", "example/.index.json"):
        (tmp_path / "package" / name).unlink()
    _, messages = hl7.messages(tmp_path)

    assert [each for each in messages if each.is_error] == []
    assert {each.kind for each in messages} <= ACCEPTED_WARNINGS


def test_every_planted_fault_is_found(hl7: Hl7Validator) -> None:
    """Each broken resource gets an error, but for those that it cannot see."""
    count, messages = hl7.messages(BROKEN)
    found = {each.file for each in messages if each.is_error}

    assert count == len(list(BROKEN.glob("*.json")))
    assert {path.name for path in BROKEN.glob("*.json")} - found == UNSEEN


def test_a_slot_over_the_change_of_clocks_is_valid(
    hl7: Hl7Validator, tmp_path: Path
) -> None:
    """A time from summer time into winter time begins before it ends."""
    slot = json.loads(SLOT.read_text(encoding="utf-8"))
    slot |= {"start": "2026-10-25T02:30:00+02:00", "end": "2026-10-25T02:00:00+01:00"}
    (tmp_path / "slot.json").write_text(json.dumps(slot), encoding="utf-8")
    _, messages = hl7.messages(tmp_path)

    assert [each for each in messages if each.is_error] == []
