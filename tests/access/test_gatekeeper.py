"""
The gatekeeper: what an id of another's and an id of nobody's have in common.
"""

from collections.abc import Callable
from datetime import datetime

import pytest

from fhir_gateway.access.gatekeeper import Gatekeeper
from fhir_gateway.access.policy import Interaction
from fhir_gateway.model.errors import NotFound, Party, Unavailable
from fhir_gateway.model.grant import BookingOwner
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.mandate import Mandate
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.principal import Principal, Purpose, Role

READS_BOOKING = Interaction("Appointment", "read")
READS_RECORD = Interaction("AuditEvent", "read")
OWN = PersonalIdentityNumber("199201172385")
OTHER = PersonalIdentityNumber("201911202388")
RESIDENT = Principal(
    role=Role.RESIDENT,
    number=OWN,
    purpose=Purpose.PATIENT_REQUEST,
    scopes=frozenset({"patient/*.cruds"}),
)

Ask = Callable[[Gatekeeper, PersonalIdentityNumber | None], object]


class Register:
    """Nobody may act for another; it counts its questions, and may be away."""

    def __init__(self, *, is_away: bool = False) -> None:
        self.questions = 0
        self._is_away = is_away

    def mandate(
        self, _actor: PersonalIdentityNumber, _of: PersonalIdentityNumber, _at: datetime
    ) -> Mandate | None:
        """Return None."""
        self.questions += 1
        if self._is_away:
            raise Unavailable("The register is away.", party=Party.GATEWAY)
        return None


def gatekeeper(register: Register, owner: PersonalIdentityNumber | None) -> Gatekeeper:
    """Return a gatekeeper that knows one booking, or none."""
    found = None
    if owner is not None:
        unit = HsaId("SE2321009901-1001")
        found = BookingOwner(number=owner, unit=unit, maker=None, is_hold=False)
    return Gatekeeper(lambda _: found, register, (), is_open_to_anybody=False)


def by_booking(keeper: Gatekeeper, _: PersonalIdentityNumber | None) -> object:
    """Ask for a booking by its id."""
    return keeper.grant_for_booking(RESIDENT, READS_BOOKING, "id")


def by_record(keeper: Gatekeeper, subject: PersonalIdentityNumber | None) -> object:
    """Ask for a record of the audit trail by its id."""
    return keeper.grant_for_record(RESIDENT, READS_RECORD, subject)


@pytest.mark.parametrize("ask", [by_booking, by_record])
@pytest.mark.parametrize("owner", [OTHER, None])
def test_the_register_is_asked_about_anothers_and_about_nobodys(
    ask: Ask, owner: PersonalIdentityNumber | None
) -> None:
    """Both ids cost one question, so that their times are alike."""
    register = Register()

    with pytest.raises(NotFound):
        ask(gatekeeper(register, owner), owner)

    assert register.questions == 1


@pytest.mark.parametrize("ask", [by_booking, by_record])
@pytest.mark.parametrize("owner", [OTHER, None])
def test_a_register_that_is_away_hides_nobodys_id_too(
    ask: Ask, owner: PersonalIdentityNumber | None
) -> None:
    """Both ids are refused alike: an outage shows no id that there is."""
    with pytest.raises(Unavailable):
        ask(gatekeeper(Register(is_away=True), owner), owner)


@pytest.mark.parametrize("ask", [by_booking, by_record])
def test_the_register_is_not_asked_about_oneself(ask: Ask) -> None:
    """One's own is granted also while the register is away."""
    assert ask(gatekeeper(Register(is_away=True), OWN), OWN)
