"""
The witness that writes the audit trail: no row, no data.

The gatekeeper calls it for each grant and refusal that concerns a person, before
anything of that person is read.
"""

from collections.abc import Callable, Collection

import structlog

from fhir_gateway.access.policy import Interaction
from fhir_gateway.adapters.sources import source_of_unit
from fhir_gateway.model.audit_entry import AuditEntry
from fhir_gateway.model.errors import GatewayError, Party, Unavailable
from fhir_gateway.model.fault_place import fault_place
from fhir_gateway.model.grant import Grant
from fhir_gateway.model.ids import HsaId, SourceName
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.principal import Principal
from fhir_gateway.model.source import Source
from fhir_gateway.stores.audit import AuditStore, NotWritten

__all__ = ["AuditTrail"]

_log = structlog.get_logger()


class AuditTrail:
    """
    Records who was let in, and who was not.

    Args:
        store: Where the rows are.
        sources: The configured sources.
        request_id: Returns the client's name for the present request, if it has one.
    """

    def __init__(
        self,
        store: AuditStore,
        sources: Collection[Source],
        request_id: Callable[[], str | None],
    ) -> None:
        self._store = store
        self._sources = tuple(sources)
        self._request_id = request_id

    def note(
        self,
        principal: Principal,
        interaction: Interaction,
        *,
        subject: PersonalIdentityNumber | None,
        booking: str | None,
        unit: HsaId | None,
        grant: Grant | None,
    ) -> None:
        """
        Record a grant, or a refusal (no grant), durably.

        Args:
            principal: Who asks.
            interaction: What the request is.
            subject: The person whom it concerns; None where nobody has the id.
            booking: Our id of the booking, where the request names one that exists.
            unit: Where the booking is, or where the request wants something done; None
                for a list.
            grant: The grant.

        Raises:
            Unavailable: It cannot be recorded, so nothing may happen.
        """
        self.record(
            AuditEntry(
                principal=principal,
                resource_type=interaction.type,
                interaction=interaction.name,
                basis=None if grant is None else grant.basis,
                subject=subject,
                booking=booking,
                sources=self._sources_asked(interaction, unit, grant),
                request=self._request_id(),
            )
        )

    def record(self, entry: AuditEntry) -> None:
        """
        Store an entry durably.

        Raises:
            Unavailable: It cannot be stored.
        """
        try:
            self._store.append(entry)
        except NotWritten as error:
            cause = error.__cause__ or error
            if isinstance(cause, GatewayError):
                _log.error("audit row not written", error=cause.log_text)
            else:
                _log.error("audit row not written", **fault_place(cause))
            raise Unavailable(
                "The audit trail cannot be written just now, so nothing was read or"
                " done; send the same request again later.",
                party=Party.GATEWAY,
            ) from error

    def _sources_asked(
        self, interaction: Interaction, unit: HsaId | None, grant: Grant | None
    ) -> tuple[SourceName, ...]:
        """Return the sources that a request may ask: a list may ask several."""
        if grant is None or interaction.type != "Appointment":
            return ()
        if unit is None:
            return tuple(
                each.name for each in self._sources if grant.reaches(each.prefixes)
            )
        source = source_of_unit(self._sources, unit)
        return () if source is None else (source.name,)
