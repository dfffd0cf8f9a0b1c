"""
Identifiers: what is one, and when two are the same.
"""

import pickle
import string

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.model.ids import (
    BookingId,
    CareTypeId,
    CountyCode,
    HsaId,
    LogicalAddress,
    PerformerId,
    ResourceId,
    SourceName,
    TimeTypeId,
)

HSA_CHARACTERS = string.ascii_letters + string.digits + "-."


@pytest.mark.parametrize(
    "letters",
    [*("AB", "AC", "BD"), *"CDEFGHIKMNOSTUWXYZ"],
)
def test_a_county_is_as_iso_writes_it(letters: str) -> None:
    """Each of the 21 codes of ISO 3166-2:SE is read, in either case."""
    assert CountyCode(f" se-{letters.lower()} ") == f"SE-{letters}"


@pytest.mark.parametrize(
    "text", ["", "SE", "M", "SE-", "SE-L", "SE-12", "SE-ABC", "NO-03", "SE-M, SE-N"]
)
def test_what_is_no_county_is_refused(text: str) -> None:
    """A letter that no county has, a number, another country: none is a county."""
    with pytest.raises(ValueError, match="not a county"):
        CountyCode(text)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        pytest.param("SE2321000016-A01", "SE2321000016-A01", id="as the directory"),
        pytest.param("se2321000016-a01", "SE2321000016-A01", id="lower case"),
        pytest.param("Se2321000016-a01", "SE2321000016-A01", id="mixed case"),
        pytest.param("  SE1-A \n", "SE1-A", id="blanks around"),
        pytest.param("HSA-VKK123", "HSA-VKK123", id="of a demonstration"),
        pytest.param("SE1.A-B.C", "SE1.A-B.C", id="full stops"),
        pytest.param("1", "1", id="one digit"),
        pytest.param("A" * 31, "A" * 31, id="as long as may be"),
    ],
)
def test_hsa_id_is_upper_case(text: str, canonical: str) -> None:
    """An HSA-id is upper case from the moment it is read."""
    assert (HsaId(text), str(HsaId(text))) == (canonical, canonical)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("   ", id="blanks"),
        pytest.param("A" * 32, id="too long"),
        pytest.param("-A", id="a hyphen first"),
        pytest.param(".A", id="a full stop first"),
        pytest.param("SE1 A", id="a blank inside"),
        pytest.param("SE1\nA", id="a line break inside"),
        pytest.param("SE1_A", id="an underscore"),
        pytest.param("SE1/A", id="a slash"),
        pytest.param("../A", id="a path"),
        pytest.param("SE1%2FA", id="an escape"),
        pytest.param("SE1*", id="a wildcard"),
        pytest.param("SE1|A", id="a bar"),
        pytest.param("SE1?x=y", id="a query"),
        pytest.param("SE1#A", id="a fragment"),
        pytest.param("SE1'--", id="SQL"),
        pytest.param("SE1)(cn=*", id="LDAP"),
        pytest.param("<SE1/>", id="XML"),
        pytest.param("SE1\x00", id="NUL"),
        pytest.param("SÉ1", id="an accent"),
        pytest.param("STRA\u00dfE", id="a letter that two stand for in upper case"),
        pytest.param("\u017fe1", id="a letter that is S in upper case"),
        pytest.param("S\u0131", id="a letter that is I in upper case"),
        pytest.param("SE\u0661", id="Arabic digits"),
        pytest.param("\uff33\uff251", id="full-width letters"),
    ],
)
def test_hsa_id_of_other_characters_is_refused(text: str) -> None:
    """What is no HSA-id is refused in one line that does not repeat it."""
    with pytest.raises(ValueError, match="not an HSA-id") as caught:
        HsaId(text)

    assert str(caught.value) == (
        "not an HSA-id: expected 1 to 31 letters, digits, '.' and '-'"
    )


@settings(max_examples=examples(100), deadline=None)
@given(
    st.text(HSA_CHARACTERS, min_size=1, max_size=31).filter(
        lambda text: text[0] not in "-."
    )
)
def test_hsa_ids_that_differ_in_case_are_the_same(text: str) -> None:
    """Equality and hash take no heed of case, and reading twice changes nothing."""
    ids = {HsaId(text), HsaId(text.lower()), HsaId(text.upper()), HsaId(HsaId(text))}

    assert ids == {text.upper()}


@settings(max_examples=examples(200), deadline=None)
@given(st.text(max_size=35))
def test_any_hsa_id_keeps_to_the_alphabet_of_fhir(text: str) -> None:
    """Every accepted text is short and plain enough to be a FHIR id."""
    try:
        hsa_id = HsaId(text)
    except ValueError:
        return

    assert 1 <= len(hsa_id) <= 31
    assert set(hsa_id) <= set(HSA_CHARACTERS.upper())


def test_hsa_id_survives_pickling() -> None:
    """An HSA-id is the same after a journey through pickle."""
    thawed = pickle.loads(pickle.dumps(HsaId("se1-a")))  # noqa: S301 - our own bytes

    assert (thawed, type(thawed)) == ("SE1-A", HsaId)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("n", id="one letter"),
        pytest.param("norr", id="a word"),
        pytest.param("region-2", id="a hyphen and a digit"),
        pytest.param("a" * 31, id="as long as may be"),
    ],
)
def test_source_name_is_kept(text: str) -> None:
    """A source's name is what the configuration says."""
    assert SourceName(text) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("Norr", id="upper case"),
        pytest.param("1norr", id="a digit first"),
        pytest.param("-norr", id="a hyphen first"),
        pytest.param("norr ", id="a blank"),
        pytest.param("norr\n", id="a line break"),
        pytest.param("norr_1", id="an underscore"),
        pytest.param("norr.1", id="a full stop"),
        pytest.param("söder", id="a Swedish letter"),
        pytest.param("a" * 32, id="too long"),
    ],
)
def test_source_name_of_other_characters_is_refused(text: str) -> None:
    """What is no name of a source is refused."""
    with pytest.raises(ValueError, match="not a source name: expected"):
        SourceName(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        pytest.param(" SE1-a\n", "SE1-a", id="blanks around"),
        pytest.param("5565594230", "5565594230", id="the national aggregation"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_logical_address_has_no_blanks_around(text: str, address: str) -> None:
    """The platform answers VP004 to blanks, so there are none."""
    assert LogicalAddress(text) == address


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, id=kind.__name__)
        for kind in (BookingId, CareTypeId, ResourceId, TimeTypeId)
    ],
)
def test_code_of_a_unit_is_kept_as_it_is(kind: type[str]) -> None:
    """A unit's own code is sent back exactly as it came, case and all."""
    assert kind("aB 1/å") == "aB 1/å"


@pytest.mark.parametrize(
    ("text", "hsa_id"),
    [
        pytest.param("SE2321000016-P01", "SE2321000016-P01", id="an HSA-id"),
        pytest.param("se2321000016-p01", "SE2321000016-P01", id="in lower case"),
        pytest.param(" SE1-P\n", "SE1-P", id="between blanks"),
        pytest.param("1", None, id="a kind of resource"),
        pytest.param("SE2321000016P01", None, id="without a hyphen"),
        pytest.param("a_b-c", None, id="other characters"),
        pytest.param("A-" + "1" * 30, None, id="too long"),
        pytest.param("å-1", None, id="another letter"),
    ],
)
def test_performer_is_an_hsa_id_where_it_is_one(text: str, hsa_id: str | None) -> None:
    """A source's own text stays what it is; it is shown only as an HSA-id."""
    performer = PerformerId(text)

    assert (str(performer), performer.hsa_id) == (text, hsa_id)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("4", "4", id="a digit"),
        pytest.param(" 4\n", "4", id="blanks around"),
        pytest.param("a  b", "a b", id="blanks inside"),
        pytest.param("tT", "tT", id="case"),
    ],
)
def test_code_of_a_time_type_is_one_of_fhir(text: str, code: str) -> None:
    """FHIR's codes have single blanks, and none around them."""
    assert TimeTypeId(text).code == code
