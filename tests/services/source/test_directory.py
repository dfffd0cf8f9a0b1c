"""
The directory: what the units of all sources offer.
"""

from dataclasses import replace

from builders import (
    COVID,
    NORR,
    OTHER_UNIT,
    SOUTHERN_UNIT,
    SYD,
    UNIT,
    VACCINATION,
    VISIT,
    catalogue,
    source,
    southern_source,
    unit,
)

from fhir_gateway.model import scheduling
from fhir_gateway.model.care_unit import Performer
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.loss import Loss
from fhir_gateway.model.timeslot import TimeType, time_type_token
from fhir_gateway.services.source.directory import Directory, Offering


def test_an_offering_is_a_units_time_type() -> None:
    """Each unit's time type is found under its token, with what it means."""
    directory = Directory.of(
        [source()],
        {NORR: catalogue({UNIT: [(VISIT, "Besök"), (COVID, "Covid")]})},
        {(UNIT, COVID): (VACCINATION,)},
    )

    visit, covid = time_type_token(UNIT, VISIT), time_type_token(UNIT, COVID)
    assert directory.offerings == {
        visit: Offering(
            unit=unit(), time_type=TimeType(id=VISIT, name="Besök"), token=visit
        ),
        covid: Offering(
            unit=unit(),
            time_type=TimeType(id=COVID, name="Covid", standard=(VACCINATION,)),
            token=covid,
        ),
    }
    assert directory.asked_units == {UNIT}
    assert directory.silent == frozenset()


def test_a_meaning_is_a_units_own() -> None:
    """The same code at another unit means nothing by that."""
    directory = Directory.of(
        [source(units=(unit(), unit(OTHER_UNIT)))],
        {NORR: catalogue({UNIT: [(COVID, "Covid")], OTHER_UNIT: [(COVID, "Covid")]})},
        {(UNIT, COVID): (VACCINATION,)},
    )

    assert {
        each.unit.hsa_id: each.time_type.standard
        for each in directory.offerings.values()
    } == {UNIT: (VACCINATION,), OTHER_UNIT: ()}


def test_a_source_without_an_offer_is_silent() -> None:
    """A source that has said nothing has its configured units and no offering."""
    directory = Directory.of([source(), southern_source()], {NORR: catalogue()}, {})

    assert directory.silent == {SYD}
    assert directory.units.keys() == {UNIT, SOUTHERN_UNIT}
    assert directory.asked_units == {UNIT}


def test_configuration_knows_a_unit_better() -> None:
    """What is configured of a unit goes before what its source calls it."""
    configured = unit(name="Mottagningen Björken", city="Umeå")

    directory = Directory.of(
        [source(units=(configured,))],
        {NORR: catalogue(units=(unit(name="MOTT B"),))},
        {},
    )

    assert directory.units == {UNIT: configured}
    assert directory.offerings[time_type_token(UNIT, VISIT)].unit == configured


def test_a_unit_that_only_the_source_knows_is_there() -> None:
    """A unit that came from its source has its time types too."""
    directory = Directory.of(
        [source()], {NORR: catalogue({OTHER_UNIT: [(VISIT, "B")]})}, {}
    )

    assert directory.units.keys() == {UNIT, OTHER_UNIT}
    assert directory.asked_units == {OTHER_UNIT}


def staffed(norrs: Performer | None, syds: Performer | None) -> Directory:
    """Return a directory in which each source names one member of staff, or none."""
    return Directory.of(
        [source(), southern_source()],
        {
            NORR: catalogue(performers={norrs.hsa_id: norrs} if norrs else {}),
            SYD: catalogue(
                {}, name="syd", performers={syds.hsa_id: syds} if syds else {}
            ),
        },
        {},
    )


def performer(hsa_id: str, first_name: str = "Eva") -> Performer:
    """Return a member of staff."""
    return Performer(hsa_id=HsaId(hsa_id), first_name=first_name, last_name="Ek")


def test_no_source_renames_another_sources_staff() -> None:
    """A person with an HSA-id of syd has the name that syd gives, everywhere."""
    bo = performer("SE2321000099-P1", "Bo")
    directory = staffed(performer("SE2321000099-P1", "Eva"), bo)

    assert [directory.performer(bo.hsa_id, each) for each in (NORR, SYD)] == [bo, bo]


def test_staff_that_their_own_source_does_not_name_are_named_by_the_other() -> None:
    """What norr says of syd's staff is norr's alone."""
    eva = performer("SE2321000099-P1")
    directory = staffed(eva, None)

    assert [directory.performer(eva.hsa_id, each) for each in (NORR, SYD)] == [
        eva,
        None,
    ]


def test_staff_of_nobodys_prefix_are_named_by_each_source() -> None:
    """Where no source owns the HSA-id, each source is believed about its own times."""
    eva, bo = performer("SE55-P1", "Eva"), performer("SE55-P1", "Bo")
    directory = staffed(eva, bo)

    assert [directory.performer(eva.hsa_id, each) for each in (NORR, SYD)] == [eva, bo]


def test_an_offer_says_nothing_of_another_sources_unit() -> None:
    """The longest prefix decides the source of a unit, also in a stored catalogue."""
    wide = source(prefixes=("SE2321000",))
    directory = Directory.of(
        [wide, southern_source()],
        {
            NORR: catalogue({UNIT: [(VISIT, "A")], SOUTHERN_UNIT: [(VISIT, "B")]}),
            SYD: catalogue({}, name="syd"),
        },
        {},
    )

    assert directory.units[SOUTHERN_UNIT].source == SYD
    assert directory.asked_units == {UNIT}
    assert {each.unit.hsa_id for each in directory.offerings.values()} == {UNIT}


def test_lists_that_could_not_be_kept_whole_are_known_by_unit_and_source() -> None:
    """A unit lacks time types and staff, a source units: each only its own."""
    lost = Loss(
        interaction=scheduling.GET_ALL_TIME_TYPES, unit=UNIT, reason="r", count=1
    )
    lost_unit = replace(lost, interaction=scheduling.GET_ALL_HEALTHCARE_FACILITIES)
    lost_person = replace(lost, interaction=scheduling.GET_ALL_PERFORMERS)
    directory = Directory.of(
        [source(), southern_source()],
        {
            NORR: catalogue(losses=(lost, lost_unit, lost_person)),
            SYD: catalogue(
                {}, name="syd", losses=(replace(lost_unit, is_elsewhere=True),)
            ),
        },
        {},
    )

    assert directory.lacking_time_types == {UNIT}
    assert directory.lacking_performers == {UNIT}
    assert directory.lacking_units == {NORR}


def test_an_organisation_is_found_by_its_id() -> None:
    """Each organisation leads to its first unit; a unit without one is its own."""
    organization = HsaId("SE2321000016-0000")
    first = unit(organization=organization, organization_name="Region Norr")
    second = unit(HsaId("SE2321000016-A09"), organization=organization)
    alone = unit(OTHER_UNIT)

    directory = Directory.of([source(units=(first, second, alone))], {}, {})

    assert directory.providers == {organization: first, OTHER_UNIT: alone}
