"""
Validators that this project did not write agree with the profiles and their examples.
"""

import fcntl
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

VALIDATORS = Path(__file__).parents[1] / "validators"
PROFILES = Path(__file__).parents[2] / "profiles"
SLOT = next((PROFILES / "examples").glob("Slot-*.json"))

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def node() -> Run:
    """Return a function that runs a script of tests/validators with Node."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not on the PATH: FHIR validators not run")
    # npm writes this file last; the lock is for test runs in several processes.
    installed = VALIDATORS / "node_modules" / ".package-lock.json"
    with (VALIDATORS / "package.json").open(encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists():
            subprocess.run(["npm", "ci"], cwd=VALIDATORS, check=True, timeout=300)

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["node", *map(str, arguments)],
            cwd=VALIDATORS,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def test_all_profiles_and_examples_are_valid(node: Run) -> None:
    """Both validators accept every resource under profiles/."""
    finished = node("validate.mjs", PROFILES)
    count = len(list(PROFILES.rglob("*.json")))
    assert finished.stdout == f"{count} resources valid, 0 invalid\n"
    assert finished.returncode == 0


def test_every_broken_resource_is_refused(node: Run) -> None:
    """Each resource in broken/ is refused for the fault in its name."""
    finished = node("validate.mjs", "--self-check")
    assert "MISSED" not in finished.stdout
    assert finished.stdout.endswith("refused, 0 missed\n")
    assert finished.returncode == 0


def test_snapshots_follow_from_differentials(node: Run) -> None:
    """Every snapshot is what its differential makes of its base."""
    finished = node("snapshot.mjs", "--check")
    assert (finished.stdout, finished.returncode) == ("", 0)


def test_an_invalid_resource_gets_a_line_and_an_exit_code(
    node: Run, tmp_path: Path
) -> None:
    """A line tells the file, the path in it and the message; the exit code is 1."""
    slot = json.loads(SLOT.read_text(encoding="utf-8"))
    slot["status"] = "bogus"
    path = tmp_path / "slot.json"
    path.write_text(json.dumps(slot), encoding="utf-8")
    finished = node("validate.mjs", path)
    line, summary = finished.stdout.splitlines()
    assert line.startswith(f"{path}: Slot.status must be one of busy, free")
    assert summary == "0 resources valid, 1 invalid"
    assert finished.returncode == 1


def test_ndjson_is_read_line_by_line(node: Run, tmp_path: Path) -> None:
    """Each line of an .ndjson file is a resource of its own."""
    slot = json.dumps(json.loads(SLOT.read_text(encoding="utf-8")))
    path = tmp_path / "slots.ndjson"
    path.write_text(f"{slot}\n\n{{}}\n{slot}\n", encoding="utf-8")
    finished = node("validate.mjs", path)
    line, summary = finished.stdout.splitlines()
    assert line.startswith(f"{path}:3: resourceType is missing")
    assert summary == "2 resources valid, 1 invalid"


def test_json_output_has_every_fault(node: Run) -> None:
    """With --json, each resource stands with all its faults and who found them."""
    broken = VALIDATORS / "broken" / "Slot.status__unknown-code.json"
    report = json.loads(node("validate.mjs", broken, "--json").stdout)
    (resource,) = report["resources"]
    assert (report["valid"], report["invalid"]) == (0, 1)
    assert resource["resourceType"] == "Slot"
    finders = {fault["validator"] for fault in resource["faults"]}
    assert finders == {"json-schema", "codes"}


def test_a_slot_without_a_profile_is_refused_when_profiles_are_required(
    node: Run, tmp_path: Path
) -> None:
    """A resource that claims no profile is valid R4, unless it has to claim ours."""
    slot = json.loads(SLOT.read_text(encoding="utf-8"))
    del slot["meta"]["profile"]
    path = tmp_path / "slot.json"
    path.write_text(json.dumps(slot), encoding="utf-8")
    assert node("validate.mjs", path).returncode == 0
    assert node("validate.mjs", path, "--require-profiles").returncode == 1


def test_a_slot_over_the_change_of_clocks_is_valid(node: Run, tmp_path: Path) -> None:
    """A time from summer time into winter time begins before it ends."""
    slot = json.loads(SLOT.read_text(encoding="utf-8"))
    slot |= {"start": "2026-10-25T02:30:00+02:00", "end": "2026-10-25T02:00:00+01:00"}
    path = tmp_path / "slot.json"
    path.write_text(json.dumps(slot), encoding="utf-8")
    assert node("validate.mjs", path).returncode == 0


def test_nothing_to_validate_is_no_success(node: Run, tmp_path: Path) -> None:
    """No file, an absent file and an empty folder give exit code 2."""
    assert node("validate.mjs").returncode == 2
    assert node("validate.mjs", tmp_path / "absent.json").returncode == 2
    assert node("validate.mjs", tmp_path).returncode == 2


def test_help_teaches(node: Run) -> None:
    """The help tells the inputs, the output and the exit codes."""
    finished = node("validate.mjs", "--help")
    assert finished.returncode == 0
    assert all(word in finished.stdout for word in (".ndjson", "Exit code", "Examples"))


def test_no_registry_host_stands_in_the_lock_file() -> None:
    """The lock file leaves to npm which registry to ask."""
    lock = (VALIDATORS / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock
    assert "registry" not in lock
