"""
The search parameters that look codes up: narrower codes, value sets (FHIR R4, 3.1.1.5).
"""

from collections.abc import Iterator
from typing import Any

from marshmallow import ValidationError

from fhir_gateway.fhir.search_parameters import (
    Parameter,
    Token,
    TokenParameter,
    alternatives,
    unescaped,
)
from fhir_gateway.fhir.terminology import Terminology
from fhir_gateway.fhir.vocabulary import SNOMED_CT

__all__ = ["NarrowerParameter", "ValueSetParameter"]

Tokens = tuple[tuple[Token, ...], ...]


class NarrowerParameter(TokenParameter):
    """
    `service-type:below`: groups of codes with those below them.

    Attributes:
        terminology: Knows those; None where no codes are known.
    """

    def __init__(
        self,
        terminology: Terminology | None = None,
        **options: Any,  # noqa: ANN401 - a marshmallow field has options of many types
    ) -> None:
        super().__init__(**options)
        self.terminology = terminology

    def read(self, texts: list[str]) -> Tokens:
        """Return the codes; a unit's own have none below them."""
        return tuple(
            tuple(dict.fromkeys(each for token in group for each in self._kinds(token)))
            for group in super().read(texts)
        )

    def _kinds(self, token: Token) -> Iterator[Token]:
        yield token
        of_snomed_ct = token.code is not None and token.system in (None, SNOMED_CT)
        if self.terminology is not None and token.code is not None and of_snomed_ct:
            for code in sorted(self.terminology.kinds_of(token.code)):
                yield Token(SNOMED_CT, code)


class ValueSetParameter(Parameter[Tokens]):
    """
    `service-type:in`: groups of value sets, each by its canonical or as `ValueSet/id`.

    Attributes:
        terminology: Has the value sets; None where there is none.
    """

    type = "uri"
    has_references = True

    def __init__(
        self,
        terminology: Terminology | None = None,
        **options: Any,  # noqa: ANN401 - a marshmallow field has options of many types
    ) -> None:
        super().__init__(**options)
        self.terminology = terminology

    def read(self, texts: list[str]) -> Tokens:
        """Return the codes of the value sets: one of each group has to fit."""
        return tuple(
            tuple(
                dict.fromkeys(
                    token
                    for canonical in alternatives(text)
                    for token in self._codes(unescaped(canonical))
                )
            )
            for text in texts
        )

    def _codes(self, canonical: str) -> list[Token]:
        members = None
        if self.terminology is not None:
            members = self.terminology.members_of(canonical)
        if members is None:
            raise ValidationError(
                "this server has no such ValueSet with codes of time types; see"
                " /ValueSet for those that it has"
            )
        return [Token(each.system, each.concept.code) for each in members]
