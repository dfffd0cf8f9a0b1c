"""
The directory as arrays: which units' time types fit.
"""

import math
from dataclasses import replace

import pytest
from builders import COVID, NORR, OTHER_UNIT, SYD, UNIT, VISIT
from hypothesis import assume, given
from hypothesis import strategies as st

from fhir_gateway.model.care_unit import CareUnit, Nearness, Position
from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.timeslot import StandardTimeType, TimeType, time_type_token
from fhir_gateway.services.search.offering_index import (
    Numbers,
    OfferingIndex,
)
from fhir_gateway.services.search.offering_numbers import OfferingNumbers
from fhir_gateway.services.source.directory import Directory, Offering

FAR = HsaId("SE2321000099-F01")
UMEA = Position(latitude=63.8258, longitude=20.2630)
LULEA = Position(latitude=65.5848, longitude=22.1547)
MEANING = StandardTimeType(code="72791000052103", display="vaccination mot covid-19")


def offering(
    unit: HsaId, own_id: str, source: str, position: Position | None
) -> Offering:
    """Return a unit's time type; Covid has a meaning."""
    return Offering(
        unit=CareUnit(
            hsa_id=unit, name=unit, source=SourceName(source), position=position
        ),
        time_type=TimeType(
            id=TimeTypeId(own_id),
            name=own_id,
            standard=(MEANING,) if own_id == COVID else (),
        ),
        token=time_type_token(unit, TimeTypeId(own_id)),
    )


OFFERINGS = (
    offering(UNIT, VISIT, NORR, UMEA),
    offering(UNIT, COVID, NORR, UMEA),
    offering(OTHER_UNIT, COVID, NORR, LULEA),
    offering(FAR, VISIT, SYD, None),
)


@pytest.fixture(name="index")
def _index() -> OfferingIndex:
    directory = Directory(
        units={each.unit.hsa_id: each.unit for each in OFFERINGS},
        offerings={each.token: each for each in OFFERINGS},
    )
    return OfferingIndex(directory, OfferingNumbers())


def of(index: OfferingIndex, numbers: Numbers) -> list[Offering]:
    """Return what numbers stand for."""
    return [index.offering(number) for number in numbers.tolist()]


def test_all_are_there(index: OfferingIndex) -> None:
    """Every time type of the directory has a number."""
    assert of(index, index.all) == list(OFFERINGS)


def test_a_shared_code_finds_every_units(index: OfferingIndex) -> None:
    """What means a SNOMED CT code is found under any name of the unit."""
    assert of(index, index.of_code(MEANING.code)) == list(OFFERINGS[1:3])
    assert of(index, index.of_code("1")) == []


def test_an_own_code_finds_a_units_or_all(index: OfferingIndex) -> None:
    """A unit's own code means something at that unit alone."""
    visit = TimeTypeId(VISIT)
    assert of(index, index.of_own_id(visit, UNIT)) == [OFFERINGS[0]]
    assert of(index, index.of_own_id(visit, None)) == [OFFERINGS[0], OFFERINGS[3]]
    assert of(index, index.of_own_id(visit, HsaId("SE9-X"))) == []


def test_units_narrow(index: OfferingIndex) -> None:
    """Only what is at one of the units stays."""
    units = [OTHER_UNIT, HsaId("SE9-X")]
    assert of(index, index.at_units(index.all, units)) == [OFFERINGS[2]]


def test_sources_narrow(index: OfferingIndex) -> None:
    """Only what belongs to one of the sources stays."""
    sources = [SourceName("syd"), SourceName("nowhere")]
    assert of(index, index.of_sources(index.all, sources)) == [OFFERINGS[3]]


@pytest.mark.parametrize(
    ("km", "expected"),
    [
        pytest.param(1, OFFERINGS[:2], id="in town"),
        pytest.param(200, OFFERINGS[:2], id="not as far as Luleå"),
        pytest.param(230, OFFERINGS[:3], id="as far as Luleå"),
    ],
)
def test_nearness_is_distance(
    index: OfferingIndex, km: float, expected: tuple[Offering, ...]
) -> None:
    """Luleå lies some 215 km from Umeå; a unit without a position is never near."""
    place = Nearness(position=UMEA, km=km)
    assert of(index, index.near(index.all, [place])) == list(expected)


POSITIONS = st.builds(
    Position, latitude=st.floats(-90, 90), longitude=st.floats(-180, 180)
)


@given(there=POSITIONS, here=POSITIONS, km=st.floats(0, 30_000))
def test_distances_are_the_great_circles(
    there: Position, here: Position, km: float
) -> None:
    """The columns' way agrees with the haversine, one place after the other."""
    one = offering(UNIT, VISIT, NORR, there)
    index = OfferingIndex(
        Directory(units={UNIT: one.unit}, offerings={one.token: one}), OfferingNumbers()
    )
    a, b = math.radians(there.latitude), math.radians(here.latitude)
    haversine = (
        math.sin((a - b) / 2) ** 2
        + math.cos(a)
        * math.cos(b)
        * math.sin(math.radians(there.longitude - here.longitude) / 2) ** 2
    )
    distance = 2 * 6371.0088 * math.asin(min(1, math.sqrt(haversine)))
    # Half a metre, and more around the other side of the Earth, where both round.
    assume(abs(distance - km) > (0.0005 if distance < 10_000 else 1))

    found = index.near(index.all, [Nearness(position=here, km=km)])

    assert of(index, found) == ([one] if distance < km else [])


def test_one_place_of_several_is_enough(index: OfferingIndex) -> None:
    """What lies near any of the places stays; near none, nothing does."""
    places = [Nearness(position=each, km=1) for each in (UMEA, LULEA)]

    assert of(index, index.near(index.all, places)) == list(OFFERINGS[:3])
    assert of(index, index.near(index.all, [])) == []


def test_organisations_narrow() -> None:
    """Only what an organisation's units offer stays; a unit can be its own."""
    region = HsaId("SE2321000016-0000")
    offerings = [
        replace(each, unit=replace(each.unit, organization=organization))
        for each, organization in zip(
            OFFERINGS, (region, region, None, None), strict=True
        )
    ]
    index = OfferingIndex(
        Directory(
            units={each.unit.hsa_id: each.unit for each in offerings},
            offerings={each.token: each for each in offerings},
        ),
        OfferingNumbers(),
    )

    wanted = index.of_organizations(index.all, [region, FAR, HsaId("SE9-X")])

    assert of(index, wanted) == [offerings[0], offerings[1], offerings[3]]


def test_numbers_stay(index: OfferingIndex) -> None:
    """A time type keeps its number when the directory changes around it."""
    numbers = OfferingNumbers()
    for each in reversed(OFFERINGS):
        numbers.number(each.unit.hsa_id, each.time_type.id)

    later = OfferingIndex(index.directory, numbers)

    assert [later.number(each.token) for each in OFFERINGS] == [3, 2, 1, 0]
    assert later.number("x") is None


def test_time_types_have_a_kind_and_a_unit(index: OfferingIndex) -> None:
    """The kind is the source and what it offers; what the directory lacks has none."""
    numbers = index.all.tolist()

    assert [index.kinds[each] for each in index.kinds_of(numbers)] == [
        (each.unit.source, each.time_type) for each in OFFERINGS
    ]
    assert [index.unit(each) for each in index.units_of(numbers)] == [
        each.unit for each in OFFERINGS
    ]
    with pytest.raises(LookupError):
        index.kinds_of([*numbers, len(numbers)])
