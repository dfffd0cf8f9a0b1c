"""
Asks the service catalogues what units can do, from time to time.

A catalogue that is away changes nothing: what it answered last counts until it is too
old, and then nothing is known, which forbids nothing.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from fhir_gateway.model.errors import GatewayError
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.national.service_catalogue import ServiceCatalogue
from fhir_gateway.services.refresh.source_refresh import SourceRefresh

__all__ = ["AskedCatalogue", "CatalogueRefresh"]

_log = structlog.get_logger()

_WAKES_EVERY_S: Final = 1.0
_TRIED_AGAIN_AFTER: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedCatalogue:
    """
    A service catalogue, and whom its answers are for.

    Attributes:
        refreshes: Those of the sources of which it knows the units.
        asked_every: How long its answer counts as new.
        kept: After how long its last answer is forgotten.
    """

    name: SourceName
    catalogue: ServiceCatalogue
    refreshes: Sequence[SourceRefresh]
    asked_every: timedelta
    kept: timedelta


class CatalogueRefresh:
    """
    Keeps what units can do up to date.

    Each worker asks for itself: a source can move from one worker to another.

    Args:
        catalogues: The catalogues.
        clock: Returns the current time.
    """

    def __init__(
        self, catalogues: Sequence[AskedCatalogue], *, clock: Clock = now
    ) -> None:
        self._catalogues = catalogues
        self._clock = clock
        self._due: dict[SourceName, datetime] = {}
        self._units: dict[SourceName, int] = {}
        self._is_away: dict[SourceName, bool] = {}

    def run(self, stop: threading.Event) -> None:
        """Ask until `stop` is set."""
        while not stop.is_set():
            self.run_once()
            stop.wait(_WAKES_EVERY_S)

    def run_once(self) -> None:
        """Ask each catalogue that is due, and forget what is too old."""
        for asked in self._catalogues:
            moment = self._clock()
            units = sum(len(refresh.units) for refresh in asked.refreshes)
            due = self._due.get(asked.name)
            # Units that a source has listed since are asked about at once.
            if due is None or moment >= due or units != self._units.get(asked.name):
                self._units[asked.name] = units
                is_answered = self._ask(asked)
                self._due[asked.name] = moment + (
                    asked.asked_every
                    if is_answered
                    else min(asked.asked_every, _TRIED_AGAIN_AFTER)
                )
            for refresh in asked.refreshes:
                refresh.forget_abilities(moment - asked.kept)

    def close(self) -> None:
        """Close the catalogues."""
        for asked in self._catalogues:
            asked.catalogue.close()

    def _ask(self, asked: AskedCatalogue) -> bool:
        """Ask a catalogue; return whether it answered."""
        units = {refresh.source: refresh.units for refresh in asked.refreshes}
        if not any(units.values()):
            return True
        was_away = self._is_away.get(asked.name)
        try:
            known = asked.catalogue.abilities(
                [unit for of_source in units.values() for unit in of_source]
            )
            version = None if was_away is False else _version(asked.catalogue)
        except GatewayError as error:
            if not was_away:
                _log.warning(
                    "service catalogue is away",
                    catalogue=asked.name,
                    error=error.log_text,
                )
            self._is_away[asked.name] = True
            return False
        asked_at = self._clock()
        for refresh in asked.refreshes:
            refresh.put_abilities(
                {unit: known[unit] for unit in units[refresh.source] if unit in known},
                asked_at,
            )
        if was_away is not False:
            _log.info(
                "service catalogue answers",
                catalogue=asked.name,
                version=version,
                units=len(known),
            )
        self._is_away[asked.name] = False
        return True


def _version(catalogue: ServiceCatalogue) -> str | None:
    """Return the version of what answers there; None where it answers no ping."""
    try:
        return catalogue.version()
    except GatewayError:
        return None
