"""
Partial answers: what a client prefers where a source's part is missing.

`Prefer: partial=refuse` asks for all or nothing, `partial=allow` (the default) for what
there is. `Prefer: wait=` (RFC 7240, 4.3) bounds the wait for regions.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from fhir_gateway.fhir.outcome import (
    Issue,
    Problem,
    ProblemKind,
    Severity,
    issue_from_source_outcome,
)
from fhir_gateway.model.error_code import ErrorCode
from fhir_gateway.model.source import SourceOutcome
from fhir_gateway.web.exchange import Preferences, preferences

__all__ = ["check_completeness", "heeded_preferences"]

_RETRY_AFTER_S: Final = "30"
_REFUSED: Final = Issue(
    code="incomplete",
    error_code=ErrorCode.REGION_ANSWERED_IN_PART,
    diagnostics=(
        "Prefer: partial=refuse was sent, and the parts named here are missing: search"
        " again later, or without that preference for what there is."
    ),
    parameter="Prefer",
)


def check_completeness(
    outcomes: Iterable[SourceOutcome], preferred: Preferences | None = None
) -> None:
    """
    Refuse a partial answer, if the client prefers none.

    A part that this server leaves out by design is no reason, and neither is one from a
    cache of a known age.

    Args:
        outcomes: What is missing from the answer.
        preferred: The client's preferences, where they are known already.

    Raises:
        Problem: 503; it names each missing part.
    """
    if not (preferred or preferences()).refuses_partial:
        return
    missing = [
        replace(issue_from_source_outcome(each), severity=Severity.ERROR)
        for each in outcomes
        if each.is_missing
    ]
    if missing:
        raise Problem(
            [_REFUSED, *missing],
            kind=ProblemKind.INCOMPLETE,
            headers={"Retry-After": _RETRY_AFTER_S, **heeded_preferences()},
        )


def heeded_preferences(
    preferred: Preferences | None = None, *, is_live: bool = True
) -> dict[str, str]:
    """
    Return the header that says which preferences a search has heeded.

    Args:
        preferred: The client's preferences, where they are known already.
        is_live: The search ends within `wait=`.
    """
    heeded = (preferred or preferences()).of_search
    if not is_live:
        heeded = ", ".join(
            each for each in heeded.split(", ") if not each.startswith("wait=")
        )
    return {"Preference-Applied": heeded} if heeded else {}
