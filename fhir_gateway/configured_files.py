"""
The files that the operator writes: sources, ConceptMaps, issuers, national services.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import structlog

from fhir_gateway.access.issuers import (
    TrustedIssuers,
    WrongIssuers,
    load_issuers,
)
from fhir_gateway.adapters.aggregates import ConfiguredAggregate
from fhir_gateway.adapters.sources import (
    ConfiguredSource,
    WrongSources,
    load_aggregates,
    load_sources,
    source_of_unit,
)
from fhir_gateway.adapters.store_log import (
    LogServiceOptions,
    WrongLogService,
    log_service_options,
)
from fhir_gateway.fhir.concept_map import (
    WrongConceptMap,
    meanings_from_concept_map,
    published_concept_map,
)
from fhir_gateway.fhir.standard_time_types import (
    WrongSupplement,
    supplement_from_file,
)
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.ids import HsaId, SourceName, TimeTypeId
from fhir_gateway.model.principal import Role
from fhir_gateway.model.source import Source
from fhir_gateway.model.timeslot import StandardTimeType
from fhir_gateway.national.engagement_index import (
    EngagementIndexOptions,
    WrongEngagementIndex,
    engagement_index_options,
)
from fhir_gateway.national.service_catalogue import (
    ConfiguredServiceCatalogue,
    WrongServiceCatalogues,
    load_service_catalogues,
)
from fhir_gateway.services.source.directory import TimeTypeMap

__all__ = [
    "WrongFiles",
    "read_aggregates",
    "read_concept_maps",
    "read_engagement_index",
    "read_issuers",
    "read_log_service",
    "read_service_catalogues",
    "read_sources",
    "read_standard_time_types",
]

_log = structlog.get_logger()

# The most units that one line of the log lists.
_MOST_NAMED: Final = 5


class WrongFiles(ValueError):
    """
    A file that a setting names, or a file that it names itself, cannot be used.

    Attributes:
        faults: One sentence each, with the file.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


def read_sources(
    path: Path, vocabulary: Vocabulary, *, is_rehearsal: bool = False
) -> tuple[tuple[ConfiguredSource, ...], TimeTypeMap]:
    """
    Return the sources of a file, and the standard codes of their time types.

    Rows of a ConceptMap about units of another source are left out, and logged.

    Args:
        path: The file.
        vocabulary: Our canonicals.
        is_rehearsal: The file is only checked, so nothing is logged.

    Raises:
        WrongFiles: The file, or a ConceptMap, cannot be used; all faults are listed.
    """
    faults: list[str] = []
    configured: tuple[ConfiguredSource, ...] = ()
    try:
        configured = load_sources(path)
    except WrongSources as error:
        where = _absolute(path)
        faults.extend(f"{where}: {fault}" for fault in error.faults)
        if error.sources:
            faults.extend(_catalogue_faults(path, error.sources))
        maps: Sequence[tuple[Path, Source | None]] = [
            (each, None) for each in error.time_types
        ]
    else:
        maps = [
            (each.time_types, each.source)
            for each in configured
            if each.time_types is not None
        ]
    sources = [each.source for each in configured]
    meanings: dict[tuple[HsaId, TimeTypeId], tuple[StandardTimeType, ...]] = {}
    for path_of_map, source in maps:
        try:
            found = meanings_from_concept_map(path_of_map, vocabulary)
            # Only the map of a unit's own source may map its time types.
            owners = {unit: source_of_unit(sources, unit) for unit, _ in found}
            meanings.update(
                {key: found[key] for key in found if owners[key[0]] == source}
            )
            strange = sorted(unit for unit in owners if owners[unit] != source)
            if source is not None and strange and not is_rehearsal:
                _log.warning(
                    "mapped units left out",
                    source=source.name,
                    units=len(strange),
                    first=strange[:_MOST_NAMED],
                )
        except WrongConceptMap as error:
            faults.extend(error.faults)
    if faults:
        for each in configured:
            each.adapter.close()
        raise WrongFiles(faults)
    return configured, meanings


def read_aggregates(path: Path) -> tuple[ConfiguredAggregate, ...]:
    """
    Return the aggregating services of a file of sources that was read before.

    Raises:
        WrongFiles: The file has changed since, and one cannot be used.
    """
    try:
        return load_aggregates(path)
    except WrongSources as error:
        where = _absolute(path)
        raise WrongFiles([f"{where}: {fault}" for fault in error.faults]) from error


def read_service_catalogues(
    path: Path, configured: Sequence[ConfiguredSource]
) -> tuple[ConfiguredServiceCatalogue, ...]:
    """
    Return the service catalogues of a file of sources that was read before.

    Raises:
        WrongFiles: One cannot be used; all faults are listed.
    """
    try:
        return load_service_catalogues(path, [each.source.name for each in configured])
    except WrongServiceCatalogues as error:
        where = _absolute(path)
        raise WrongFiles([f"{where}: {fault}" for fault in error.faults]) from error


def _catalogue_faults(path: Path, sources: Sequence[str]) -> list[str]:
    """Return the faults of a file's service catalogues, beside other faults of it."""
    names = []
    for each in sources:
        with suppress(ValueError):
            names.append(SourceName(each))
    try:
        load_service_catalogues(path, names)
    except WrongServiceCatalogues as error:
        where = _absolute(path)
        return [f"{where}: {fault}" for fault in error.faults]
    return []


def read_concept_maps(
    configured: Sequence[ConfiguredSource],
    meanings: TimeTypeMap,
    vocabulary: Vocabulary,
) -> tuple[dict[str, Any], ...]:
    """
    Return the ConceptMaps of sources that `read_sources` has read, for clients.

    Raises:
        WrongFiles: A file has changed since, and cannot be read.
    """
    sources = [each.source for each in configured]
    units: dict[Path, set[HsaId]] = {}
    paths = {each.source: each.time_types for each in configured}
    for unit in {unit for unit, _ in meanings}:
        owner = source_of_unit(sources, unit)
        path = None if owner is None else paths[owner]
        if path is not None:
            units.setdefault(path, set()).add(unit)
    published: dict[str, dict[str, Any]] = {}
    for each in configured:
        if each.time_types is None or each.time_types not in units:
            continue
        own = f"time-types-{each.source.name}"
        try:
            resource = published_concept_map(
                each.time_types, units.pop(each.time_types), own, vocabulary
            )
        except WrongConceptMap as error:
            raise WrongFiles(error.faults) from error
        if resource["id"] in published:
            resource["id"] = own
        published[resource["id"]] = resource
    return tuple(published.values())


def read_standard_time_types(path: Path | None) -> dict[str, Any] | None:
    """
    Return the operator's CodeSystem of the standard time types; None without one.

    Raises:
        WrongFiles: The file cannot be used; all faults are listed.
    """
    if path is None:
        return None
    try:
        return supplement_from_file(path)
    except WrongSupplement as error:
        where = _absolute(path)
        raise WrongFiles([f"{where}: {fault}" for fault in error.faults]) from error


def read_issuers(path: Path, *, audience: str) -> TrustedIssuers:
    """
    Return the trusted issuers and the known clients of a file.

    Args:
        path: The file.
        audience: The audience where the file names none.

    Raises:
        WrongFiles: The file cannot be used; all faults are listed.
    """
    try:
        return load_issuers(path, audience=audience)
    except WrongIssuers as error:
        where = _absolute(path)
        raise WrongFiles([f"{where}: {fault}" for fault in error.faults]) from error


def read_log_service(
    path: Path | None, issuers: TrustedIssuers | None
) -> LogServiceOptions | None:
    """
    Return how to reach the log service; None without one.

    Args:
        path: Its file.
        issuers: The trusted issuers; None where none are configured.

    Raises:
        WrongFiles: The file cannot be used, or there is none and an issuer may give
            the role of staff.
    """
    if path is None:
        faults = [
            f"FHIR_GATEWAY_LOG_SERVICE: the issuer {issuer.issuer} may give the role"
            " staff, and each access of staff must reach a log service; name the file"
            " of one, or take staff out of the issuer's roles"
            for issuer in (issuers.issuers if issuers is not None else ())
            if Role.STAFF in issuer.roles
        ]
        if faults:
            raise WrongFiles(faults)
        return None
    try:
        return log_service_options(path)
    except WrongLogService as error:
        where = _absolute(path)
        raise WrongFiles([f"{where}: {fault}" for fault in error.faults]) from error


def read_engagement_index(
    path: Path | None, configured: Sequence[ConfiguredSource]
) -> EngagementIndexOptions | None:
    """
    Return how to reach the engagement index; None without one.

    Args:
        path: Its file.
        configured: The sources.

    Raises:
        WrongFiles: The file cannot be used, or there is none and a source leaves the
            index to this program.
    """
    if path is None:
        faults = [
            f"FHIR_GATEWAY_ENGAGEMENT_INDEX: the source {each.source.name} leaves its"
            " posts in the engagement index to this program; name the file of an"
            f" index, or take engagement_index out of sources.{each.source.name}"
            for each in configured
            if each.source.indexed is not None
        ]
        if faults:
            raise WrongFiles(faults)
        return None
    try:
        return engagement_index_options(path)
    except WrongEngagementIndex as error:
        where = _absolute(path)
        raise WrongFiles([f"{where}: {fault}" for fault in error.faults]) from error


def _absolute(path: Path) -> Path:
    try:
        return path.absolute()
    except FileNotFoundError:
        # The working directory of this process has been removed.
        return path
