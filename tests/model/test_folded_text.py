"""
Folded text: what a search by name takes for equal.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.model.folded_text import folded


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Vårdcentralen  Tallbacken ", "vardcentralen tallbacken"),
        ("ÅÄÖ Á", "aao a"),
        ("Straße", "strasse"),
        ("\N{TELEPHONE SIGN} 7", "tel 7"),
        ("a\N{COMBINING ACUTE ACCENT}", "a"),
        ("a\N{NO-BREAK SPACE}\n b", "a b"),
        ("", ""),
    ],
)
def test_case_accents_and_blanks_are_folded(text: str, expected: str) -> None:
    """Texts that differ in case, accents and blanks only are one."""
    assert folded(text) == expected


@given(text=st.text(alphabet=st.characters(codec="latin-1")))
def test_a_folded_text_stays(text: str) -> None:
    """Folding twice changes nothing more."""
    assert folded(folded(text)) == folded(text)
