"""
`near`: places within a distance of a point, or refused.
"""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from fhir_gateway.fhir.near import NearParameter
from fhir_gateway.model.care_unit import Nearness, Position

CENTRAL = Position(latitude=59.3293, longitude=18.0686)


def near(*texts: str) -> tuple[tuple[Nearness, ...], ...]:
    """Return what values of the parameter mean."""
    found: tuple[tuple[Nearness, ...], ...] = NearParameter().deserialize(list(texts))
    return found


@pytest.mark.parametrize(
    ("text", "km"),
    [
        pytest.param("59.3293|18.0686|5|km", 5, id="kilometres"),
        pytest.param("59.3293|18.0686|5", 5, id="no unit is kilometres"),
        pytest.param("59.3293|18.0686|5|", 5, id="an empty unit, too"),
        pytest.param("59.3293|18.0686", 20, id="no distance is 20 km"),
        pytest.param("59.3293|18.0686||[mi_us]", 20, id="with any unit"),
        pytest.param("59.3293|18.0686|500|m", 0.5, id="metres"),
        pytest.param("59.3293|18.0686|1|[mi_i]", 1.609344, id="miles"),
        pytest.param("59.3293|18.0686|3937|[mi_us]", 6336, id="US survey miles"),
        pytest.param("59.3293|18.0686|0", 0, id="no distance at all"),
    ],
)
def test_a_place_is_read(text: str, km: float) -> None:
    """A place has a latitude, a longitude, and a distance in some unit."""
    ((place,),) = near(text)

    assert place.position == CENTRAL
    assert place.km == pytest.approx(km)


def test_a_comma_is_or_and_repeating_is_and() -> None:
    """Places are grouped as every parameter's values are."""
    at = {
        x: Nearness(position=Position(latitude=x, longitude=-x), km=1) for x in range(3)
    }

    assert near("0|0|1,1|-1|1", "2|-2|1") == ((at[0], at[1]), (at[2],))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "59.3", "expected latitude|longitude|distance|unit", id="one part"
        ),
        pytest.param(
            "59|18|1|km|x", "expected latitude|longitude|distance|unit", id="five parts"
        ),
        pytest.param("59|18,", "has an empty value", id="an empty value"),
        pytest.param("x|18", "expected a decimal latitude, as 59.3293", id="a word"),
        pytest.param("|18", "expected a decimal latitude, as 59.3293", id="nothing"),
        pytest.param("nan|18", "expected a decimal latitude, as 59.3293", id="NaN"),
        pytest.param("59|1e2", "expected a decimal longitude, as 59.3293", id="power"),
        pytest.param("59|18| 1", "expected a decimal distance, as 59.3293", id="blank"),
        pytest.param(
            "59|18|\u0661", "expected a decimal distance, as 59.3293", id="arabic"
        ),
        pytest.param("59|18|-1", "expected a distance of 0 or more", id="below 0"),
        pytest.param(
            "59|18|1|mil", "expected one of the units km, m, [mi_us], [mi_i]", id="unit"
        ),
        pytest.param(
            "90.1|18",
            "expected a latitude of -90 to 90 and a longitude of -180 to 180 degrees",
            id="beyond the pole",
        ),
        pytest.param(
            "59|-180.1",
            "expected a latitude of -90 to 90 and a longitude of -180 to 180 degrees",
            id="beyond the date line",
        ),
    ],
)
def test_anything_else_is_refused(text: str, message: str) -> None:
    """What is no place is refused with what was expected."""
    with pytest.raises(ValidationError) as caught:
        near(text)

    assert caught.value.messages == [message]


@given(
    st.lists(st.text("0123456789.-+|,[]_mikus \0", max_size=40), min_size=1, max_size=3)
)
def test_every_input_is_places_or_refused(texts: list[str]) -> None:
    """Any text gives places on Earth, or is refused."""
    with suppress(ValidationError):
        for group in near(*texts):
            for place in group:
                assert abs(place.position.latitude) <= 90
                assert abs(place.position.longitude) <= 180
                assert place.km >= 0
