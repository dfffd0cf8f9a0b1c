"""
Patches of an Appointment: JSON Patch (RFC 6902), and FHIRPath Patch (FHIR R4) by it.
"""

import re
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Final

import jsonpatch
import jsonpointer
import orjson

from fhir_gateway.fhir.fhirpath_patch import (
    FhirPathOperation,
    NoFhirPathPatch,
    NotApplicable,
    json_patch_operation,
    operations_from_parameters,
)
from fhir_gateway.fhir.limits import MOST_JSON_BYTES, MOST_PATCH_OPERATIONS
from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.fhir.reference import own_id

__all__ = ["Patch", "apply_patch", "patch_from_body", "shows_contents"]

Patch = Sequence[dict[str, Any] | FhirPathOperation]
"""The operations of a patch, of one of the two kinds."""

# RFC 6901, 3.
_POINTER: Final = re.compile(r"(?:/(?:[^~/]|~[01])*+)*+")


def patch_from_body(body: object, *, is_json_patch: bool) -> Patch:
    """
    Return the patch in a body.

    Raises:
        Problem: 400 when it is not a patch, 422 when it is too long.
    """
    operations: Patch
    if is_json_patch:
        if not isinstance(body, list) or not all(
            isinstance(each, dict) for each in body
        ):
            raise _not_a_patch()
        operations = body
    else:
        try:
            operations = operations_from_parameters(body)
        except NoFhirPathPatch as error:
            raise Problem(
                [
                    Issue(
                        code="structure",
                        diagnostics=f"The body is not a FHIRPath Patch: {error}.",
                    )
                ],
                kind=ProblemKind.MALFORMED,
            ) from error
    if len(operations) > MOST_PATCH_OPERATIONS:
        raise _cannot_apply(f"A patch has at most {MOST_PATCH_OPERATIONS} operations.")
    return operations


def shows_contents(operations: Patch) -> bool:
    """Return whether the outcome of a patch depends on values that it compares."""
    # A copied or moved value is judged as a sent one, so that it can be guessed too.
    return any(
        isinstance(each, dict) and each.get("op") in ("test", "copy", "move")
        for each in operations
    )


def apply_patch(
    appointment: dict[str, Any], operations: Patch, base_url: str
) -> dict[str, Any]:
    """
    Return an appointment with a patch applied.

    When the slot changes, the appointment's own times and actors are removed, so that a
    patch can name the slot alone.

    Raises:
        Problem: 400 when it is not a patch, 422 when it cannot be applied.
    """
    slot = _slot_id(appointment, base_url)
    patched = _apply(appointment, operations)
    if not isinstance(patched, dict):
        raise _cannot_apply("The patch leaves no Appointment.")
    if _slot_id(patched, base_url) not in (None, slot):
        for name in ("start", "end"):
            if patched.get(name) == appointment.get(name):
                patched.pop(name, None)
        participants = patched.get("participant")
        if isinstance(participants, list):
            patched["participant"] = [
                participant
                for participant in participants
                if participant not in appointment["participant"][1:]
            ]
    return patched


def _slot_id(appointment: dict[str, Any], base_url: str) -> str | None:
    """Return the id of the only slot; None without exactly one valid slot."""
    match appointment.get("slot"):
        case [{"reference": str(reference)}]:
            return own_id(reference, "Slot", base_url)
    return None


def _apply(appointment: dict[str, Any], operations: Patch) -> object:
    patched: object = deepcopy(appointment)
    # The region's own texts may be long; a patch may add at most a body's limit.
    most = len(orjson.dumps(appointment)) + MOST_JSON_BYTES
    for number, operation in enumerate(operations, 1):
        patched = (
            _with_fhirpath(patched, operation, number)
            if isinstance(operation, FhirPathOperation)
            else _with_json(patched, operation, number)
        )
        # A few copies of copies would fill the memory.
        if len(orjson.dumps(patched)) > most:
            raise _cannot_apply("The patch makes the appointment too large.")
    return patched


def _with_fhirpath(
    patched: object, operation: FhirPathOperation, number: int
) -> object:
    if not isinstance(patched, dict):
        raise TypeError("a FHIRPath Patch leaves a resource")
    try:
        for each in json_patch_operation(patched, operation):
            patched = jsonpatch.apply_patch(patched, [each], in_place=True)
    except NotApplicable as error:
        raise _cannot_apply(
            f"Operation {number} of the patch cannot be applied: {error}."
        ) from error
    return patched


def _with_json(patched: object, operation: dict[str, Any], number: int) -> object:
    if not all(
        isinstance(pointer, str) and _POINTER.fullmatch(pointer)
        for name, pointer in operation.items()
        if name in ("path", "from")
    ):
        raise _not_a_patch(f" Operation {number} has no path such as /status.")
    try:
        changed: object = jsonpatch.apply_patch(patched, [operation], in_place=True)
    except jsonpatch.InvalidJsonPatch as error:
        raise _not_a_patch() from error
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as error:
        raise _cannot_apply(
            f"Operation {number} of the patch does not fit the appointment as it is"
            " now; read it again."
        ) from error
    except (TypeError, ValueError, AttributeError, KeyError, RecursionError) as error:
        raise _not_a_patch() from error
    return changed


def _not_a_patch(further: str = "") -> Problem:
    return Problem(
        [
            Issue(
                code="structure",
                diagnostics=(
                    "The body is not a JSON Patch: send a list of operations, each with"
                    f" op, path and value (RFC 6902).{further}"
                ),
            )
        ],
        kind=ProblemKind.MALFORMED,
    )


def _cannot_apply(diagnostics: str) -> Problem:
    return Problem(
        [Issue(code="processing", diagnostics=diagnostics)],
        kind=ProblemKind.UNPROCESSABLE,
    )
