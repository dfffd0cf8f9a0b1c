"""
What this server publishes: everything that a search or a read of its documents finds.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_gateway.fhir.endpoint import own_endpoint
from fhir_gateway.fhir.implementation_guide import implementation_guide
from fhir_gateway.fhir.published import (
    PublishedResources,
    examples,
    own_definitions,
    packed,
    r4_definitions,
)
from fhir_gateway.fhir.standard_time_types import (
    SUPPLEMENT,
    VALUE_SET,
    StandardTimeTypes,
)
from fhir_gateway.fhir.vocabulary import Vocabulary

__all__ = ["published_resources"]


def published_resources(
    maps: Sequence[dict[str, Any]],
    *,
    base_url: str,
    vocabulary: Vocabulary,
    supplement: Mapping[str, Any] | None = None,
) -> tuple[PublishedResources, StandardTimeTypes]:
    """
    Return the published resources, and the standard time types among them.

    Args:
        maps: The ConceptMaps of the sources.
        base_url: This server's FHIR base.
        vocabulary: Our canonicals.
        supplement: The operator's CodeSystem of the standard time types; None for ours.
    """
    definitions = list(own_definitions(vocabulary))
    guide = implementation_guide(definitions, examples(vocabulary), vocabulary)
    by_name = {(each["resourceType"], each["id"]): each for each in definitions}
    if supplement is not None:
        ours = by_name["CodeSystem", SUPPLEMENT]
        by_name["CodeSystem", SUPPLEMENT] = {
            **supplement,
            "id": ours["id"],
            "url": ours["url"],
        }
    standard = StandardTimeTypes(by_name["CodeSystem", SUPPLEMENT], maps)
    by_name["ValueSet", VALUE_SET] = standard.value_set(by_name["ValueSet", VALUE_SET])
    resources = PublishedResources(
        map(
            packed,
            (
                *by_name.values(),
                guide,
                own_endpoint(base_url),
                *maps,
                *r4_definitions(),
            ),
        )
    )
    return resources, standard
