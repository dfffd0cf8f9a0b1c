"""
What the terminology operations take (FHIR R4, 4.7), and reading a call of them.

Parameters of R4 that are not listed here are refused: they would change the answer.
"""

from collections.abc import Iterable
from typing import Final

from fhir_gateway.fhir.operation_parameters import (
    NUMBERS,
    TEXTS,
    Arguments,
    Given,
    OperationParameter,
)
from fhir_gateway.fhir.standard_time_types import LANGUAGES
from fhir_gateway.fhir.terminology import Coded
from fhir_gateway.fhir.value_set_expansion import Expansion

__all__ = [
    "EXPAND",
    "LOOKUP",
    "SUBSUMES",
    "TRANSLATE",
    "VALIDATE_IN_CODE_SYSTEM",
    "VALIDATE_IN_VALUE_SET",
    "coded_values",
    "expansion",
    "flag",
    "language",
]

_CODING: Final = frozenset({"Coding"})
_CONCEPT: Final = frozenset({"CodeableConcept"})
_FLAG: Final = frozenset({"boolean", "string"})
_MOST_CODES: Final = 50
# R4: an integer has 32 bits.
_MOST_NUMBER: Final = 2**31 - 1


def _of(types: frozenset[str], *names: str) -> tuple[OperationParameter, ...]:
    return tuple(OperationParameter(names=(name,), types=types) for name in names)


EXPAND: Final = (
    *_of(TEXTS, "url", "valueSetVersion", "filter", "displayLanguage"),
    *_of(NUMBERS, "offset", "count"),
    *_of(_FLAG, "includeDesignations", "activeOnly", "excludeNested"),
)
LOOKUP: Final = (
    *_of(TEXTS, "code", "system", "version", "displayLanguage"),
    *_of(_CODING, "coding"),
    OperationParameter(names=("property",), types=TEXTS, most=_MOST_CODES),
)
_VALIDATE: Final = (
    *_of(TEXTS, "url", "code", "display", "displayLanguage"),
    *_of(_CODING, "coding"),
    *_of(_CONCEPT, "codeableConcept"),
)
VALIDATE_IN_CODE_SYSTEM: Final = (*_VALIDATE, *_of(TEXTS, "version"))
VALIDATE_IN_VALUE_SET: Final = (
    *_VALIDATE,
    *_of(TEXTS, "valueSetVersion", "system", "systemVersion"),
)
SUBSUMES: Final = (
    *_of(TEXTS, "codeA", "codeB", "system", "version"),
    *_of(_CODING, "codingA", "codingB"),
)
TRANSLATE: Final = (
    *_of(TEXTS, "url", "conceptMapVersion", "code", "system", "version"),
    *_of(TEXTS, "source", "target", "targetsystem"),
    *_of(_CODING, "coding"),
    *_of(_CONCEPT, "codeableConcept"),
    *_of(_FLAG, "reverse"),
)


def coded_values(
    arguments: Arguments,
    *,
    code: str = "code",
    coding: str = "coding",
    system: str = "system",
    version: str = "version",
    given_system: str | None = None,
    is_one: bool = False,
) -> list[Coded]:
    """
    Return the codes of a call: one, or those of a CodeableConcept.

    The arguments collect the faults: a missing code, two ways of giving one, a code
    without its system.

    Args:
        arguments: Those of the call.
        code: The name of the parameter that is a code.
        coding: The name of the one that is a Coding.
        system: The name of the one with the system of `code`.
        version: The name of the one with the version of that system.
        given_system: The system, where the call names it in another way.
        is_one: The operation takes no CodeableConcept.
    """
    text = arguments.text(code)
    codings = list(arguments.all(coding))
    concepts = [] if is_one else list(arguments.all("codeableConcept"))
    if (text is not None) + len(codings) + len(concepts) != 1:
        names = [code, coding, *([] if is_one else ["codeableConcept"])]
        arguments.fault("required", f"Send one of {', '.join(names)}.")
        return []
    if text is not None:
        found = [
            Coded(
                code=text,
                system=arguments.text(system) or given_system,
                version=arguments.text(version),
                display=arguments.text("display"),
            )
        ]
    else:
        # Beside a system that is named in another way, it is the version of that one.
        of_coding = arguments.text(version) if given_system is None else None
        found = [
            *(
                _from_coding(each.value, given_system, of_coding)
                for each in map(_coding, codings)
            ),
            *(
                _from_coding(each, given_system)
                for concept in concepts
                for each in _codings_of(arguments, concept)
            ),
        ]
    if any(not each.code or not each.system for each in found):
        arguments.fault("required", f"A code needs its system: send {system} too.")
        return []
    return found


def expansion(arguments: Arguments, chosen_language: str) -> Expansion:
    """Return how a client wants an expansion; the arguments collect the faults."""
    # All codes here are active, and no expansion is nested.
    flag(arguments, "activeOnly")
    flag(arguments, "excludeNested")
    return Expansion(
        text=arguments.text("filter"),
        offset=_number(arguments, "offset") or 0,
        count=_number(arguments, "count"),
        language=chosen_language,
        has_designations=flag(arguments, "includeDesignations"),
    )


def flag(arguments: Arguments, name: str) -> bool:
    """Return a boolean parameter; the arguments note a fault for another value."""
    for given in arguments.all(name):
        if given.value in (True, "true"):
            return True
        if given.value not in (False, "false"):
            arguments.fault("value", f"{given.name} must be true or false.", given)
    return False


def language(accepted: Iterable[str]) -> str:
    """
    Return the language of an answer: the first that there are names in.

    Args:
        accepted: Languages (BCP 47), the one that the client likes best first.
    """
    for each in accepted:
        primary = each.partition("-")[0].lower()
        if primary in LANGUAGES:
            return primary
    return LANGUAGES[0]


def _coding(given: Given) -> Given:
    """Return a coding; in a URL it is written as a token, system|code."""
    if not isinstance(given.value, str):
        return given
    system, _, code = given.value.rpartition("|")
    value = {"system": system, "code": code} if system else {"code": code}
    return Given(name=given.name, type="Coding", value=value, where=given.where)


def _codings_of(arguments: Arguments, concept: Given) -> list[dict[str, str]]:
    if isinstance(concept.value, str):
        arguments.fault(
            "value", f"{concept.name} can be sent by POST only, in a body.", concept
        )
        return []
    codings = list(concept.value.get("coding", ()))
    if not 0 < len(codings) <= _MOST_CODES:
        arguments.fault(
            "value", f"{concept.name} must have 1 to {_MOST_CODES} codings.", concept
        )
        return []
    return codings


def _from_coding(
    coding: dict[str, str], given_system: str | None, given_version: str | None = None
) -> Coded:
    return Coded(
        code=coding.get("code", ""),
        system=coding.get("system", given_system),
        version=coding.get("version", given_version),
        display=coding.get("display"),
    )


def _number(arguments: Arguments, name: str) -> int | None:
    for given in arguments.all(name):
        text = str(given.value)
        if text.isascii() and text.isdecimal():
            return min(int(text), _MOST_NUMBER)
        arguments.fault("value", f"{given.name} must be a number, 0 or more.", given)
    return None
