"""
SMART scopes: what they permit, and that nothing else does.
"""

from collections.abc import Iterable
from urllib.parse import quote

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.access.scope import Extent, extent_of
from fhir_gateway.model.principal import Role

ALL = Extent()
TYPES = (
    *("Slot", "Schedule", "HealthcareService", "Location", "Organization"),
    *("Practitioner", "PractitionerRole", "Appointment", "AuditEvent"),
    "MeasureReport",
)
CONTEXTS = {
    Role.RESIDENT: {"patient", "user"},
    Role.STAFF: {"user"},
    Role.SYSTEM: {"system"},
    Role.OPERATOR: {"system"},
}
LETTERS = "cruds"
IN_ORDER = [
    "".join(each for n, each in enumerate(LETTERS) if number >> n & 1)
    for number in range(1, 32)
]


def extent(
    *scopes: str,
    role: Role = Role.RESIDENT,
    type_: str = "Appointment",
    letter: str = "r",
) -> Extent | None:
    """Return how far scopes reach."""
    return extent_of(scopes, role, type_, letter)


def letters_of(scope: str, role: Role = Role.RESIDENT) -> str:
    """Return the letters that a scope permits for Appointment."""
    return "".join(each for each in LETTERS if extent(scope, role=role, letter=each))


@pytest.mark.parametrize("letters", IN_ORDER)
def test_each_letter_permits_itself(letters: str) -> None:
    """A scope of version 2 permits its letters, and no other one."""
    assert letters_of(f"patient/Appointment.{letters}") == letters


@pytest.mark.parametrize(
    ("word", "letters"), [("read", "rs"), ("write", "cud"), ("*", "cruds")]
)
def test_a_word_of_version_1_permits_its_letters(word: str, letters: str) -> None:
    """SMART App Launch 2.2, "Scopes for requesting clinical data": version 1."""
    assert letters_of(f"patient/Appointment.{word}") == letters


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("context", ["patient", "user", "system"])
def test_a_role_has_its_own_contexts(role: Role, context: str) -> None:
    """A scope of another context than the role's permits nothing."""
    result = extent(f"{context}/Appointment.rs", role=role)

    assert result == (ALL if context in CONTEXTS.get(role, set()) else None)


@pytest.mark.parametrize("asked", TYPES)
@pytest.mark.parametrize("given_type", [*TYPES, "*"])
def test_a_type_is_itself(given_type: str, asked: str) -> None:
    """A scope is about one type, or with `*` about all of today's."""
    result = extent(f"patient/{given_type}.r", type_=asked)

    assert result == (ALL if given_type in ("*", asked) else None)


@pytest.mark.parametrize("asked", ["Patient", "Observation", "Task", "*", ""])
def test_a_star_is_no_later_type(asked: str) -> None:
    """`*` permits no type that this server did not have when it was granted."""
    assert extent("patient/*.cruds", type_=asked) is None


@pytest.mark.parametrize(
    "scope",
    [
        *("", "patient", "patient/", "patient/Appointment", "patient/Appointment."),
        *("patient/Appointment.sr", "patient/Appointment.rr", "patient/Appointment.x"),
        *("patient/Appointment.R", "patient/appointment.r", "Patient/Appointment.r"),
        *(
            "patient/Appointment.r ",
            " patient/Appointment.r",
            "patient/Appointment.r\n",
        ),
        *("patient/Appointment.rread", "patient/Appointment.readwrite"),
        *(
            "patient/Appointment.r?",
            "patient/Appointment.r#",
            "patient/Appointment.r,s",
        ),
        *("patient/Appointment/1.r", "patient/../Appointment.r", "*/Appointment.r"),
        *("patient/Appoint*.r", "patient/**.r", "patient.Appointment.r"),
        *("xpatient/Appointment.r", "patient/AppointmentX.r", "patient/Appointment.ŕ"),
        *("openid", "fhirUser", "launch/patient", "offline_access", "online_access"),
        "patient/" + "A" * 65 + ".r",
        "patient/Appointment.r?" + "a" * 501,
    ],
)
def test_a_malformed_scope_permits_nothing(scope: str) -> None:
    """What is no scope of SMART, or nearly one, permits nothing."""
    assert [letters_of(scope, role) for role in CONTEXTS] == ["", "", "", ""]


def test_a_malformed_scope_harms_no_other() -> None:
    """Other scopes of the token hold."""
    assert extent("patient/Appointment.xyz", "patient/Appointment.r") == ALL


@pytest.mark.parametrize(
    ("query", "statuses"),
    [
        ("status=booked", {"booked"}),
        ("status=booked,pending", {"booked", "pending"}),
        ("status=booked%2Cpending", {"booked", "pending"}),
        ("status=entered-in-error", {"entered-in-error"}),
    ],
)
def test_a_status_narrows_a_scope(query: str, statuses: set[str]) -> None:
    """The one restriction that this server supports."""
    result = extent(f"patient/Appointment.rs?{query}")

    assert result == Extent(frozenset(statuses))


@pytest.mark.parametrize(
    "query",
    [
        *(
            "status=",
            "status",
            "=booked",
            "status=booked&status=pending",
            "&",
            "=",
            "?",
        ),
        *(
            "status=booked&date=ge2026",
            "date=ge2026",
            "status:not=booked",
            "Status=booked",
        ),
        *("status=booked,", "status=,", "status=BOOKED", "status=booked pending"),
        *("status=booked;pending", "status=%00", "status=*", "category=a|b"),
        *("status=b&", "&status=b", "status=b=c", "status=" + "a" * 21),
        "status=" + ",".join("a" * 11),
    ],
)
def test_another_restriction_permits_nothing(query: str) -> None:
    """A scope that is narrowed in an unknown way must not be taken as a wide one."""
    assert extent(f"patient/Appointment.rs?{query}") is None


@pytest.mark.parametrize("type_", ["*", "Slot", "AuditEvent"])
def test_a_status_is_of_appointments_only(type_: str) -> None:
    """A restricted scope of another type, or of all, permits nothing."""
    asked = "Appointment" if type_ == "*" else type_

    assert extent(f"patient/{type_}.rs?status=booked", type_=asked) is None


def test_scopes_of_one_type_add_up() -> None:
    """Two restricted scopes permit both; a wide one beside them permits all."""
    narrow = [f"patient/Appointment.r?status={each}" for each in ("booked", "pending")]

    assert extent(*narrow) == Extent(frozenset({"booked", "pending"}))
    assert extent(*narrow, "user/Appointment.r") == ALL
    assert extent(*narrow, "user/Appointment.s") == Extent(
        frozenset({"booked", "pending"})
    )


_SCOPES = st.builds(
    "{}/{}.{}{}".format,
    st.sampled_from(["patient", "user", "system", "", "*", "launch"]),
    st.sampled_from([*TYPES, "*", "Patient", "appointment", ""]),
    st.sampled_from([*IN_ORDER, "read", "write", "*", "sr", "rr", ""]),
    st.sampled_from(["", "?status=booked", "?status=a,b", "?date=ge2026", "?", "?&"]),
)


@given(
    st.frozensets(_SCOPES | st.text(max_size=40), max_size=6),
    st.sampled_from(Role),
    st.sampled_from([*TYPES, "Patient"]),
    st.sampled_from(LETTERS),
)
@settings(max_examples=examples(500))
def test_a_set_of_scopes_is_the_union_of_its_scopes(
    scopes: frozenset[str], role: Role, type_: str, letter: str
) -> None:
    """No scope makes another one wider or narrower, in any order."""
    each = [extent_of([scope], role, type_, letter) for scope in scopes]
    reached = [one for one in each if one is not None]

    result = extent_of(scopes, role, type_, letter)

    assert result == _union(reached)


def _union(extents: Iterable[Extent]) -> Extent | None:
    """Return how far several extents reach together."""
    found = list(extents)
    if not found:
        return None
    if any(each.statuses is None for each in found):
        return ALL
    return Extent(frozenset().union(*(each.statuses or () for each in found)))


@given(st.text(max_size=60), st.sampled_from(Role))
@settings(max_examples=examples(500))
def test_any_text_permits_nothing(text: str, role: Role) -> None:
    """A text that is no scope permits no letter."""
    if not text.startswith(("patient/", "user/", "system/")):
        assert letters_of(text, role) == ""


@given(st.text(max_size=40))
@settings(max_examples=examples(500))
def test_any_restriction_is_a_status_or_permits_nothing(text: str) -> None:
    """No restriction of any form makes a scope wide, or raises."""
    for query in (text, quote(text), f"status={quote(text)}"):
        result = extent(f"patient/Appointment.rs?{query}")

        assert result is None or result.statuses
