"""
The sandbox's issuer, as the gateway sees it: its tokens, keys and file of issuers.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import requests

from fhir_gateway.access.identity import Identity
from fhir_gateway.access.issuers import load_issuers
from fhir_gateway.access.key_set import KeySet
from fhir_gateway.model.errors import Unauthenticated
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.principal import Purpose, Role, StaffMember
from fhir_gateway.sandbox.population_register import RESIDENTS, Resident
from fhir_gateway.sandbox.server import SandboxServer
from fhir_gateway.sandbox_sources import write_issuers

AUDIENCE: Final = "https://gateway.example.org/fhir"


@pytest.fixture(name="sandbox")
def _sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(port=0, slots=1_000, audience=AUDIENCE) as server:
        yield server


@pytest.fixture(name="identity")
def _identity(sandbox: SandboxServer, tmp_path: Path) -> Iterator[Identity]:
    path = write_issuers(tmp_path, sandbox.url, AUDIENCE)
    trusted = load_issuers(path, audience="https://another.example.org")
    identity = Identity([KeySet(each) for each in trusted.issuers], trusted.clients)
    identity.start()
    yield identity
    identity.stop()


def demo_token(sandbox: SandboxServer, key: str) -> str:
    """Return a token as a tester gets it with curl."""
    answer = requests.post(f"{sandbox.issuer}/demo-token", data={"as": key}, timeout=10)
    return answer.text.strip()


@pytest.mark.parametrize("resident", RESIDENTS, ids=lambda each: each.key)
def test_a_resident_s_token_names_the_resident(
    sandbox: SandboxServer, identity: Identity, resident: Resident
) -> None:
    """Each ready-made resident is a principal with their own number."""
    principal = identity.principal_of(f"Bearer {demo_token(sandbox, resident.key)}")

    assert (principal.role, principal.number, principal.client) == (
        Role.RESIDENT,
        resident.number,
        "demo-app",
    )
    assert "patient/Appointment.crus" in principal.scopes


def test_a_nurse_s_token_names_the_assignment(
    sandbox: SandboxServer, identity: Identity
) -> None:
    """The nurse is staff, for care, with her unit and provider, and no number."""
    principal = identity.principal_of(f"Bearer {demo_token(sandbox, 'nurse')}")

    assert (principal.role, principal.purpose, principal.number) == (
        Role.STAFF,
        Purpose.TREATMENT,
        None,
    )
    assert principal.staff == StaffMember(
        hsa_id=HsaId("SE2321009901-117701"),
        assignment=HsaId("SE2321009901-117702"),
        unit=HsaId("SE2321009901-1177"),
        provider=HsaId("SE2321009901-0000"),
    )


def test_a_region_s_token_names_its_units(
    sandbox: SandboxServer, identity: Identity
) -> None:
    """The system of Region Norr is at the units of Region Norr alone."""
    principal = identity.principal_of(f"Bearer {demo_token(sandbox, 'region-norr')}")

    assert (principal.role, principal.organisation) == (
        Role.SYSTEM,
        HsaId("SE2321009901-0000"),
    )
    assert principal.is_at(HsaId("SE2321009901-1001"))
    assert not principal.is_at(HsaId("SE2321009902-1001"))


def test_an_operator_s_token_names_nobody(
    sandbox: SandboxServer, identity: Identity
) -> None:
    """The operator has a role, and neither units nor a number."""
    principal = identity.principal_of(f"Bearer {demo_token(sandbox, 'operator')}")

    assert (principal.role, principal.units, principal.number) == (
        Role.OPERATOR,
        (),
        None,
    )


def test_a_token_for_another_gateway_is_refused(
    identity: Identity, tmp_path: Path
) -> None:
    """A sandbox with another audience makes tokens that this gateway refuses."""
    with SandboxServer(port=0, slots=1_000) as another:
        token = demo_token(another, "resident")
        with pytest.raises(Unauthenticated):
            identity.principal_of(f"Bearer {token}")
        trusted = load_issuers(
            write_issuers(tmp_path / "b", another.url, AUDIENCE), audience=AUDIENCE
        )
        own = Identity([KeySet(each) for each in trusted.issuers])
        own.start()
        with pytest.raises(Unauthenticated):
            own.principal_of(f"Bearer {token}")
        own.stop()
