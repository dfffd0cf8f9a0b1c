"""
JSON Patch (RFC 6902) of an Appointment.
"""

import re
from copy import deepcopy
from typing import Any, Final

import jsonpatch
import jsonpointer
import orjson

from fhir_gateway.fhir.limits import MOST_JSON_BYTES, MOST_PATCH_OPERATIONS
from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.fhir.reference import own_id

__all__ = ["apply_patch"]

# RFC 6901, 3.
_POINTER: Final = re.compile(r"(?:/(?:[^~/]|~[01])*+)*+")


def apply_patch(
    appointment: dict[str, Any], operations: object, base_url: str
) -> dict[str, Any]:
    """
    Return an appointment with a JSON Patch (RFC 6902) applied.

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


def _apply(appointment: dict[str, Any], operations: object) -> object:
    if not isinstance(operations, list) or not all(
        isinstance(each, dict) for each in operations
    ):
        raise _not_a_patch()
    if len(operations) > MOST_PATCH_OPERATIONS:
        raise _cannot_apply(f"A patch has at most {MOST_PATCH_OPERATIONS} operations.")
    patched: object = deepcopy(appointment)
    # The region's own texts may be long; a patch may add at most a body's limit.
    most = len(orjson.dumps(appointment)) + MOST_JSON_BYTES
    number = 0
    try:
        for number, operation in enumerate(operations, 1):
            if not all(
                isinstance(pointer, str) and _POINTER.fullmatch(pointer)
                for name, pointer in operation.items()
                if name in ("path", "from")
            ):
                raise _not_a_patch(f" Operation {number} has no path such as /status.")
            patched = jsonpatch.apply_patch(patched, [operation], in_place=True)
            # A few copies of copies would fill the memory.
            if len(orjson.dumps(patched)) > most:
                raise _cannot_apply("The patch makes the appointment too large.")
    except jsonpatch.InvalidJsonPatch as error:
        raise _not_a_patch() from error
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as error:
        raise _cannot_apply(
            f"Operation {number} of the patch does not fit the appointment as it is"
            " now; read it again."
        ) from error
    except (TypeError, ValueError, AttributeError, KeyError, RecursionError) as error:
        raise _not_a_patch() from error
    return patched


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
