"""
The directory: who offers what, of all sources together.
"""

from builders import (
    COVID,
    NORR,
    OTHER_UNIT,
    SOUTHERN_UNIT,
    SYD,
    UNIT,
    VACCINATION,
    VISIT,
    offer,
    source,
    southern_source,
    unit,
)

from fhir_gateway.model.care_unit import Performer
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.timeslot import TimeType, time_type_token
from fhir_gateway.services.directory import Directory, Offering


def test_an_offering_is_a_units_time_type() -> None:
    """Each unit's time type is found under its token, with what it means."""
    directory = Directory.of(
        [source()],
        {NORR: offer({UNIT: [(VISIT, "Besök"), (COVID, "Covid")]})},
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
        {NORR: offer({UNIT: [(COVID, "Covid")], OTHER_UNIT: [(COVID, "Covid")]})},
        {(UNIT, COVID): (VACCINATION,)},
    )

    assert {
        each.unit.hsa_id: each.time_type.standard
        for each in directory.offerings.values()
    } == {UNIT: (VACCINATION,), OTHER_UNIT: ()}


def test_a_source_without_an_offer_is_silent() -> None:
    """A source that has said nothing has its configured units and no offering."""
    directory = Directory.of([source(), southern_source()], {NORR: offer()}, {})

    assert directory.silent == {SYD}
    assert directory.units.keys() == {UNIT, SOUTHERN_UNIT}
    assert directory.asked_units == {UNIT}


def test_configuration_knows_a_unit_better() -> None:
    """What is configured of a unit goes before what its source calls it."""
    configured = unit(name="Mottagningen Björken", city="Umeå")

    directory = Directory.of(
        [source(units=(configured,))],
        {NORR: offer(units=(unit(name="MOTT B"),))},
        {},
    )

    assert directory.units == {UNIT: configured}
    assert directory.offerings[time_type_token(UNIT, VISIT)].unit == configured


def test_a_unit_that_only_the_source_knows_is_there() -> None:
    """A unit that came from its source has its time types too."""
    directory = Directory.of(
        [source()], {NORR: offer({OTHER_UNIT: [(VISIT, "B")]})}, {}
    )

    assert directory.units.keys() == {UNIT, OTHER_UNIT}
    assert directory.asked_units == {OTHER_UNIT}


def test_staff_are_of_all_sources() -> None:
    """Performers are found by HSA-id, whatever their source."""
    eva = Performer(hsa_id=HsaId("SE1-P1"), first_name="Eva", last_name="Ek")
    bo = Performer(hsa_id=HsaId("SE2-P1"), first_name="Bo", last_name="Al")

    directory = Directory.of(
        [source(), southern_source()],
        {
            NORR: offer(performers={eva.hsa_id: eva}),
            SYD: offer({}, name="syd", performers={bo.hsa_id: bo}),
        },
        {},
    )

    assert directory.performers == {eva.hsa_id: eva, bo.hsa_id: bo}


def test_an_organisation_is_found_by_its_id() -> None:
    """Each organisation leads to its first unit; a unit without one is its own."""
    organization = HsaId("SE2321000016-0000")
    first = unit(organization=organization, organization_name="Region Norr")
    second = unit(HsaId("SE2321000016-A09"), organization=organization)
    alone = unit(OTHER_UNIT)

    directory = Directory.of([source(units=(first, second, alone))], {}, {})

    assert directory.providers == {organization: first, OTHER_UNIT: alone}
