"""
Faults: the platform's codes, and what they prove.
"""

import pytest

from fhir_gateway.rivta.fault import Fault


@pytest.mark.parametrize(
    "code", [pytest.param(f"VP{n:03}", id=f"VP{n:03}") for n in range(1, 16)]
)
def test_platform_code_is_read_from_the_text(code: str) -> None:
    """Each of the platform's fifteen codes is read from the start of the text."""
    fault = Fault(code="soap:Server", text=f"{code} [vp-1] Ett fel uppstod")

    assert fault.platform_code == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("VP009", "VP009", id="the code alone"),
        pytest.param("  \nVP009 x", "VP009", id="after blanks"),
        pytest.param("VP009:x", "VP009", id="before a colon"),
        pytest.param("VP009[vp]", "VP009", id="before a bracket"),
        pytest.param("VP016 x", "VP016", id="a code that is new to us"),
        pytest.param("VP0091", None, id="four digits"),
        pytest.param("VP09", None, id="two digits"),
        pytest.param("VP", None, id="no digits"),
        pytest.param("VP\u0660\u0660\u0669", None, id="Arabic digits"),
        pytest.param("vp009", None, id="lower case"),
        pytest.param("xVP009", None, id="a letter before"),
        pytest.param("Fel: VP009", None, id="not at the start"),
        pytest.param("resultCode: 3001", None, id="a producer's own"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_code_is_read_as_the_platform_writes_it(text: str, code: str | None) -> None:
    """Only VP and exactly three digits at the start of the text are a code."""
    assert Fault(code="soap:Client", text=text).platform_code == code


def test_code_is_not_read_from_faultcode() -> None:
    """What stands in `faultcode` is no platform code."""
    assert Fault(code="VP009", text="Ett fel").platform_code is None


def test_fault_hides_its_texts() -> None:
    """A fault's repr shows neither of its texts: they are the other system's."""
    shown = repr(Fault(code="code-191212121212", text="text-191212121212"))

    assert "191212121212" not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("Schemat är låst", "Schemat är låst", id="plain words"),
        pytest.param("pnr 191212121212 saknas", "pnr … saknas", id="twelve digits"),
        pytest.param("pnr191212121212saknas", "pnr…saknas", id="between letters"),
        pytest.param("121212-1212", "…", id="ten digits"),
        pytest.param("121212+1212 och 19121212-1212", "… och …", id="with signs"),
        pytest.param("19121212T123", "…", id="a reserve number"),
        pytest.param("pnr 1912 1212 1212 finns", "pnr … finns", id="set apart"),
        pytest.param("pnr 19 12 12 12-12 12", "pnr …", id="in pairs"),
        pytest.param("121212\u20131212", "…", id="an en dash"),
        pytest.param("19121212\u20111212", "…", id="a hyphen that does not break"),
        pytest.param("191212\u200b121212", "…", id="something invisible inside"),
        pytest.param("0191212121212 x", "… x", id="a digit before"),
        pytest.param("191212121212191212121212", "…", id="two without a gap"),
        pytest.param("1912121212121", "…", id="a digit after"),
        pytest.param("019121212-1212", "…", id="a digit before, with a sign"),
        pytest.param("19121212121212", "…", id="two digits after"),
        pytest.param("&#49;91212121212 x", "… x", id="an escaped digit"),
        pytest.param("&amp;#x31;91212121212", "…", id="a digit escaped twice"),
        pytest.param("²191212121212", "…", id="a raised digit before"),
        pytest.param(
            "VP004 SE2321000016-A01", "VP004 SE2321000016-A01", id="an HSA-id"
        ),
        pytest.param("vid 20270503080000", "vid 20270503080000", id="a time"),
        pytest.param("a\n\tb\x1b[31mc", "a b[31mc", id="lines and control characters"),
        pytest.param("x" * 301, "x" * 300, id="long"),
    ],
)
def test_a_fault_is_shown_on_one_line_without_personal_numbers(
    text: str, shown: str
) -> None:
    """An operator who checks a source sees what it says, and nobody's number."""
    assert Fault(code="soap:Server", text=text).masked_text == shown
