"""
Outcomes of sources: what is missing or old of one source, and until when that holds.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Final

import numpy as np

from fhir_gateway.model.ids import HsaId, SourceName
from fhir_gateway.model.source import Source, SourceOutcome, SourceProblem
from fhir_gateway.model.timeslot import time_type_token
from fhir_gateway.services.search.offering_index import Numbers
from fhir_gateway.services.search.slot_selection import Selection
from fhir_gateway.services.search.snapshot import Snapshot
from fhir_gateway.services.source.directory import Directory
from fhir_gateway.stores.source_status import SourceStatus

__all__ = [
    "fresh_until",
    "has_been_asked",
    "is_doubtful",
    "lack_of",
    "outcome_of",
    "same_age_until",
    "schedules_lack",
    "staff_lacks",
    "staff_silences",
    "units_lack",
    "well_until",
]

_MINUTE_S: Final = 60


def has_been_asked(
    snapshot: Snapshot, source: Source, units: frozenset[HsaId] | None
) -> bool:
    """Return whether the source has listed time types of all its units, or `units`."""
    directory = snapshot.directory
    if source.name in directory.silent:
        return False
    if units is None:
        return source.name in directory.complete
    return all(
        unit in directory.asked_units
        for unit in units
        if unit in directory.units and directory.units[unit].source == source.name
    )


def is_doubtful(snapshot: Snapshot, name: SourceName) -> bool:
    """Return whether something of a source may be missing, the age of times apart."""
    status = snapshot.statuses.get(name)
    directory = snapshot.directory
    return (
        name not in directory.complete
        or name in snapshot.lacking_sources
        or name in directory.lacking_sources
        or (status is not None and status.failing_since is not None)
    )


def well_until(snapshot: Snapshot, numbers: Numbers, source: Source) -> float:
    """Return until when certainly nothing of a source is missing, in seconds."""
    if is_doubtful(snapshot, source.name):
        return -np.inf
    return fresh_until(snapshot, numbers, source.fresh_for.total_seconds())


def fresh_until(snapshot: Snapshot, numbers: Numbers, fresh_for_s: float) -> float:
    """Return until when all of the time types are fresh, in seconds; never is -inf."""
    if not snapshot.offered[numbers].all():
        return -np.inf
    oldest = float(snapshot.answered_at[numbers].min(initial=np.inf))
    # Never answered is NaN, which is the least of any numbers.
    return -np.inf if np.isnan(oldest) else oldest + fresh_for_s


def outcome_of(
    snapshot: Snapshot,
    selection: Selection,
    numbers: Numbers,
    source: Source,
    moment: datetime,
) -> SourceOutcome | None:
    """Return what is missing of a source in a selection, or how old; None: nothing."""
    status = snapshot.statuses.get(source.name)
    answered_at = snapshot.answered_at[numbers]
    offered = snapshot.offered[numbers]
    missing = int(np.count_nonzero(np.isnan(answered_at)))
    expired = len(numbers) - missing - int(np.count_nonzero(offered))
    oldest = float(answered_at[offered].min()) if offered.any() else None
    problem, detail = None, ""
    is_asked = has_been_asked(snapshot, source, selection.units)
    if is_asked and not len(numbers):
        # It has given its catalogue, and nothing of that fits.
        return None
    if missing or not is_asked:
        problem = SourceProblem.NOT_YET_ASKED
        detail = (
            f"{source.title} has not been asked for all of its times yet; try again"
            " in a minute."
        )
        if status is not None and (
            unanswered := _unanswered(snapshot, selection, status)
        ):
            problem = SourceProblem.UNAVAILABLE
            detail = f"{source.title} does not answer for {unanswered}."
    if status is not None and status.failing_since is not None:
        problem = SourceProblem.UNAVAILABLE
        detail = f"{source.title} does not answer at present."
    elif expired:
        problem = SourceProblem.UNAVAILABLE
        detail = (
            f"{source.title} has not answered for so long that {expired} of its time"
            " types are left out."
        )
    elif problem is None and oldest is not None:
        age = moment.timestamp() - oldest
        if age > source.fresh_for.total_seconds():
            problem = SourceProblem.STALE
            detail = (
                f"{source.title} last answered {int(age // _MINUTE_S)} minutes ago."
            )
    if problem is None:
        return None
    return SourceOutcome(
        source=source.name,
        problem=problem,
        detail=detail,
        since=status.last_answer_at if status else None,
    )


def lack_of(
    snapshot: Snapshot,
    selection: Selection,
    numbers: Numbers,
    source: Source,
) -> SourceOutcome | None:
    """Return what of a source's lists in a selection could not be kept, if anything."""
    directory = snapshot.directory
    time_types = int(np.count_nonzero(snapshot.lacking[numbers]))
    units = sum(
        directory.units[unit].source == source.name for unit in selection.lacking
    )
    # A unit that is known is not the one that is missing.
    has_units_to_miss = selection.units is None or any(
        unit not in directory.units and directory.owner_of(unit) == source.name
        for unit in selection.units
    )
    lacks_units = source.name in directory.lacking_units and has_units_to_miss
    lacking = [
        text
        for text, is_lacking in (
            (f"free times of {time_types} of its time types", time_types),
            (f"time types of {units} of its units", units),
            ("units", lacks_units),
        )
        if is_lacking
    ]
    if not lacking:
        return None
    status = snapshot.statuses.get(source.name)
    return SourceOutcome(
        source=source.name,
        problem=SourceProblem.INCOMPLETE,
        detail=(
            f"{source.title} also lists {' and '.join(lacking)} that this server cannot"
            " read whole; ask the unit for what is not shown here."
        ),
        since=status.last_answer_at if status else None,
    )


def schedules_lack(
    snapshot: Snapshot, selection: Selection, numbers: Numbers, source: Source
) -> SourceOutcome | None:
    """Return what of a source's schedules in a selection nobody may have listed."""
    unlisted = int(np.count_nonzero(np.isnan(snapshot.answered_at[numbers])))
    is_listed = has_been_asked(snapshot, source, selection.units) and not unlisted
    status = snapshot.statuses.get(source.name)
    # It may have new schedules by now, where it has any that fit.
    is_failing = status is not None and status.failing_since is not None
    if is_listed and not (is_failing and len(numbers)):
        return None
    if source.is_live and not is_listed:
        problem = SourceProblem.NOT_ASKED
        detail = (
            f"{source.title} is asked within each search for free times only: schedules"
            " that no such search has found yet are missing."
        )
    elif is_failing:
        problem = SourceProblem.UNAVAILABLE
        detail = f"{source.title} does not answer at present."
    else:
        problem = SourceProblem.NOT_YET_ASKED
        detail = (
            f"{source.title} has not been asked for all of its times yet; try again"
            " in a minute."
        )
    return SourceOutcome(
        source=source.name,
        problem=problem,
        detail=detail,
        since=status.last_answer_at if status else None,
    )


def units_lack(snapshot: Snapshot, source: Source) -> SourceOutcome | None:
    """Return whether a source may have units that this server does not know."""
    status = snapshot.statuses.get(source.name)
    if source.units_from is not None and source.name in snapshot.directory.silent:
        failing = status is not None and status.failing_since is not None
        problem = SourceProblem.UNAVAILABLE if failing else SourceProblem.NOT_YET_ASKED
        detail = f"{source.title} has not said yet which units it has."
    elif source.name in snapshot.directory.lacking_units:
        problem = SourceProblem.INCOMPLETE
        detail = (
            f"{source.title} also lists units that this server cannot read whole; ask"
            " the region for what is not shown here."
        )
    else:
        return None
    return SourceOutcome(
        source=source.name,
        problem=problem,
        detail=detail,
        since=status.last_answer_at if status else None,
    )


def staff_lacks(
    directory: Directory, units: Collection[HsaId] | None
) -> tuple[SourceOutcome, ...]:
    """
    Return which sources list staff who could not be kept.

    Args:
        directory: What the units offer.
        units: The units that can fit; None when any can.
    """
    lacking = directory.lacking_performers
    if units is not None:
        lacking = lacking.intersection(units)
    return tuple(
        SourceOutcome(
            source=source.name,
            problem=SourceProblem.INCOMPLETE,
            detail=(
                f"{source.title} also lists staff of {count} of its units that this"
                " server cannot read whole; ask the unit for who is not shown here."
            ),
        )
        for source in directory.sources
        if (
            count := sum(
                directory.units[unit].source == source.name for unit in lacking
            )
        )
    )


def staff_silences(
    snapshot: Snapshot, units: Collection[HsaId] | None
) -> tuple[SourceOutcome, ...]:
    """
    Return the sources with units that do not answer about their staff.

    Args:
        snapshot: What is known.
        units: The units with relevant staff; None for all units.
    """
    outcomes = []
    for source in snapshot.directory.sources:
        status = snapshot.statuses.get(source.name)
        silent = frozenset(() if status is None else status.silent_staff)
        if units is not None:
            silent = silent.intersection(units)
        if silent:
            outcomes.append(
                SourceOutcome(
                    source=source.name,
                    problem=SourceProblem.UNAVAILABLE,
                    detail=(
                        f"{source.title} does not answer for the staff of"
                        f" {len(silent)} of its units."
                    ),
                )
            )
    return tuple(outcomes)


def _unanswered(snapshot: Snapshot, selection: Selection, status: SourceStatus) -> str:
    """Return the calls that a source has never answered; may be empty."""
    wanted = set(selection.numbers.tolist())
    units, time_types = 0, 0
    for each in status.failing:
        if each.time_type_id is None:
            units += each.unit not in snapshot.directory.asked_units and (
                selection.units is None or each.unit in selection.units
            )
            continue
        number = snapshot.index.number(time_type_token(each.unit, each.time_type_id))
        time_types += number in wanted and bool(np.isnan(snapshot.answered_at[number]))
    counted = (
        (f"{units} of its units", units),
        (f"{time_types} of its time types", time_types),
    )
    return " and ".join(text for text, count in counted if count)


def same_age_until(
    snapshot: Snapshot, numbers: Numbers, source: Source, moment: datetime
) -> float:
    """Return before when a source's times count as equally old, in seconds."""
    oldest = float(
        snapshot.answered_at[numbers[snapshot.offered[numbers]]].min(initial=np.inf)
    )
    fresh_for = source.fresh_for.total_seconds()
    age = moment.timestamp() - oldest
    if age <= fresh_for:
        return float(np.nextafter(oldest + fresh_for, np.inf))
    # A warning has its age in whole minutes.
    return oldest + (age // _MINUTE_S + 1) * _MINUTE_S
