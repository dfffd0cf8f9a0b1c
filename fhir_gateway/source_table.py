"""
The output of `fhir-gateway sources`: a table for people, or JSON for programs.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from rich.table import Table

from fhir_gateway.model.timekeeping import instant_text
from fhir_gateway.services.source.source_overview import SourceOverview, SourceState
from fhir_gateway.stores.sightings import LiveSighting

__all__ = ["overview_json", "overview_tables"]

_MOST_SHOWN: Final = 20
_STYLES: Final = {
    SourceState.WELL: "green",
    SourceState.FILLING: "yellow",
    SourceState.AGEING: "yellow",
}


def overview_json(overview: SourceOverview) -> dict[str, Any]:
    """Return the overview of a source, as JSON."""
    source, status, live = overview.source, overview.status, overview.live
    age = overview.age_of_oldest
    found: dict[str, Any] = {
        "source": str(source.name),
        "title": source.title,
        "mode": source.mode.value,
        "state": overview.state.value,
        "oldest_age_s": None if age is None else int(age.total_seconds()),
        "budget_calls_per_minute": overview.calls_a_minute,
        "live": None if live is None else _live_json(live),
        "resident_losses": [
            {
                "interaction": each.interaction.name,
                "reason": each.reason,
                "count": each.count,
            }
            for each in overview.resident_losses
        ],
    }
    if status is None:
        return found
    return found | {
        "worker": status.worker,
        "told_at": _instant(status.reported_at),
        "last_answer_at": _instant(status.last_answer_at),
        "failing_since": _instant(status.failing_since),
        "last_error": status.last_error,
        "oldest_answer_at": _instant(status.oldest_answer_at),
        "calls_last_minute": status.calls_last_minute,
        "slots": status.slots,
        "questions": status.questions,
        "unanswered": status.unanswered,
        "broken": list(status.broken),
        "failing": [
            {
                "unit": str(each.unit),
                "time_type": (
                    None if each.time_type_id is None else str(each.time_type_id)
                ),
                "since": instant_text(each.since),
                "error": each.error,
            }
            for each in status.failing
        ],
        "rejected": dict(status.rejected),
        "losses": [
            {
                "interaction": each.interaction.name,
                "unit": str(each.unit),
                "time_type": (
                    None if each.time_type_id is None else str(each.time_type_id)
                ),
                "reason": each.reason,
                "count": each.count,
                "is_elsewhere": each.is_elsewhere,
            }
            for each in overview.losses
        ],
    }


def _live_json(live: LiveSighting) -> dict[str, Any]:
    return {
        "seen_at": instant_text(live.seen_at),
        "asked": live.asked,
        "unanswered": live.unanswered,
        "failing_since": _instant(live.failing_since),
        "last_error": live.last_error,
    }


def overview_tables(overviews: Sequence[SourceOverview]) -> Iterable[Table]:
    """Yield the table of sources, then those of single failures and of losses."""
    table = Table(title="Sources")
    for heading in ("source", "state", "oldest", "calls/min", "slots"):
        is_text = heading in ("source", "state")
        table.add_column(heading, justify="left" if is_text else "right", no_wrap=True)
    table.add_column("last error", overflow="fold")
    table.add_column("rejected", overflow="fold")
    failing = Table(title="What does not answer")
    for heading in ("source", "unit", "time type", "since", "error"):
        failing.add_column(heading, overflow="fold")
    lost = Table(title="What was left out")
    for heading in ("source", "contract", "unit", "time type", "reason", "items"):
        lost.add_column(heading, overflow="fold")
    for overview in overviews:
        table.add_row(*_cells(overview), style=_STYLES.get(overview.state, "red"))
        status = overview.status
        for each in status.failing[:_MOST_SHOWN] if status else ():
            failing.add_row(
                overview.source.name,
                each.unit,
                each.time_type_id or "what it offers",
                instant_text(each.since),
                each.error,
            )
        for loss in overview.losses[:_MOST_SHOWN]:
            lost.add_row(
                overview.source.name,
                loss.interaction.name,
                loss.unit,
                loss.time_type_id or "",
                loss.reason,
                str(loss.count),
            )
        for seen in overview.resident_losses[:_MOST_SHOWN]:
            lost.add_row(
                overview.source.name,
                seen.interaction.name,
                "",
                "",
                seen.reason,
                str(seen.count),
            )
    yield table
    yield from (each for each in (failing, lost) if each.row_count)


def _cells(overview: SourceOverview) -> tuple[str, ...]:
    status = overview.status
    state = overview.state.value
    if overview.source.is_live:
        state = f"live, {state}"
    if status is None:
        return overview.source.name, state, "", "", "", "", ""
    return (
        overview.source.name,
        state,
        _age(overview.age_of_oldest),
        f"{status.calls_last_minute}/{overview.calls_a_minute:g}",
        str(status.slots),
        overview.last_error or "",
        "\n".join(
            f"{reason}: {count}" for reason, count in sorted(status.rejected.items())
        ),
    )


def _age(age: timedelta | None) -> str:
    if age is None:
        return ""
    minutes, seconds = divmod(int(age.total_seconds()), 60)
    return f"{minutes} min {seconds:02} s"


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else instant_text(instant)
