"""
Validators that this project did not write agree with the profiles and their examples.
"""

import json
from pathlib import Path

import pytest
from node_validators import VALIDATORS, NodeValidators

# One process of each validator serves all tests of this group.
pytestmark = pytest.mark.xdist_group("validators")

PROFILES = Path(__file__).parents[2] / "profiles"
SLOT = next((PROFILES / "examples").glob("Slot-*.json"))


def test_all_profiles_and_examples_are_valid(node: NodeValidators) -> None:
    """Both validators accept every resource under profiles/."""
    finished = node.validate(PROFILES)
    count = len(list(PROFILES.rglob("*.json")))
    assert finished.stdout == f"{count} resources valid, 0 invalid\n"
    assert finished.returncode == 0


def test_every_broken_resource_is_refused(node: NodeValidators) -> None:
    """Each resource in broken/ is refused for the fault in its name."""
    finished = node.validate("--self-check")
    assert "MISSED" not in finished.stdout
    assert finished.stdout.endswith("refused, 0 missed\n")
    assert finished.returncode == 0


def test_snapshots_follow_from_differentials(node: NodeValidators) -> None:
    """Every snapshot is what its differential makes of its base."""
    finished = node.run("snapshot.mjs", "--check")
    assert (finished.stdout, finished.returncode) == ("", 0)


def test_an_invalid_resource_gets_a_line_and_an_exit_code(
    node: NodeValidators, tmp_path: Path
) -> None:
    """A line names the file, the path in it and the message; the exit code is 1."""
    slot = json.loads(SLOT.read_text(encoding="utf-8"))
    slot["status"] = "bogus"
    path = tmp_path / "slot.json"
    path.write_text(json.dumps(slot), encoding="utf-8")
    finished = node.validate(path)
    line, summary = finished.stdout.splitlines()
    assert line.startswith(f"{path}: Slot.status must be one of busy, free")
    assert summary == "0 resources valid, 1 invalid"
    assert finished.returncode == 1


def test_ndjson_is_read_line_by_line(node: NodeValidators, tmp_path: Path) -> None:
    """Each line of an .ndjson file is a resource of its own."""
    slot = json.dumps(json.loads(SLOT.read_text(encoding="utf-8")))
    path = tmp_path / "slots.ndjson"
    path.write_text(f"{slot}\n\n{{}}\n{slot}\n", encoding="utf-8")
    finished = node.validate(path)
    line, summary = finished.stdout.splitlines()
    assert line.startswith(f"{path}:3: resourceType is missing")
    assert summary == "2 resources valid, 1 invalid"


def test_json_output_has_every_fault(node: NodeValidators) -> None:
    """With --json, each resource stands with all its faults and who found them."""
    broken = VALIDATORS / "broken" / "Slot.status__unknown-code.json"
    report = json.loads(node.validate(broken, "--json").stdout)
    (resource,) = report["resources"]
    assert (report["valid"], report["invalid"]) == (0, 1)
    assert resource["resourceType"] == "Slot"
    finders = {fault["validator"] for fault in resource["faults"]}
    assert finders == {"json-schema", "codes"}


def test_a_slot_without_a_profile_is_refused_when_profiles_are_required(
    node: NodeValidators, tmp_path: Path
) -> None:
    """A resource that claims no profile is valid R4, unless it has to claim ours."""
    slot = json.loads(SLOT.read_text(encoding="utf-8"))
    del slot["meta"]["profile"]
    path = tmp_path / "slot.json"
    path.write_text(json.dumps(slot), encoding="utf-8")
    assert node.validate(path).returncode == 0
    assert node.validate(path, "--require-profiles").returncode == 1


def test_a_slot_over_the_change_of_clocks_is_valid(
    node: NodeValidators, tmp_path: Path
) -> None:
    """A time from summer time into winter time begins before it ends."""
    slot = json.loads(SLOT.read_text(encoding="utf-8"))
    slot |= {"start": "2026-10-25T02:30:00+02:00", "end": "2026-10-25T02:00:00+01:00"}
    path = tmp_path / "slot.json"
    path.write_text(json.dumps(slot), encoding="utf-8")
    assert node.validate(path).returncode == 0


def test_nothing_to_validate_is_no_success(
    node: NodeValidators, tmp_path: Path
) -> None:
    """No file, an absent file and an empty folder give exit code 2."""
    assert node.run("validate.mjs").returncode == 2
    assert node.run("validate.mjs", tmp_path / "absent.json").returncode == 2
    assert node.run("validate.mjs", tmp_path).returncode == 2


def test_help_teaches(node: NodeValidators) -> None:
    """The help names the inputs, the output and the exit codes."""
    finished = node.run("validate.mjs", "--help")
    assert finished.returncode == 0
    assert all(word in finished.stdout for word in (".ndjson", "Exit code", "Examples"))


def test_no_registry_host_stands_in_the_lock_file() -> None:
    """The lock file leaves to npm which registry to ask."""
    lock = (VALIDATORS / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock
    assert "registry" not in lock
