"""
Texts that clients and regions should not send, and that they send.
"""

from hypothesis import strategies as st

from .canary import SENT_NUMBER

__all__ = ["DATES", "HOSTILE", "JSON_VALUES", "KEYS", "TEXTS", "TIMES"]

HOSTILE = st.sampled_from(
    [
        *("", " ", ",", "|", "||", "\\", "\\,", "a,,b", "*", "%", "%00", "$", "&", "="),
        *("\0", "\r\nX-A: b", "\n", "\t", "\x1b[31m", "\u202e", "\ufeff", "\ufffe"),
        *("0", "-1", "1e9", "1e999", "NaN", "Infinity", "null", "true", "[]", "{}"),
        *("../../etc/passwd", "..", ".", "/", "//", "\\\\host\\c$", "file:///dev/null"),
        *("' OR '1'='1", "';DROP TABLE bookings;--", "*)(uid=*", "<a>&b;", "]]>"),
        *(
            "{{7*7}}",
            "${jndi:ldap://127.0.0.1/a}",
            "%s%s%n",
            "__proto__",
            "{0.__class__}",
        ),
        *("http://127.0.0.1:1/", "urn:x", "http://", "a" * 500, "9" * 500, "å" * 300),
        *("\u0660\u0661\u0662", "\u2460", "\u017f", "\u0130", "e\u0301", "\U0001f600"),
    ]
)
TEXTS = HOSTILE | st.text(max_size=20)
_NUMBERS = st.sampled_from([SENT_NUMBER, f"x{SENT_NUMBER}", f"|{SENT_NUMBER}"])
TEXTS |= _NUMBERS

_DAYS = st.sampled_from(
    [
        *("2026-12-01", "2026-13-01", "2026-02-30", "2028-02-29", "2027-02-29", "0000"),
        *("0000-01-01", "0001-01-01", "9999", "9999-12-31", "10000-01-01", "2027"),
        *(
            "2027-01",
            "1900-01-01",
            "2026-1-1",
            "20261201",
            "-2026-12-01",
            "+2026-12-01",
        ),
        *("2027-03-28", "2026-10-25", "2016-01-01", "2036-12-31", "12/01/2026", "now"),
        "\u0662\u0660\u0662\u0666-12-01",
    ]
) | st.dates().map(str)
_CLOCKS = st.sampled_from(
    [
        *(
            "",
            "T",
            "T08:00",
            "T24:00:00",
            "T23:60:00",
            "T23:59:60",
            "T08:00:60",
            "T8:00",
        ),
        *("T02:30:00", "T08:00:00.123456789", "T08:00:00.", "T08:00:00,5", "080000"),
        *(
            "T00:00:00",
            "T23:59:59",
            "T-1:00",
            "T0\u0668:00:00",
            " 08:00:00",
            "t08:00:00z",
        ),
    ]
)
_ZONES = st.sampled_from(
    [
        *("", "Z", "z", "+01:00", "+02:00", "+14:00", "-12:00", "+15:00", "+24:00"),
        *("-00:00", "+1", "+0100", " 01:00", "+01:60", "[Europe/Stockholm]", "UTC"),
    ]
)
_PREFIXES = st.sampled_from(
    ["", "eq", "ne", "ge", "gt", "le", "lt", "sa", "eb", "ap", "xx", "GE", "g", "gege"]
)
TIMES = st.builds("{}{}{}".format, _DAYS, _CLOCKS, _ZONES) | st.sampled_from(
    ["20261201080000", "20261301240000", "2026120108", "1e9", "NaN", "today", "P1D"]
)
DATES = st.builds("{}{}".format, _PREFIXES, TIMES) | st.builds(
    "{},{}".format, TIMES, TIMES
)

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4)
    ),
    max_leaves=6,
)

# What a header can carry: HTTP/1.1 has no other characters in one.
KEYS = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"),
    max_size=300,
) | st.sampled_from(
    ["", " ", '"a"', "a,b", "a" * 10_240, "0", "å", "*", "../x", "' OR '1'='1", "a\tb"]
)
