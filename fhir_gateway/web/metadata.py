"""
`metadata`: the CapabilityStatement, or the TerminologyCapabilities (FHIR R4, 3.1.0.9).
"""

from typing import Any, Final

from flask import Response, request

from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.web.exchange import begin_read, fhir_response
from fhir_gateway.web.resource import View

__all__ = ["METADATA_MODES", "metadata_view"]

_MODE: Final = "mode"
METADATA_MODES: Final = ("full", "normative", "terminology")
"""The values of `mode` (FHIR R4, 3.1.0.9)."""

# The types that are normative in R4, of those that this server can have.
_NORMATIVE: Final = frozenset(
    {"CodeSystem", "OperationDefinition", "StructureDefinition", "ValueSet"}
)


def metadata_view(statement: dict[str, Any], terminology: dict[str, Any]) -> View:
    """
    Return the view of `metadata`.

    Args:
        statement: The CapabilityStatement.
        terminology: The TerminologyCapabilities.
    """
    by_mode = {
        "full": statement,
        "normative": _normative(statement),
        "terminology": terminology,
    }

    def view() -> Response:
        modes = set(request.args.getlist(_MODE)) - {""} or {"full"}
        described = by_mode.get(modes.pop())
        if described is None or modes:
            raise Problem(
                [
                    Issue(
                        code="value",
                        diagnostics=(
                            f"mode: expected one of {', '.join(METADATA_MODES)},"
                            " given once."
                        ),
                        parameter=_MODE,
                    )
                ],
                kind=ProblemKind.MALFORMED,
            )
        begin_read(described["resourceType"], others=frozenset({_MODE}))
        return fhir_response(described)

    return view


def _normative(statement: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a CapabilityStatement that is normative."""
    (rest,) = statement["rest"]
    kept = [each for each in rest["resource"] if each["type"] in _NORMATIVE]
    return statement | {"rest": [rest | {"resource": kept}]}
