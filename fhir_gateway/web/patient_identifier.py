"""
`patient.identifier`: the resident of a search, by POST only.
"""

from marshmallow import ValidationError

from fhir_gateway.fhir.patient import number_from_identifier
from fhir_gateway.fhir.search_parameters import Parameter, TokenParameter
from fhir_gateway.model.person import PersonalIdentityNumber

__all__ = ["PatientIdentifier"]


class PatientIdentifier(Parameter[PersonalIdentityNumber]):
    """The personal number of one resident."""

    type = "token"

    def read(self, texts: list[str]) -> PersonalIdentityNumber:
        """Return the number."""
        groups = TokenParameter().read(texts)
        tokens = [token for group in groups for token in group]
        if len(tokens) != 1:
            raise ValidationError("give exactly one")
        (token,) = tokens
        try:
            return number_from_identifier(token.system, token.code or "")
        except ValueError as error:
            raise ValidationError(str(error)) from error
