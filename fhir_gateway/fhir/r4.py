"""
The definitions of FHIR R4: the only import of FHIR classes, and so of a FHIR version.

fhir.resources 8 has no R4 package; its R4B classes have the same elements as R4 for all
types in use here (see docs/adr). This module reads the definitions of elements from
them; `structure.py` checks a client's JSON, since the classes themselves accept more
than FHIR's JSON permits: Python's names for elements, numbers for instants, texts for
numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, get_args, get_origin

from fhir.resources.R4B import (  # noqa: TID251 - the one place
    get_fhir_model_class,
)

__all__ = [
    "ANSWERED",
    "BATCHED",
    "RESOURCES",
    "ElementDefinition",
    "elements_in_order",
    "elements_of",
]

RESOURCES: Final = frozenset(
    {
        *("Appointment", "Parameters", "OperationOutcome"),
        *("Patient", "Practitioner", "PractitionerRole", "RelatedPerson", "Device"),
        *("HealthcareService", "Location", "Organization", "Schedule", "Slot"),
        *("Condition", "Coverage", "Observation", "Procedure", "ServiceRequest"),
        "ImmunizationRecommendation",
    }
)
"""
The types of resources that this server reads: bodies, and the resources in them.

Loading the classes of all 150 types takes seconds, and a client could make every
process do it.
"""

BATCHED: Final = RESOURCES | {"Binary", "Bundle"}
"""The types of resources that a batch holds."""

ANSWERED: Final = RESOURCES | {
    *("AuditEvent", "Bundle", "CapabilityStatement", "CodeSystem", "ConceptMap"),
    *("Endpoint", "ImplementationGuide", "Measure", "MeasureReport", "NamingSystem"),
    "OperationDefinition",
    *("SearchParameter", "StructureDefinition", "TerminologyCapabilities"),
    "ValueSet",
}
"""The types of resources that answers hold: a client may name their elements."""

# Elements of R4B that R4 lacks.
_R4B_TYPES: Final = frozenset({"CodeableReference", "Integer64", "RatioRange"})
# In place of codes that are too many for a table.
_MORE_CODES: Final = frozenset({"+", "etc."})
# Each primitive element has a field like this for its extensions.
_TWIN: Final = "__ext"


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementDefinition:
    """
    R4's definition of an element.

    Attributes:
        type: Its type, as `string` or `HumanName`; `Resource` for any resource.
        is_list: It can be repeated, so that JSON has an array.
        is_required: It must not be left out.
        codes: The codes of its required binding; empty when there is none.
        choice: Its name in FHIRPath where it is one of a choice: `value` of
            `valueString`; else None.
        is_summary: R4 marks it as a part of summaries (Σ).
    """

    type: str
    is_list: bool
    is_required: bool
    codes: frozenset[str]
    choice: str | None
    is_summary: bool

    @property
    def is_primitive(self) -> bool:
        """Return whether it is a text, a number or a boolean in JSON."""
        return self.type[0].islower()


@cache
def elements_of(type_name: str) -> Mapping[str, ElementDefinition]:
    """Return the elements of a type, by their names in JSON."""
    elements = {}
    for name, field in get_fhir_model_class(type_name).model_fields.items():
        said: Any = field.json_schema_extra or {}
        if name.endswith(_TWIN) or not said.get("element_property"):
            continue
        of_type, is_list = _type_of(field.annotation)
        if of_type in _R4B_TYPES:
            continue
        elements[field.alias or name] = ElementDefinition(
            type=of_type,
            is_list=is_list,
            is_required=field.is_required() or bool(said.get("element_required")),
            codes=_codes(said) if of_type == "code" else frozenset(),
            choice=said.get("one_of_many"),
            is_summary=bool(said.get("summary_element_property")),
        )
    return elements


@cache
def elements_in_order(type_name: str) -> Mapping[str, ElementDefinition]:
    """Return the elements of a type in R4's order, which XML needs."""
    elements = elements_of(type_name)
    return {
        name: elements[name]
        for name in get_fhir_model_class(type_name).elements_sequence()
        if name in elements
    }


def _codes(said: Mapping[str, Any]) -> frozenset[str]:
    codes = frozenset(said.get("enum_values", ()))
    return frozenset() if codes & _MORE_CODES else codes


def _type_of(annotation: Any) -> tuple[str, bool]:  # noqa: ANN401 - any annotation
    """Return the type that a field's annotation names, and whether it is a list."""
    is_list = False
    while (origin := get_origin(annotation)) not in (None, Annotated):
        is_list = is_list or origin is list
        # Optional[…]: None stands for an absent element there.
        annotation = next(
            each for each in get_args(annotation) if each is not type(None)
        )
    if origin is Annotated:
        # The last one names the type; the ones before it say how bytes are encoded.
        constraint = annotation.__metadata__[-1]
        name = type(constraint).__name__
        name = {"UuidVersion": "Uuid"}.get(name, name)
        return name[0].lower() + name[1:], is_list
    if annotation is bool:
        return "boolean", is_list
    return annotation.__name__.removesuffix("Type"), is_list
