"""
The catalogue of the simulated regions.
"""

import re

import pytest

from fhir_gateway.sandbox.catalogue import SandboxRegion, regions

SIZES = [
    pytest.param(1_000, id="the smallest"),
    pytest.param(100_000, id="the default"),
    pytest.param(1_000_000, id="the largest"),
]


def test_there_are_three_regions() -> None:
    """The regions are norr, mitt and syd at every size."""
    names = [[region.name for region in regions(size)] for size in (1, 10**6)]

    assert names == [["norr", "mitt", "syd"]] * 2


def test_a_size_must_be_positive() -> None:
    """A sandbox without free times is refused."""
    with pytest.raises(ValueError, match="slots must be positive"):
        regions(0)


def test_the_default_size_has_sixteen_units_a_region() -> None:
    """The default size has 48 units."""
    assert [len(region.units) for region in regions()] == [16, 16, 16]


@pytest.mark.parametrize("size", SIZES)
def test_most_units_vaccinate_against_covid(size: int) -> None:
    """Each region vaccinates against covid-19 at most of its units."""
    for region in regions(size):
        offering = [unit for unit in region.units if unit.covid_vaccination]

        assert len(offering) > len(region.units) / 2


def test_covid_vaccination_is_called_something_else_in_each_region() -> None:
    """The three regions have three names for it, and no id in common."""
    by_region = {
        str(region.name): {
            (unit.covid_vaccination.name, unit.covid_vaccination.id)
            for unit in region.units
            if unit.covid_vaccination
        }
        for region in regions()
    }

    assert {name for pairs in by_region.values() for name, _ in pairs} == {
        "Covid-vaccination distriktssköterska",
        "Covid 19 vaccin dos",
        "Vaccination mot covid-19, drop-in tid",
    }
    assert {identity for _, identity in by_region["norr"]} == {"TT-COVID"}
    assert all(identity.isdecimal() for _, identity in by_region["mitt"])
    assert all(identity.count("-") == 4 for _, identity in by_region["syd"])


@pytest.mark.parametrize("size", SIZES)
def test_every_unit_has_an_id_of_its_own(size: int) -> None:
    """No two units share an HSA-id or a name, and each id has its region's prefix."""
    units = [(region, unit) for region in regions(size) for unit in region.units]

    assert len({unit.hsa_id for _, unit in units}) == len(units)
    assert len({unit.care_unit.name for _, unit in units}) == len(units)
    assert all(unit.hsa_id.startswith(region.hsa_prefix) for region, unit in units)


def _fails_its_check_digit(number: str) -> bool:
    doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(number)]
    return sum(value // 10 + value % 10 for value in doubled) % 10 != 0


@pytest.mark.parametrize("region", regions(), ids=lambda region: region.name)
def test_no_organisation_can_have_the_prefix(region: SandboxRegion) -> None:
    """The organisation number in a region's prefix has a wrong check digit."""
    match = re.fullmatch(r"SE([0-9]{10})-", region.hsa_prefix)

    assert match
    assert _fails_its_check_digit(match[1])


@pytest.mark.parametrize("region", regions(10**6), ids=lambda region: region.name)
def test_a_unit_has_five_to_seven_time_types(region: SandboxRegion) -> None:
    """Every unit offers between five and seven things."""
    assert {len(unit.time_types) for unit in region.units} <= {5, 6, 7}


@pytest.mark.parametrize("region", regions(10**6), ids=lambda region: region.name)
def test_telephone_numbers_are_for_fiction(region: SandboxRegion) -> None:
    """Every number is in a series that PTS keeps out of use."""
    fiction = re.compile(r"0980-319 2\d\d|08-465 004 \d\d|040-628 04 \d\d")

    assert all(fiction.fullmatch(unit.care_unit.phone or "") for unit in region.units)


@pytest.mark.parametrize("region", regions(10**6), ids=lambda region: region.name)
def test_units_lie_in_sweden(region: SandboxRegion) -> None:
    """Every unit has a position inside Sweden and a full address."""
    for unit in region.units:
        place = unit.care_unit.position

        assert place
        assert 55.3 < place.latitude < 69.1
        assert 11.0 < place.longitude < 24.2
        assert re.fullmatch(r"\d{3} \d{2}", unit.care_unit.postal_code or "")
        assert unit.care_unit.street
        assert unit.care_unit.city


def test_rooms_stand_in_for_performers_in_mitt() -> None:
    """Mitt has rooms with numbers for ids and no performers."""
    calendars = [calendar for unit in regions()[1].units for calendar in unit.calendars]

    assert all(calendar.performer is None for calendar in calendars)
    assert all(
        calendar.resource and calendar.resource.id.isdecimal() for calendar in calendars
    )


def test_an_aggregated_address_is_a_county_code() -> None:
    """Norr and syd aggregate at their county codes; mitt does not aggregate."""
    assert [region.aggregated_address for region in regions()] == ["25", None, "12"]
