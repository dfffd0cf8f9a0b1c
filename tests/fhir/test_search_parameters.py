"""
Search parameters: read into values, or refused with every fault named.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime

import pytest
from assertions import assert_problem, issue
from examples import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fhir_gateway.fhir.include_graph import Include
from fhir_gateway.fhir.outcome import Problem, ProblemKind
from fhir_gateway.fhir.search_date import (
    DateBounds,
    DateParameter,
)
from fhir_gateway.fhir.search_parameters import (
    Choice,
    Count,
    IncludeParameter,
    Opaque,
    ReferenceParameter,
    Token,
    TokenParameter,
)
from fhir_gateway.fhir.search_schema import (
    SearchSchema,
    Understood,
    check_size,
    issues_of_understood,
    understand,
    without_empty,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Query:
    """What a search asks."""

    code: object = None
    status: object = None
    start: object = None
    schedule: object = None
    sort: object = None
    count: object = None
    include: object = None
    cursor: object = None


class _Schema(SearchSchema[_Query]):
    """One parameter of each kind."""

    query = _Query

    code = TokenParameter()
    status = TokenParameter(codes=["free", "busy"])
    start = DateParameter()
    schedule = ReferenceParameter(target="Schedule")
    sort = Choice(of=("start", "-start"), data_key="_sort")
    count = Count(most=1000, data_key="_count")
    include = IncludeParameter(data_key="_include")
    cursor = Opaque(data_key="_cursor", read=str)


_SCHEMA = _Schema()
_NAMES = [
    *("code", "status", "start", "schedule", "_sort", "_count", "_include", "_cursor"),
    *("start:missing", "code:not", "_has:Slot:schedule:status", "_lastUpdated", ""),
]


_BASE = "http://h/fhir"
_NO_REFERENCE = "expected a reference to this server, as Schedule/id"


def read(*given_: tuple[str, str], lenient: bool = False) -> Understood[_Query]:
    """Return what a search is understood as."""
    return understand(_SCHEMA, given_, lenient=lenient, base_url=_BASE)


def values(*given_: tuple[str, str]) -> dict[str, object]:
    """Return the values of a search."""
    return _asked(read(*given_))


def _asked(understood: Understood[_Query]) -> dict[str, object]:
    """Return what is asked, without what is not."""
    return {
        field.name: value
        for field in fields(understood.query)
        if (value := getattr(understood.query, field.name)) is not None
    }


def refused(*given_: tuple[str, str], lenient: bool = False) -> Problem:
    """Return what a search is refused with."""
    with pytest.raises(Problem) as caught:
        read(*given_, lenient=lenient)
    return caught.value


# Tokens.


@pytest.mark.parametrize(
    ("text", "group"),
    [
        pytest.param("a", (Token(None, "a"),), id="a code of any system"),
        pytest.param("http://s|a", (Token("http://s", "a"),), id="system and code"),
        pytest.param("http://s|", (Token("http://s", None),), id="any of a system"),
        pytest.param("a,s|b", (Token(None, "a"), Token("s", "b")), id="a comma is or"),
        pytest.param(r"a\,b", (Token(None, "a,b"),), id="an escaped comma is none"),
        pytest.param(
            r"a\\,b", (Token(None, "a\\"), Token(None, "b")), id="an escaped backslash"
        ),
        pytest.param(r"a\$b", (Token(None, "a$b"),), id="an escaped dollar"),
        pytest.param(r"s|a\|b", (Token("s", "a|b"),), id="an escaped bar in a code"),
        pytest.param(r"a\|b", (Token(None, "a|b"),), id="an escaped bar alone"),
        pytest.param(r"s\|t|a", (Token("s|t", "a"),), id="an escaped bar in a system"),
    ],
)
def test_a_token_is_read(text: str, group: tuple[Token, ...]) -> None:
    """A token has a system and a code; a comma means or, a backslash escapes."""
    assert values(("code", text)) == {"code": (group,)}


def test_a_repeated_token_means_and() -> None:
    """A parameter that is given twice must fit twice."""
    assert values(("code", "a,b"), ("code", "c")) == {
        "code": ((Token(None, "a"), Token(None, "b")), (Token(None, "c"),))
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "has an empty value", id="nothing"),
        pytest.param("a,,b", "has an empty value", id="nothing between commas"),
        pytest.param(
            "|",
            "expected a code, system|code or system|: every code here has a system",
            id="a bar alone",
        ),
    ],
)
def test_a_token_without_anything_is_refused(text: str, message: str) -> None:
    """An empty token would mean everything, so it means nothing."""
    assert_problem(
        refused(("code", text)),
        400,
        issue("value", f"code: {message}.", location="http.code"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "|a",
            "expected a code, system|code or system|: every code here has a system",
            id="no system",
        ),
        pytest.param(
            "s|1|a",
            "expected at most one | that is not escaped: a version cannot be searched"
            " for",
            id="a version",
        ),
        pytest.param(
            "a,s||a",
            "expected at most one | that is not escaped: a version cannot be searched"
            " for",
            id="an empty version, after a comma",
        ),
    ],
)
def test_a_token_that_can_never_fit_is_refused(text: str, message: str) -> None:
    """A token that no coding here can have is refused, so that nothing looks empty."""
    assert_problem(
        refused(("code", text)),
        400,
        issue("value", f"code: {message}.", location="http.code"),
    )


@pytest.mark.parametrize("text", ["Free", "free,bogus", "http://x|"])
def test_a_code_outside_its_binding_is_refused(text: str) -> None:
    """A code that the element cannot have is refused, with those that it can have."""
    assert_problem(
        refused(("status", text)),
        400,
        issue("value", "status: expected one of free, busy.", location="http.status"),
    )


# Dates.


def utc(*parts: int) -> datetime:
    """Return an instant."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type] # a date at least


@pytest.mark.parametrize(
    ("text", "start", "before"),
    [
        pytest.param(
            "2026-06-01", utc(2026, 5, 31, 22), utc(2026, 6, 1, 22), id="none"
        ),
        pytest.param(
            "eq2026-06-01", utc(2026, 5, 31, 22), utc(2026, 6, 1, 22), id="eq"
        ),
        pytest.param("ge2026-06-01", utc(2026, 5, 31, 22), None, id="ge"),
        pytest.param("gt2026-06-01", utc(2026, 6, 1, 22), None, id="gt"),
        pytest.param("sa2026-06-01", utc(2026, 6, 1, 22), None, id="sa"),
        pytest.param("lt2026-06-01", None, utc(2026, 5, 31, 22), id="lt"),
        pytest.param("eb2026-06-01", None, utc(2026, 5, 31, 22), id="eb"),
        pytest.param("le2026-06-01", None, utc(2026, 6, 1, 22), id="le"),
        pytest.param("ge2026", utc(2025, 12, 31, 23), None, id="a year"),
        pytest.param(
            "2026-12", utc(2026, 11, 30, 23), utc(2026, 12, 31, 23), id="month"
        ),
        pytest.param(
            "ge2026-06-01T08:30Z", utc(2026, 6, 1, 8, 30), None, id="minutes and Z"
        ),
        pytest.param(
            "2026-06-01T08:30:00+02:00",
            utc(2026, 6, 1, 6, 30),
            utc(2026, 6, 1, 6, 30, 1),
            id="a second is a second long",
        ),
        pytest.param(
            "ge2026-06-01T08:30:00 02:00",
            utc(2026, 6, 1, 6, 30),
            None,
            id="a plus that became a blank",
        ),
        pytest.param(
            "ge2026-06-01T08:30:00", utc(2026, 6, 1, 6, 30), None, id="Swedish summer"
        ),
        pytest.param(
            "ge2026-01-01T08:30:00", utc(2026, 1, 1, 7, 30), None, id="Swedish winter"
        ),
        pytest.param(
            "2026-03-29", utc(2026, 3, 28, 23), utc(2026, 3, 29, 22), id="23 hours"
        ),
        pytest.param(
            "2026-10-25", utc(2026, 10, 24, 22), utc(2026, 10, 25, 23), id="25 hours"
        ),
        pytest.param(
            "ge2026-10-25T02:30:00",
            utc(2026, 10, 25, 0, 30),
            None,
            id="the first 02:30",
        ),
        pytest.param(
            "ge2026-10-25T02:30:00+01:00",
            utc(2026, 10, 25, 1, 30),
            None,
            id="the second 02:30",
        ),
        pytest.param(
            "ge2026-06-01T00:00:00+14:00", utc(2026, 5, 31, 10), None, id="+14:00"
        ),
    ],
)
def test_a_date_stands_for_its_whole_precision(
    text: str, start: datetime | None, before: datetime | None
) -> None:
    """A date leaves the instants that its prefix and precision say, in Sweden."""
    assert values(("start", text)) == {"start": DateBounds(start, before)}


def test_repeated_dates_narrow() -> None:
    """The bounds of several dates are the narrowest, in any order of the dates."""
    given_ = [
        ("start", text)
        for text in ("lt2026-07-01", "ge2026-06-01", "ge2026-05-01", "lt2026-08-01")
    ]

    assert values(*given_) == {
        "start": DateBounds(utc(2026, 5, 31, 22), utc(2026, 6, 30, 22))
    }


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "ge", "20260601", "20260601083000", "2026-6-1", "2026-06-01T08"),
        *("2026-06-01T08:30:00+0200", "2026-06-01T08:30:00+14:01", "gee2026-06-01"),
        *(
            "2026-06-01 08:30",
            "ge2026-06-01,lt2026-07-01",
            "\u0662\u0660\u0662\u0666",
            "GE2026",
        ),
        *("2026-06-01T24:00:00", "2026-06-01T08:60:00", "2026-06-01T08:30:60"),
        *("2026-02-29", "2026-13-01", "0000-01-01"),
        *("ge2026-03-29T02:30:00", "1e9", "-2026-06-01", "2026-06-01Z"),
    ],
)
def test_what_is_no_date_is_refused(text: str) -> None:
    """A text that is no FHIR date, or a time that never is, is refused."""
    problem = refused(("start", text))

    (fault,) = problem.issues
    assert problem.kind is ProblemKind.MALFORMED
    assert (fault.code, fault.parameter) == ("value", "start")
    assert str(fault.diagnostics).startswith("start: is not a date: ")


@pytest.mark.parametrize("prefix", ["ne", "ap", "xx"])
def test_a_prefix_that_leaves_no_period_is_refused(prefix: str) -> None:
    """A prefix that is not read here is refused, with those that are."""
    assert_problem(
        refused(("start", f"{prefix}2026-06-01")),
        400,
        issue(
            "value",
            "start: expected one of the prefixes eq, ge, gt, le, lt, sa, eb, or none.",
            location="http.start",
        ),
    )


# References, counts, choices, includes, cursors.


@pytest.mark.parametrize(
    "text",
    ["a.1", "Schedule/a.1", "http://h/fhir/Schedule/a.1"],
)
def test_a_reference_is_an_id(text: str) -> None:
    """A reference is an id, a relative reference or a URL that begins with our base."""
    assert values(("schedule", text)) == {"schedule": (frozenset({"a.1"}),)}


def test_references_are_joined_by_commas_and_repeats() -> None:
    """A comma between references means or, a repeated parameter means and."""
    given_ = [("schedule", f"a,{_BASE}/Schedule/b,Schedule/d"), ("schedule", "c")]

    understood = read(*given_)
    assert _asked(understood) == {
        "schedule": (frozenset({"a", "b", "d"}), frozenset({"c"}))
    }
    assert list(understood.parameters) == given_


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *(
            pytest.param(text, _NO_REFERENCE, id=text)
            for text in (
                *("Location/a", "http://h/fhir/Location/a", "Schedule/", "a b"),
                *("a" * 65, "Schedule/å", "../../etc/passwd", "/Schedule/a"),
                *("https://other.example/fhir/Schedule/a", "http://h/Schedule/a"),
                *("http://h/fhir/http://h/fhir/Schedule/a", "file:///Schedule/a"),
                *("../Schedule/a", "Schedule/a/_history/1", "Schedule/a?x"),
                *("schedule/a", "HTTP://h/fhir/Schedule/a", "urn:uuid:a"),
                "http://other/http://h/fhir/Schedule/a",
            )
        ),
        pytest.param("", "has an empty value", id="nothing"),
        pytest.param("a,", "has an empty value", id="nothing after a comma"),
    ],
)
def test_a_wrong_reference_is_refused(text: str, message: str) -> None:
    """A reference to another type, or without a FHIR id, is refused."""
    assert_problem(
        refused(("schedule", text)),
        400,
        issue("value", f"schedule: {message}.", location="http.schedule"),
    )


@pytest.mark.parametrize(
    ("text", "count"),
    [
        pytest.param("0", 0, id="none"),
        pytest.param("20", 20, id="twenty"),
        pytest.param("1000", 1000, id="the most"),
        pytest.param("1001", 1000, id="one too many"),
        pytest.param("999999999", 1000, id="far too many"),
        pytest.param("1" + "0" * 30, 1000, id="more than a number of 64 bits"),
        pytest.param("0" * 30 + "1", 1, id="with zeros before it"),
    ],
)
def test_a_count_is_read_and_limited(text: str, count: int) -> None:
    """A page has what the client asks for, up to a thousand."""
    assert values(("_count", text)) == {"count": count}


@pytest.mark.parametrize("text", ["-1", "1e9", "1.5", "", "x", "\u0663", "+1"])
def test_a_count_that_is_no_number_is_refused(text: str) -> None:
    """A count that is no whole number is refused."""
    assert_problem(
        refused(("_count", text)),
        400,
        issue(
            "value",
            "_count: expected a whole number, 0 or more.",
            location="http._count",
        ),
    )


@pytest.mark.parametrize("name", ["_count", "_sort", "_cursor"])
def test_a_single_parameter_is_not_repeated(name: str) -> None:
    """A parameter that has one value is refused when it is given twice."""
    assert_problem(
        refused((name, "start"), (name, "start")),
        400,
        issue("value", f"{name}: is given more than once.", location=f"http.{name}"),
    )


def test_a_choice_is_one_of_its_values() -> None:
    """A choice is read when it is one of the values that it can have."""
    assert values(("_sort", "-start")) == {"sort": "-start"}


def test_another_choice_is_refused() -> None:
    """A choice that does not exist is refused, with those that do."""
    assert_problem(
        refused(("_sort", "end")),
        400,
        issue("value", "_sort: expected one of start, -start.", location="http._sort"),
    )


def test_includes_are_read() -> None:
    """An include is a source, a parameter and perhaps a target."""
    assert values(
        ("_include", "Slot:schedule"), ("_include", "Schedule:actor:Location")
    ) == {
        "include": (
            Include("Slot", "schedule"),
            Include("Schedule", "actor", "Location"),
        )
    }


@pytest.mark.parametrize(
    "text", ["*", "Slot", "Slot:actor", "Slot:schedule:Schedule:x", "", "Slot:*"]
)
def test_an_include_that_cannot_be_followed_is_refused(text: str) -> None:
    """An include that does not exist is refused, with those that do."""
    assert_problem(
        refused(("_include", text)),
        400,
        issue(
            "value",
            "_include: expected one of Slot:schedule, Schedule:actor,"
            " HealthcareService:location, HealthcareService:organization,"
            " HealthcareService:providedBy, Location:organization,"
            " PractitionerRole:practitioner, each with or"
            " without :Type.",
            location="http._include",
        ),
    )


def test_a_cursor_is_handed_on() -> None:
    """A cursor is read as it stands: what it means is for its maker."""
    assert values(("_cursor", "abc=")) == {"cursor": "abc="}


# The search as a whole.


def test_every_fault_is_named_at_once() -> None:
    """A search with many faults is refused with an issue for each, in any order."""
    problem = refused(
        ("code", ""),
        ("start", "ne2026"),
        ("schedule", "Location/a"),
        ("_count", "x"),
        ("colour", "red"),
    )

    assert sorted(str(each.diagnostics) for each in problem.issues) == [
        "_count: expected a whole number, 0 or more.",
        "code: has an empty value.",
        "colour: is not a parameter of this search; see /metadata for those that are.",
        "schedule: expected a reference to this server, as Schedule/id.",
        "start: expected one of the prefixes eq, ge, gt, le, lt, sa, eb, or none.",
    ]


@pytest.mark.parametrize(
    "name", ["colour", "start:missing", "_has:Slot:schedule:status", "_lastUpdated"]
)
def test_an_unknown_parameter_is_refused(name: str) -> None:
    """A parameter or modifier that does not exist is refused by name."""
    assert_problem(
        refused((name, "x")),
        400,
        issue(
            "not-supported",
            f"{name}: is not a parameter of this search; see /metadata for those that"
            " are.",
            location=f"http.{name}",
        ),
    )


@pytest.mark.parametrize(
    "name",
    ["191212121212", "Testlund", "anna testlund", "a" * 65, "<script>", "å", "", "a\n"],
)
def test_a_name_that_may_be_somebodys_is_not_repeated(name: str) -> None:
    """An unknown parameter that may be a person's name or number is not repeated."""
    assert_problem(
        refused((name, "x")),
        400,
        issue(
            "not-supported",
            "(a name that cannot be shown): is not a parameter of this search; see"
            " /metadata for those that are.",
        ),
    )


def test_a_lenient_search_leaves_out_what_it_does_not_know() -> None:
    """Leniently, an unknown parameter is neither used nor said to be used."""
    understood = read(("colour", "red"), ("_count", "5"), lenient=True)

    assert understood == Understood(
        query=_Query(count=5),
        parameters=(("_count", "5"),),
        text="_count=5",
        left_out=("colour",),
    )


def test_what_a_lenient_search_leaves_out_is_said_once() -> None:
    """Each name stands in one issue, and a name that may be somebody's in none."""
    understood = read(
        ("colour", "red"), ("colour", "x"), ("191212121212", "x"), lenient=True
    )

    assert [
        (each.severity.value, each.parameter)
        for each in issues_of_understood(understood)
    ] == [("warning", "colour"), ("warning", None)]
    assert "1912" not in str(issues_of_understood(understood))


@pytest.mark.parametrize(
    "name",
    [
        *("code:not", "code:text", "code:missing", "start:missing", "status:in"),
        *("schedule:Location", "schedule.actor", "schedule.actor:Location.name"),
        *("_include:recurse", "_count:x", "code:", "code."),
    ],
)
@pytest.mark.parametrize("value", ["a", "true", ""])
def test_a_lenient_search_refuses_what_would_widen_it(name: str, value: str) -> None:
    """An unknown modifier or chain of a known parameter is refused, never dropped."""
    problem = refused(
        *without_empty([(name, value), ("_count", "5")], _SCHEMA.by_name), lenient=True
    )

    assert problem.kind is ProblemKind.MALFORMED
    assert [(each.code, each.parameter) for each in problem.issues] == [
        ("not-supported", name)
    ]


@pytest.mark.parametrize("name", ["Status", "STATUS", "Status:not", "_Count"])
@pytest.mark.parametrize("lenient", [True, False])
def test_a_known_parameter_in_other_capitals_is_refused(
    name: str, *, lenient: bool
) -> None:
    """Left out, it would widen the search; the issue has the right name."""
    known = name.partition(":")[0].lower()
    assert_problem(
        refused((name, "busy"), lenient=lenient),
        400,
        issue(
            "not-supported",
            f"{known}: capitals count: write the name so.",
            location=f"http.{known}",
        ),
    )


def test_empty_parameters_count() -> None:
    """Each costs its reading, though it means nothing."""
    check_size([("status", "")] * 100)
    with pytest.raises(Problem):
        check_size([("status", "")] * 101)


def test_an_escaped_comma_separates_no_values() -> None:
    """It is a part of its value, and an escaped backslash escapes nothing."""
    read(("code", "s|" + r"a\," * 200))
    many = r"a\\," * 200
    assert [each.code for each in refused(("code", many)).issues] == ["too-costly"]


@pytest.mark.parametrize("target", ["Patient", "", "schedule", "Location"])
def test_an_include_leads_to_its_own_types_only(target: str) -> None:
    """A type that the reference never has would include nothing, silently."""
    assert_problem(
        refused(("_include", f"Slot:schedule:{target}")),
        400,
        issue(
            "value",
            "_include: Slot:schedule leads to Schedule and no other type.",
            location="http._include",
        ),
    )


def test_parameters_without_a_value_are_no_parameters() -> None:
    """A form's empty fields are left out (R4, 3.1.1.3), also those of unknown names."""
    given_ = [("code", ""), ("start", ""), ("colour", ""), ("status", "free")]

    assert without_empty(given_, _SCHEMA.by_name) == [("status", "free")]


def test_a_lenient_search_is_strict_on_values() -> None:
    """Leniently, a known parameter with a wrong value is still refused."""
    assert_problem(
        refused(("colour", "red"), ("_sort", "end"), lenient=True),
        400,
        issue("value", "_sort: expected one of start, -start.", location="http._sort"),
    )


def test_parameters_are_kept_as_given() -> None:
    """The understood parameters are returned as the client wrote them, in its order."""
    given_ = (("_count", "5"), ("code", "b"), ("start", "ge2026"), ("code", "a"))

    assert read(*given_).parameters == given_


def test_what_was_asked_before_means_the_same_again() -> None:
    """A search that is remembered is understood as it was at first."""
    given_ = (("code", "s|a,b"), ("start", "ge2026-06-01"), ("_count", "5"))

    assert read(*given_) == read(*given_)


def test_a_personal_search_is_not_remembered() -> None:
    """Nothing of a search for somebody's data stays in memory."""

    class Personal(_Schema):
        """Searched for what is somebody's."""

        is_personal = True

    schema = Personal()
    understand(schema, [("code", "191212121212")], lenient=False, base_url=_BASE)

    assert schema.remembered == {}


def test_a_long_search_is_not_remembered() -> None:
    """Long values are not kept: a client could fill the memory with them."""
    schema = _Schema()
    understand(
        schema,
        [("code", "x" * 500), ("code", "y" * 500)],
        lenient=False,
        base_url=_BASE,
    )

    assert schema.remembered == {}


def test_ten_thousand_parameters_are_too_many() -> None:
    """A search with more than a hundred parameters is refused in one sentence."""
    assert_problem(
        refused(*[("code", "a")] * 10_000),
        400,
        issue("too-costly", "A search has at most 100 parameters."),
    )


def test_thousands_of_values_are_too_many() -> None:
    """A search has at most 200 values, however commas and repeats part them."""
    fault = issue(
        "too-costly",
        "A search has at most 200 values in all: repeated or separated by commas, each"
        " counts.",
    )

    assert len(values(("code", ",".join("a" * 150)), ("code", ",".join("b" * 50)))) == 1
    assert_problem(
        refused(("code", ",".join("a" * 150)), ("code", ",".join("b" * 51))), 400, fault
    )
    assert_problem(refused(("code", "," * 250_000)), 400, fault)


@pytest.mark.parametrize("value", ["x" * 513, "a," + "x" * 513])
def test_a_long_value_is_refused(value: str) -> None:
    """A value has at most 512 characters."""
    assert_problem(
        refused(("code", value)),
        400,
        issue(
            "too-costly",
            "A name or value of a search has at most 512 characters.",
            location="http.code",
        ),
    )


def test_a_long_name_is_refused() -> None:
    """A parameter's name has at most 512 characters, and is not repeated."""
    assert_problem(
        refused(("x" * 513, "a")),
        400,
        issue("too-costly", "A name or value of a search has at most 512 characters."),
    )


_WORDS = st.text(max_size=40) | st.sampled_from(
    [
        *("ge2026-01-01", "lt", "2026", "a|b", "|", "\\", ",", "Schedule/1", "free"),
        *("0", "-1", "1e9", "Slot:schedule", "*", "start", "9999-12-31T23:59:59Z"),
        *("ge0001-01-01T00:00:00+14:00", "\x00", "\ud7ff", "a" * 5_000),
    ]
)


@given(
    given_=st.lists(st.tuples(st.sampled_from(_NAMES) | _WORDS, _WORDS), max_size=8),
    lenient=st.booleans(),
)
@settings(max_examples=examples(500))
@example(given_=[("start", "ge9999-12-31")], lenient=False)
def test_any_search_is_understood_or_refused(
    *, given_: Sequence[tuple[str, str]], lenient: bool
) -> None:
    """No parameters raise anything but a Problem."""
    with suppress(Problem):
        understand(_SCHEMA, given_, lenient=lenient, base_url=_BASE)


def test_a_query_has_an_attribute_for_each_parameter() -> None:
    """A parameter that a query lacks, or names otherwise, is a fault of the program."""

    class Misspelt(_Schema):
        """Has a parameter that no query has."""

        colour = TokenParameter()

    with pytest.raises(TypeError, match="_Query and Misspelt differ in \\['colour'\\]"):
        Misspelt()
