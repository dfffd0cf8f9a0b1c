"""
Identifiers of SNOMED CT's concepts: their form and their check digit.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.fhir.sctid import is_concept_id

_CONCEPTS = [
    "138875005",
    "33879002",
    "394814009",
    "72791000052103",
    "45991000052106",
    "439091000124107",
    "900000000000444006",
]


@pytest.mark.parametrize("code", _CONCEPTS)
def test_a_concepts_id_is_one(code: str) -> None:
    """Ids of the international release and of extensions are taken."""
    assert is_concept_id(code)


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("", id="nothing"),
        pytest.param("10009", id="5 digits"),
        pytest.param("0138875005", id="a zero before it"),
        pytest.param("72791000052104", id="another check digit"),
        pytest.param("3006873018", id="a description"),
        pytest.param("33879002 ", id="a blank"),
        pytest.param("J07BX03", id="a code of ATC"),
        pytest.param("٣٣٨٧٩٠٠٢", id="other digits"),
    ],
)
def test_what_is_no_concepts_id_is_none(code: str) -> None:
    """Another form, another partition or another check digit is no concept's id."""
    assert not is_concept_id(code)


@given(st.sampled_from(_CONCEPTS), st.data())
def test_one_wrong_digit_is_found(code: str, data: st.DataObject) -> None:
    """An id with one digit mistyped is no id."""
    place = data.draw(st.integers(0, len(code) - 1))
    digit = data.draw(
        st.sampled_from("0123456789").filter(lambda each: each != code[place])
    )

    assert not is_concept_id(code[:place] + digit + code[place + 1 :])


@given(st.sampled_from(_CONCEPTS), st.data())
def test_two_neighbours_exchanged_are_found(code: str, data: st.DataObject) -> None:
    """An id with two unlike neighbours exchanged is no id."""
    place = data.draw(
        st.sampled_from(
            [each for each in range(len(code) - 1) if code[each] != code[each + 1]]
        )
    )
    exchanged = code[:place] + code[place + 1] + code[place] + code[place + 2 :]

    assert not is_concept_id(exchanged)
