"""
The log of staff access: queues an entry for each access of an employee to a patient.
"""

from uuid import uuid4

from fhir_gateway.access.policy import Interaction
from fhir_gateway.model.grant import Basis, Grant
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.log_entry import LogActivity, LogEntry
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.principal import Principal
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.stores.log_outbox import LogOutbox

__all__ = ["StaffLog"]


class StaffLog:
    """
    A witness of the gatekeeper, for the national log service.

    Args:
        outbox: Keeps the entries until the service has them.
        clock: Returns the time.
    """

    def __init__(self, outbox: LogOutbox, *, clock: Clock = now) -> None:
        self._outbox = outbox
        self._clock = clock

    def note(
        self,
        principal: Principal,
        interaction: Interaction,
        *,
        subject: PersonalIdentityNumber | None,  # noqa: ARG002 - the grant has it
        booking: str | None,  # noqa: ARG002 - the entry names no booking
        unit: HsaId | None,  # noqa: ARG002 - the employee's own unit stands there
        grant: Grant | None,
    ) -> None:
        """
        Queue an entry durably if the grant is an employee's; else do nothing.

        Raises:
            Unavailable: The entry cannot be queued, so nothing may happen.
        """
        if grant is None or grant.basis is not Basis.STAFF:
            return
        if principal.staff is None:
            # Without a name the log would be worth nothing.
            raise ValueError("a grant of staff has no employee")
        _, letter = interaction.scope
        self._outbox.add(
            LogEntry(
                id=str(uuid4()),
                activity=LogActivity.READ if letter in "rs" else LogActivity.WRITE,
                at=self._clock(),
                staff=principal.staff,
                patient=grant.subject,
            )
        )
