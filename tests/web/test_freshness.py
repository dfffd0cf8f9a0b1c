"""
Freshness as a client sees it: plain, with a warning, and no longer offered.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from doubles import MovableClock

from fhir_gateway.bootstrap import Program
from fhir_gateway.model.timekeeping import now
from fhir_gateway.sandbox.server import SandboxServer
from web.running import REGIONS, OtherPrograms, fill, write_fast_sources

LAST_SOURCE_SYNC = "http://hl7.org/fhir/StructureDefinition/lastSourceSync"


@dataclass
class Aging:
    """A gateway that has asked everything once, and a clock that a test moves."""

    made: Program
    clock: MovableClock

    def search(self, **forward: float) -> Any:
        """Let time pass, and search for what begins tomorrow and later."""
        self.clock.forward(**forward)
        self.made.view.catch_up()
        tomorrow = "&start=ge" + f"{self.clock():%Y-%m-%d}T23:59:59Z"
        return self.made.app.test_client().get(f"/fhir/Slot?_count=50{tomorrow}").json


def of_mode(bundle: Any, mode: str) -> list[Any]:
    """Return the resources of a searchset that are there for a reason."""
    return [
        each["resource"] for each in bundle["entry"] if each["search"]["mode"] == mode
    ]


def synced_at(slot: Any) -> datetime:
    """Return when the source last listed a slot."""
    (text,) = (
        each["valueDateTime"]
        for each in slot["meta"]["extension"]
        if each["url"] == LAST_SOURCE_SYNC
    )
    return datetime.fromisoformat(text)


@pytest.fixture(name="aging")
def _aging(
    other_programs: OtherPrograms, sandbox_server: SandboxServer, tmp_path: Path
) -> Iterator[Aging]:
    clock = MovableClock(now())
    sources = write_fast_sources(tmp_path, sandbox_server)
    with other_programs.start(clock=clock, sources=sources) as made:
        fill(made)
        yield Aging(made, clock)


def test_the_young_are_served_plainly(aging: Aging) -> None:
    """Up to fresh_for, ten minutes, there is a total and no warning."""
    bundle = aging.search(minutes=10)

    assert bundle["total"] > 0
    assert of_mode(bundle, "outcome") == []


def test_the_older_are_served_and_say_so(aging: Aging) -> None:
    """After that each slot has its age, and a warning names each source."""
    filled_at = aging.clock()
    before = of_mode(aging.search(), "match")
    bundle = aging.search(minutes=10, seconds=1)
    (outcome,) = of_mode(bundle, "outcome")

    assert of_mode(bundle, "match") == before
    assert "total" not in bundle
    assert {
        (each["severity"], each["diagnostics"].rpartition("(source ")[2].rstrip(")"))
        for each in outcome["issue"]
    } == {("warning", region) for region in REGIONS}
    assert all("minutes ago" in each["diagnostics"] for each in outcome["issue"])
    assert {synced_at(each) for each in of_mode(bundle, "match")} == {
        filled_at.replace(microsecond=0)
    }


def test_old_slots_are_not_found(aging: Aging) -> None:
    """After offered_for, half an hour, nothing is free, and the answer says why."""
    bundle = aging.search(minutes=30)
    (outcome,) = of_mode(bundle, "outcome")

    assert of_mode(bundle, "match") == []
    assert "total" not in bundle
    assert len(outcome["issue"]) == len(REGIONS)
    assert all("left out" in each["diagnostics"] for each in outcome["issue"])


def test_a_search_moves_what_ages_to_the_front(aging: Aging) -> None:
    """The refresh asks a region first for the services that clients searched for."""
    directory = aging.made.view.snapshot.directory
    # The last that would be asked by age alone, as all are equally old.
    wanted = [
        each for each in directory.offerings.values() if each.unit.source == "syd"
    ][-1]
    aging.clock.forward(minutes=11)
    aging.made.view.catch_up()
    aging.made.app.test_client().get(
        f"/fhir/Slot?schedule.actor:HealthcareService={wanted.token}"
    )
    aging.made.search_hints.send()
    (refresh,) = (each for each in aging.made.refreshes if each.source == "syd")
    refresh._resume()
    refresh._take_hints()
    question = refresh._next_question()

    assert question is not None
    assert (question.unit, question.time_type_id) == (
        wanted.unit.hsa_id,
        wanted.time_type.id,
    )
