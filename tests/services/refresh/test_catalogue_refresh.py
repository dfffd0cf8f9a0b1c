"""
What units can do: asked from time to time, kept with its age, never fatal.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from builders import NORR, NOW, OTHER_UNIT, UNIT
from doubles import AnsweringAdapter
from structlog.testing import capture_logs

from fhir_gateway.model.errors import SourceFault, Unavailable
from fhir_gateway.model.ids import HsaId, SourceName
from fhir_gateway.model.unit_ability import UnitAbility
from fhir_gateway.services.refresh.catalogue_refresh import (
    AskedCatalogue,
    CatalogueRefresh,
)
from fhir_gateway.services.refresh.lease_deadline import LeaseDeadline
from fhir_gateway.stores.source_catalogue import (
    SourceCatalogue,
    pack_catalogue,
    unpack_catalogue,
)

from .test_source_refresh import World

WHOLE = frozenset(UnitAbility)
LIST_ONLY = frozenset({UnitAbility.LIST})
AWAY = Unavailable("The source did not answer in time.", source=SourceName("national"))


@dataclass
class Catalogue:
    """A service catalogue in memory, which can be away."""

    known: Mapping[HsaId, frozenset[UnitAbility]] = field(default_factory=dict)
    is_away: bool = False
    asked: list[frozenset[HsaId]] = field(default_factory=list)

    def abilities(
        self, units: Collection[HsaId]
    ) -> Mapping[HsaId, frozenset[UnitAbility]]:
        """Return what is known, or fail."""
        self.asked.append(frozenset(units))
        if self.is_away:
            raise AWAY
        return self.known

    def version(self) -> str:
        """Return a version, or fail."""
        if self.is_away:
            raise AWAY
        return "4.3"

    def close(self) -> None:
        """Do nothing."""


@dataclass
class National:
    """A source, its catalogue, and what asks the catalogue."""

    world: World = field(default_factory=World)
    catalogue: Catalogue = field(
        default_factory=lambda: Catalogue(known={UNIT: LIST_ONLY})
    )

    def __post_init__(self) -> None:
        self.refresh = CatalogueRefresh(
            [
                AskedCatalogue(
                    name=SourceName("national"),
                    catalogue=self.catalogue,
                    refreshes=[self.world.refresh],
                    asked_every=timedelta(hours=1),
                    kept=timedelta(hours=12),
                )
            ],
            clock=self.world.clock,
        )

    def stored(self) -> SourceCatalogue:
        """Return what web processes read."""
        found = self.world.store.catalogue(NORR)
        assert isinstance(found, SourceCatalogue)
        return found


@pytest.fixture(name="national")
def _national() -> National:
    return National()


def test_what_units_can_do_is_stored_with_their_catalogue(national: National) -> None:
    """It has the time of the answer; the catalogue stays as old as it was."""
    national.world.run_once()
    national.world.clock.forward(minutes=1)

    national.refresh.run_once()

    stored = national.stored()
    assert (stored.abilities, stored.abilities_asked_at, stored.answered_at) == (
        {UNIT: LIST_ONLY},
        NOW + timedelta(minutes=1),
        NOW,
    )


def test_an_answer_before_the_source_has_answered_is_stored_later(
    national: National,
) -> None:
    """The first catalogue of the source has it."""
    national.refresh.run_once()
    national.world.run_once()

    assert national.stored().abilities == {UNIT: LIST_ONLY}


def test_the_catalogue_is_asked_when_its_answer_is_old(national: National) -> None:
    """Not before, and once an hour."""
    for minutes in (0, 1, 58, 1, 1):
        national.world.clock.forward(minutes=minutes)
        national.refresh.run_once()

    assert len(national.catalogue.asked) == 2


def test_a_catalogue_that_is_away_changes_nothing(national: National) -> None:
    """The last answer counts, and the question is asked again after a minute."""
    national.world.run_once()
    national.refresh.run_once()
    national.catalogue.is_away = True
    for minutes in (61, 1, 1):
        national.world.clock.forward(minutes=minutes)
        national.refresh.run_once()

    assert national.stored().abilities == {UNIT: LIST_ONLY}
    assert len(national.catalogue.asked) == 4


def test_what_is_too_old_is_forgotten(national: National) -> None:
    """Then nothing is known, which forbids nothing."""
    national.world.run_once()
    national.refresh.run_once()
    national.catalogue.is_away = True
    national.world.clock.forward(hours=12, minutes=1)
    national.refresh.run_once()

    stored = national.stored()
    assert (stored.abilities, stored.abilities_asked_at) == ({}, None)


def test_it_is_remembered_over_a_restart(national: National) -> None:
    """A worker that starts while the catalogue is away knows what the last one knew."""
    national.world.run_once()
    national.refresh.run_once()
    national.world.refresh = national.world.another()
    national.catalogue.is_away = True
    again = National(world=national.world, catalogue=national.catalogue)
    national.world.clock.forward(hours=7)
    again.refresh.run_once()
    national.world.run_once()

    assert national.stored().abilities == {UNIT: LIST_ONLY}


def test_an_older_answer_replaces_no_newer_one(national: National) -> None:
    """A worker that takes a source over stores what it has learnt since."""
    national.world.run_once()
    national.refresh.run_once()
    later = National(world=World(store=national.world.store))
    later.catalogue.known = {UNIT: WHOLE}
    later.world.clock.forward(minutes=5)
    later.refresh.run_once()
    later.world.run_once()

    assert national.stored().abilities == {UNIT: WHOLE}


def test_another_workers_source_is_not_stored(national: National) -> None:
    """Only the worker with the lease of a source writes its catalogue."""
    national.world.run_once()
    deadline = LeaseDeadline()
    deadline.end()
    national.world.refresh.run(deadline)
    national.refresh.run_once()

    assert national.stored().abilities == {}


def test_units_of_other_sources_are_left_out(national: National) -> None:
    """A catalogue's answer about a stranger is of no use."""
    national.catalogue.known = {UNIT: WHOLE, HsaId("SE0000000000-9"): WHOLE}
    national.world.run_once()
    national.refresh.run_once()

    assert national.stored().abilities == {UNIT: WHOLE}


def test_new_units_are_asked_about_at_once() -> None:
    """A source that lists its units itself may have more of them each day."""
    national = National(
        world=World(
            adapter=AnsweringAdapter(time_types={UNIT: (), OTHER_UNIT: ()}),
        )
    )
    national.refresh.run_once()

    assert national.catalogue.asked == [frozenset(national.world.refresh.units)]


def test_the_log_says_once_that_it_is_away_and_that_it_answers(
    national: National,
) -> None:
    """The version is that of its ping."""
    with capture_logs() as logs:
        national.catalogue.is_away = True
        for _ in range(3):
            national.refresh.run_once()
            national.world.clock.forward(minutes=2)
        national.catalogue.is_away = False
        national.refresh.run_once()

    assert logs == [
        {
            "event": "service catalogue is away",
            "log_level": "warning",
            "catalogue": "national",
            "error": AWAY.log_text,
        },
        {
            "event": "service catalogue answers",
            "log_level": "info",
            "catalogue": "national",
            "version": "4.3",
            "units": 1,
        },
    ]


def test_a_platform_without_ping_answers_all_the_same(national: National) -> None:
    """The ping is for the operator alone."""

    class Silent(Catalogue):
        def version(self) -> str:
            raise SourceFault("The source answered with a fault.")

    silent = National(catalogue=Silent(known={UNIT: WHOLE}))
    with capture_logs() as logs:
        silent.refresh.run_once()

    assert [each["version"] for each in logs] == [None]
    assert national.catalogue.asked == []


def test_abilities_survive_packing(national: National) -> None:
    """A web process reads what the worker wrote; an earlier release wrote none."""
    national.world.run_once()
    national.refresh.run_once()
    stored = national.stored()
    packed = pack_catalogue(stored)

    assert unpack_catalogue(packed) == stored
    before = packed.partition(b',"abilities"')[0] + b"}"
    assert unpack_catalogue(before).abilities == {}
