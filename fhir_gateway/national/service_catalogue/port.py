"""
The port to a service catalogue (`tjänsteadresseringskatalog`, TAK).
"""

from collections.abc import Collection, Mapping
from typing import Protocol

from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.unit_ability import UnitAbility

__all__ = ["ServiceCatalogue"]


class ServiceCatalogue(Protocol):
    """
    Knows which contracts we may call at which unit.

    What is not known is never a lack: a unit that the catalogue does not know is not in
    the answer, and an ability that could not be read whole counts as there.
    """

    def abilities(
        self, units: Collection[HsaId]
    ) -> Mapping[HsaId, frozenset[UnitAbility]]:
        """
        Return the abilities of those of the units that the catalogue knows.

        Raises:
            Unavailable: It could not be reached, or did not answer in time.
            SourceFault: It answered with a fault, or its answer cannot be read.
        """

    def version(self) -> str:
        """
        Return the version of the component that answers there (PingForConfiguration).

        Raises:
            Unavailable: It could not be reached, or did not answer in time.
            SourceFault: It answered with a fault, or its answer cannot be read.
        """

    def close(self) -> None:
        """Close what it has opened."""
