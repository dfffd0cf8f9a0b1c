"""
The command `fhir-gateway sources`: what it prints, and what its exit code means.
"""

import json
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from web.running import Sandbox

from fhir_gateway.bootstrap import Program
from fhir_gateway.cli import main
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.timekeeping import now
from fhir_gateway.settings import Settings
from fhir_gateway.stores.source_status import SourceStatus


@pytest.fixture(name="run")
def _run(settings: Settings, redis_url: str) -> Any:
    """Give the runner of the command."""

    def run(*arguments: str, **environment: str) -> Result:
        given = {
            "FHIR_GATEWAY_SOURCES": str(settings.sources),
            "FHIR_GATEWAY_DATA_DIR": str(settings.data_dir),
            "REDIS_URL": redis_url,
        }
        return CliRunner().invoke(
            main, ["sources", *arguments], env=given | environment
        )

    return run


def status_of(made: Program, name: str) -> SourceStatus:
    """Return what was last reported of a source."""
    status = made.store.status(SourceName(name))
    assert status is not None
    return status


def test_sources_that_are_well_exit_with_0(made: Program, run: Any) -> None:
    """After everything was asked all are well, and JSON counts their slots."""
    for name in ("norr", "mitt", "syd"):
        reported = replace(
            status_of(made, name), reported_at=now(), oldest_answer_at=now()
        )
        made.store.put_status(reported)
    result = run("--json")
    by_source = {each["source"]: each for each in json.loads(result.stdout)}

    assert result.exit_code == 0
    assert {each["state"] for each in by_source.values()} == {"well"}
    assert all(each["slots"] > 0 for each in by_source.values())
    assert "unmapped" in by_source["norr"]["rejected"]


def test_a_source_that_is_not_well_exits_with_3(made: Program, run: Any) -> None:
    """The table says which and why."""
    before = status_of(made, "syd")
    made.store.put_status(
        replace(
            before,
            reported_at=now(),
            failing_since=now(),
            last_error="It did not answer.",
        )
    )
    result = run()
    made.store.put_status(before)

    assert result.exit_code == 3
    assert "unavailable" in result.stdout


def test_a_redis_that_is_away_exits_with_1(run: Any) -> None:
    """The message names the setting."""
    result = run(REDIS_URL="redis://127.0.0.1:1")

    assert result.exit_code == 1
    assert result.stderr == (
        "fhir-gateway: REDIS_URL: nobody listens there; is it running, and is the port"
        " right?\n"
    )


def test_wrong_sources_exit_with_2(run: Any) -> None:
    """The file of sources is read first."""
    assert run(FHIR_GATEWAY_SOURCES="/nowhere.toml").exit_code == 2


def test_check_is_still_a_command_of_its_own(run: Any) -> None:
    """`sources check` prints its own help."""
    result = run("check", "--help")

    assert result.exit_code == 0
    assert "Ask every unit for its free times" in result.stdout


def test_check_asks_the_regions_and_exits_with_0(run: Any) -> None:
    """Regions that answer everything as the contracts say are well."""
    result = run("check", "--json")
    found = {each["source"]: each for each in json.loads(result.stdout)}

    assert result.exit_code == 0
    assert {name: each["well"] for name, each in found.items()} == {
        "norr": True,
        "mitt": True,
        "syd": True,
    }
    assert all(each["answered"] == each["units"] > 0 for each in found.values())


def test_check_shows_a_fault_in_the_regions_own_words(
    run: Any, sandbox: Sandbox
) -> None:
    """When times fault, a unit is not green: the table has the fault, exit code 1."""
    sandbox.spoil("syd", "vp-fault", interactions=["GetAvailableTimeslots"])
    table = run("check")
    result = run("check", "--json")

    assert result.exit_code == 1
    (syd,) = (each for each in json.loads(result.stdout) if each["source"] == "syd")
    assert {each["interaction"] for each in syd["errors"]} == {"GetAvailableTimeslots"}
    assert all("[VP009" in each["error"] for each in syd["errors"])
    assert table.exit_code == 1
    assert "Calls without an answer" in table.stdout
