"""
References: which are this server's.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.fhir.reference import Reference, own_id, type_in_reference

_BASE = "http://gateway.test/fhir"
_IDS = st.from_regex(r"[A-Za-z0-9\-]{1,64}", fullmatch=True)
_TYPES = st.sampled_from(["Slot", "Schedule", "Location"])


@given(kind=_TYPES, identifier=_IDS, base=st.sampled_from(["", f"{_BASE}/"]))
def test_our_own_references_are_read(kind: str, identifier: str, base: str) -> None:
    """Type and id are read, relative or after this server's base."""
    found = Reference.parse(f"{base}{kind}/{identifier}", _BASE)

    assert found == Reference(type=kind, id=identifier)


@given(
    before=st.text(max_size=8), identifier=_IDS, after=st.text(max_size=8), kind=_TYPES
)
def test_nothing_else_is_ours(
    before: str, identifier: str, after: str, kind: str
) -> None:
    """Any text before or after makes it a reference to something else."""
    text = f"{before}{kind}/{identifier}{after}"

    found = own_id(text, kind, _BASE)
    assert found is None or text in (f"{kind}/{found}", f"{_BASE}/{kind}/{found}")


def test_a_reference_to_another_type_has_no_id_of_this_one() -> None:
    """The id of a Slot is no Schedule's."""
    assert own_id("Slot/a", "Schedule", _BASE) is None


@pytest.mark.parametrize("text", ["Slot/.", "Slot/..", f"{_BASE}/Slot/..."])
def test_dots_are_no_id(text: str) -> None:
    """A path that leads elsewhere is no reference."""
    assert own_id(text, "Slot", _BASE) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Patient/1", "Patient"),
        ("https://x.example/fhir/Patient/1", "Patient"),
        ("https://x.example/fhir/Patient/1/_history/2", "Patient"),
        ("https://x.example/fhir/Patient/1?x", None),
        ("urn:uuid:1", None),
        ("#patient", None),
        ("patient/1", None),
    ],
)
def test_any_servers_reference_names_a_type(text: str, expected: str | None) -> None:
    """A reference to any server gives the type of its target."""
    assert type_in_reference(text) == expected
