"""
HSA-ids in every form, in URLs, forms, tokens and files.
"""

import re
from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web.guarded import token_for

from fhir_gateway.model.ids import HsaId

from .texts import TEXTS
from .tries import tried
from .world import World, ask

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("watch")]

_STRANGE = st.sampled_from(
    [
        *("SE2321009901-1001", "se2321009901-1001", " SE2321009901-1001 ", "SE*", "*"),
        *("SE2321009901-1001\n", "SE2321009901-1001\0", "SE2321009901_1001", "S" * 32),
        *("SE2321009901-1001' OR 1=1--", "*)(hsaIdentity=*", "SE2321009901-1001&amp;"),
        *("\u017fE2321009901-1001", "SE232100990\u0661-1001", "SE2321009901\u20111001"),
        *(
            "../SE2321009901-1001",
            "SE2321009901-1001/..",
            "SE2321009901-1001?x",
            "-",
            ".",
        ),
        *("<SE>", "SE%00", "SE2321009901-1001#", "SE2321009901-1001;a=1", "A" * 500),
    ]
)
IDS = _STRANGE | TEXTS | st.from_regex(r"[A-Za-z0-9.\- ]{1,40}", fullmatch=True)
_TYPES = st.sampled_from(
    [
        "Location",
        "Organization",
        "HealthcareService",
        "Practitioner",
        "Schedule",
        "Slot",
    ]
)
_PARAMETERS = st.sampled_from(
    [
        *("schedule.actor:Location", "schedule.actor:Practitioner", "schedule"),
        *("schedule.actor:HealthcareService.organization", "location", "organization"),
    ]
)


@given(text=IDS)
@tried("HSA-ids", 0.3)
def test_a_text_is_an_hsa_id_or_is_refused(text: str) -> None:
    """An HSA-id is upper case, and has letters, digits, full stops and hyphens."""
    sound = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.\-]{0,30}", text.strip())
    read = None
    with suppress(ValueError):
        read = HsaId(text)

    assert (read is not None) == bool(sound)
    assert read is None or read == text.strip().upper()


@given(text=IDS, kind=_TYPES)
@tried("HSA-ids", 0.25)
def test_a_read_by_any_hsa_id_is_answered_or_refused(
    world: World, number: str, text: str, kind: str
) -> None:
    """A path with any text is a resource, absent, or refused."""
    inside = quote(text, safe="/*()'&;?#", errors="replace")
    response = ask(world.client("system", number), "GET", f"/fhir/{kind}/{inside}")

    assert response.status_code in (200, 400, 404, 405, 414)


@given(text=IDS, name=_PARAMETERS)
@tried("HSA-ids", 0.25)
def test_a_search_by_any_hsa_id_is_answered_or_refused(
    world: World, number: str, text: str, name: str
) -> None:
    """A reference to any text finds nothing, or is refused."""
    inside = quote(text, safe="", errors="replace")
    kind = "Slot" if name.startswith("schedule") else "HealthcareService"
    response = ask(
        world.client("nobody", number), "GET", f"/fhir/{kind}?{name}={inside}&_count=2"
    )

    assert response.status_code in (200, 400, 414)


@given(
    text=IDS,
    claim=st.sampled_from(
        [
            *("employeeHsaId", "commissionHsaId"),
            *("healthCareUnitHsaId", "healthCareProviderHsaId"),
        ]
    ),
)
@tried("HSA-ids", 0.2)
def test_a_token_of_any_hsa_id_is_staff_or_nobody(
    world: World, text: str, claim: str
) -> None:
    """A nurse with an id that is none may do nothing."""
    token = token_for("staff", **{claim: text})
    response = ask(
        world.guarded.with_token(token), "GET", "/fhir/Organization/SE2321009901"
    )

    sound = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.\-]{0,30}", text.strip())
    assert response.status_code in ((200, 404, 401) if sound else (401, 403))
    assert token not in response.text
