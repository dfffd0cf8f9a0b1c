"""
How the sandbox's population register answers over HTTP.

`adapters/mandate_register.py` describes the exchange.
"""

from typing import Any

from fhir_gateway.model.json_reading import UnreadableJson, read_json
from fhir_gateway.model.person import PersonalIdentityNumber
from fhir_gateway.model.timekeeping import exact_instant_text, instant_from_text
from fhir_gateway.sandbox.population_register import PopulationRegister

__all__ = ["MalformedQuestion", "mandate_answer"]


class MalformedQuestion(ValueError):
    """The question is not in the form of the exchange."""


def mandate_answer(register: PopulationRegister, question: bytes) -> dict[str, Any]:
    """
    Return the answer to a question whether one person may act for another.

    Args:
        register: Knows who may.
        question: The body of the request.

    Raises:
        MalformedQuestion: It is not in the form of the exchange.
    """
    try:
        asked = read_json(question)
        at = instant_from_text(asked["at"])
        actor = PersonalIdentityNumber(asked["actor"])
        subject = PersonalIdentityNumber(asked["subject"])
    except (UnreadableJson, KeyError, TypeError, ValueError):
        raise MalformedQuestion("expected actor, subject and at") from None
    if at is None:
        raise MalformedQuestion("at is no instant")
    mandate = register.mandate(actor, subject, at)
    if mandate is None:
        return {"basis": None}
    answer: dict[str, Any] = {"basis": mandate.basis.value}
    if mandate.valid_until is not None:
        answer["validUntil"] = exact_instant_text(mandate.valid_until)
    return answer
