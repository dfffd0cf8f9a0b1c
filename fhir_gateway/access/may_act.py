"""
The port to those who know whether one person may act for another.

Guardians come from the population register, mandates from a service for proxies; no
contract of either is public yet, so an adapter is needed for each. Without one, nobody
acts for another person.
"""

from datetime import datetime
from typing import Protocol

from fhir_gateway.model.mandate import Mandate
from fhir_gateway.model.person import PersonalIdentityNumber

__all__ = ["MayAct", "NobodyElse"]


class MayAct(Protocol):
    """Knows who may act for whom."""

    def mandate(
        self,
        actor: PersonalIdentityNumber,
        subject: PersonalIdentityNumber,
        at: datetime,
    ) -> Mandate | None:
        """
        Return the mandate of one person to act for another at a time.

        None also where nothing is known of one of them, or where one of them has
        protected identity: a caller must not distinguish these.

        Raises:
            Unavailable: It could not be asked.
        """


class NobodyElse:
    """Lets nobody act for another person."""

    def mandate(
        self,
        actor: PersonalIdentityNumber,  # noqa: ARG002 - the Protocol has this parameter
        subject: PersonalIdentityNumber,  # noqa: ARG002 - the Protocol has this parameter
        at: datetime,  # noqa: ARG002 - the Protocol has this parameter
    ) -> Mandate | None:
        """Return None."""
        return None
