"""
The terminology operations (FHIR R4, 4.7).

`$translate`, `$expand`, `$lookup`, `$validate-code` and `$subsumes`. Names are in
Swedish or English, as the client's `displayLanguage` or `Accept-Language` asks.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from flask import Response, request

from fhir_gateway.fhir.operation_parameters import (
    Arguments,
    OperationParameter,
    arguments_from_query,
    arguments_from_resource,
)
from fhir_gateway.fhir.outcome import Issue, Problem, ProblemKind
from fhir_gateway.fhir.published import PublishedResource
from fhir_gateway.fhir.search_schema import without_empty
from fhir_gateway.fhir.standard_time_types import LANGUAGES, Concept
from fhir_gateway.fhir.terminology import Coded
from fhir_gateway.fhir.terminology_answer import (
    looked_up,
    subsumed,
    translated,
    validated,
)
from fhir_gateway.fhir.terminology_call import (
    EXPAND,
    LOOKUP,
    SUBSUMES,
    TRANSLATE,
    VALIDATE_IN_CODE_SYSTEM,
    VALIDATE_IN_VALUE_SET,
    coded_values,
    expansion,
    flag,
    language,
)
from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.web.exchange import (
    check_accept,
    fhir_response,
    read_body,
    search_parameters_of_request,
)
from fhir_gateway.web.gateway import Gateway
from fhir_gateway.web.operation.call import refuse_query
from fhir_gateway.web.resource import Handling, OperationRoute, View

__all__ = ["TerminologyOperations"]

_R4: Final = "http://hl7.org/fhir/OperationDefinition"


class TerminologyOperations:
    """
    Answers the terminology operations.

    Args:
        gateway: The services.
        clock: Returns the time.
    """

    def __init__(self, gateway: Gateway, *, clock: Clock = now) -> None:
        self._base_url = gateway.base_url
        self._published = gateway.published
        self._terminology = gateway.terminology
        self._clock = clock

    @property
    def of_type(self) -> dict[str, tuple[OperationRoute, ...]]:
        """Return the operations of each resource type."""
        return {
            "ConceptMap": (_route("ConceptMap", "translate", self.translate),),
            "ValueSet": (
                _route("ValueSet", "expand", self.expand),
                _route("ValueSet", "validate-code", self.validate_in_value_set),
            ),
            "CodeSystem": (
                _route("CodeSystem", "lookup", self.lookup, on_instance=False),
                _route("CodeSystem", "validate-code", self.validate_in_code_system),
                _route("CodeSystem", "subsumes", self.subsumes),
            ),
        }

    def translate(self, id: str | None = None) -> Response:  # noqa: A002 - the name in FHIR's URL
        """Answer `ConceptMap/$translate`."""
        arguments = self._arguments(TRANSLATE)
        codes = coded_values(arguments)
        is_reverse = flag(arguments, "reverse")
        known = self._named("ConceptMap", arguments, id, "conceptMapVersion")
        arguments.check()
        targets = (arguments.text("target"), arguments.text("targetsystem"))
        found = self._terminology.translations(
            *codes,
            map_id=None if known is None else known.id,
            source=arguments.text("source"),
            targets=[each for each in targets if each is not None],
            is_reverse=is_reverse,
        )
        wanted = _language(arguments)
        named = [self._terminology.named(each, wanted) for each in found]
        return _spoken(
            translated([each for each, _ in named], is_reverse=is_reverse),
            wanted,
            (concept for _, concept in named),
        )

    def expand(self, id: str | None = None) -> Response:  # noqa: A002 - the name in FHIR's URL
        """Answer `ValueSet/$expand`."""
        arguments = self._arguments(EXPAND)
        wanted = expansion(arguments, _language(arguments))
        known = self._required("ValueSet", arguments, id, "valueSetVersion")
        arguments.check()
        return _spoken(
            self._terminology.expanded(known, wanted, self._clock()),
            wanted.language,
            (each.concept for each in self._terminology.members(known)),
        )

    def lookup(self) -> Response:
        """Answer `CodeSystem/$lookup`."""
        arguments = self._arguments(LOOKUP)
        codes = coded_values(arguments, is_one=True)
        arguments.check()
        known, concept = self._terminology.lookup(codes[0])
        wanted = _language(arguments)
        properties = {str(each.value) for each in arguments.all("property")}
        return _spoken(looked_up(known, concept, wanted, properties), wanted, [concept])

    def validate_in_code_system(self, id: str | None = None) -> Response:  # noqa: A002 - the name in FHIR's URL
        """Answer `CodeSystem/$validate-code`."""
        arguments = self._arguments(VALIDATE_IN_CODE_SYSTEM)
        system = self._system(arguments, id) or arguments.text("url")
        codes = coded_values(arguments, given_system=system)
        arguments.check()
        if system is not None:
            # A supplement is about the codes of another system.
            named = {system, self._terminology.system(system).url}
            # R4: of a CodeableConcept, the codes of the named system count.
            codes = [each for each in codes if each.system in named]
        return _validated(self._terminology.codes_in_system(codes), arguments)

    def validate_in_value_set(self, id: str | None = None) -> Response:  # noqa: A002 - the name in FHIR's URL
        """Answer `ValueSet/$validate-code`."""
        arguments = self._arguments(VALIDATE_IN_VALUE_SET)
        codes = coded_values(arguments, version="systemVersion")
        known = self._required("ValueSet", arguments, id, "valueSetVersion")
        arguments.check()
        found = [
            (each, self._terminology.code_in_value_set(known, each)) for each in codes
        ]
        return _validated(found, arguments)

    def subsumes(self, id: str | None = None) -> Response:  # noqa: A002 - the name in FHIR's URL
        """Answer `CodeSystem/$subsumes`."""
        arguments = self._arguments(SUBSUMES)
        system = self._system(arguments, id)
        first, second = (
            coded_values(
                arguments,
                code=f"code{letter}",
                coding=f"coding{letter}",
                given_system=system,
                is_one=True,
            )
            for letter in "AB"
        )
        arguments.check()
        outcome = self._terminology.subsumption(first[0], second[0])
        return _spoken(subsumed(outcome), _language(arguments))

    def _system(self, arguments: Arguments, identifier: str | None) -> str | None:
        """Return the code system of a call on an instance, or None."""
        if identifier is None:
            return None
        known = self._required("CodeSystem", arguments, identifier, "version")
        return known.url

    def _required(
        self,
        resource_type: str,
        arguments: Arguments,
        identifier: str | None,
        version: str,
    ) -> PublishedResource:
        """
        Return the resource that a call is about.

        Raises:
            Problem: 400 when the call names none, 404 when there is none such.
        """
        found = self._named(resource_type, arguments, identifier, version)
        if found is None:
            issue = Issue(
                code="required",
                diagnostics=f"Send url: the canonical of a {resource_type}.",
            )
            raise Problem([*arguments.faults, issue], kind=ProblemKind.MALFORMED)
        return found

    def _named(
        self,
        resource_type: str,
        arguments: Arguments,
        identifier: str | None,
        version: str,
    ) -> PublishedResource | None:
        """
        Return the resource that a call is about; None where it names none.

        Raises:
            Problem: 404 when there is none such.
        """
        if identifier is not None:
            for name in ("url", version):
                for given in arguments.all(name):
                    arguments.fault(
                        "value", f"Leave {name} out: the URL has an id.", given
                    )
            found = self._published.find(resource_type, identifier)
        else:
            url = arguments.text("url")
            if url is None:
                return None
            found = self._published.of_canonical(
                resource_type, url, arguments.text(version)
            )
        if found is None:
            arguments.check()
            raise Problem(
                [
                    Issue(
                        code="not-found",
                        diagnostics=(
                            f"This server has no such {resource_type}: a search for"
                            f" {resource_type} finds those that it has."
                        ),
                    )
                ],
                kind=ProblemKind.NOT_FOUND,
            )
        return found

    def _arguments(self, declared: tuple[OperationParameter, ...]) -> Arguments:
        """Return the arguments of the present request, in its query or its body."""
        check_accept()
        if request.method == "POST":
            refuse_query()
            return arguments_from_resource(read_body(), declared, self._base_url)
        given = search_parameters_of_request(is_personal=False)
        names = frozenset(name for each in declared for name in each.names)
        return arguments_from_query(
            without_empty(given, names), declared, self._base_url
        )


def _route(
    resource_type: str, name: str, view: View, *, on_instance: bool = True
) -> OperationRoute:
    return OperationRoute(
        name=name,
        definition=f"{_R4}/{resource_type}-{name}",
        view=view,
        handling=Handling(),
        affects_state=False,
        on_instance=on_instance,
    )


def _language(arguments: Arguments) -> str:
    """Return the language of the names in an answer."""
    asked = arguments.text("displayLanguage")
    return language(request.accept_languages.values() if asked is None else [asked])


def _validated(
    found: Sequence[tuple[Coded, Concept | None]], arguments: Arguments
) -> Response:
    """Answer which of several codes are right."""
    wanted = _language(arguments)
    return _spoken(
        validated(found, wanted), wanted, (each for _, each in found if each)
    )


def _spoken(
    resource: dict[str, Any], wanted: str, named: Iterable[Concept | None] = ()
) -> Response:
    """
    Answer with names in a language.

    Args:
        resource: The answer.
        wanted: The language.
        named: The codes that have names in it; None for one of a unit's own, which its
            source names in Swedish.
    """
    spoken = sorted(
        {
            LANGUAGES[0] if concept is None else concept.spoken(wanted)
            for concept in named
        }
    )
    return fhir_response(
        resource, headers={"Content-Language": ", ".join(spoken) or wanted}
    )
