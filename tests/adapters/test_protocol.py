"""
What every adapter must do, and what some can do besides.
"""

import pytest
from builders import NORR
from doubles import AnsweringAdapter, PlainAdapter

from fhir_gateway.adapters.protocol import (
    ABILITIES,
    ListsUnits,
    SchedulingAdapter,
    ability,
)
from fhir_gateway.adapters.scheduling_1_1 import scheduling_1_1
from fhir_gateway.model.errors import Unsupported
from fhir_gateway.model.scheduling import INTERACTIONS

PLAIN: SchedulingAdapter = PlainAdapter(AnsweringAdapter())
BY_ABILITY = [pytest.param(each, id=each.__name__) for each in ABILITIES]


def test_an_ability_is_found() -> None:
    """An adapter with the ability is returned as one."""
    adapter = AnsweringAdapter()

    assert ability(adapter, ListsUnits) is adapter


@pytest.mark.parametrize("kind", BY_ABILITY)
def test_a_lacking_ability_is_unsupported(kind: type) -> None:
    """What an adapter has no method for cannot be asked of its source."""
    with pytest.raises(Unsupported) as raised:
        ability(PLAIN, kind)

    assert (raised.value.source, raised.value.interaction) == (
        NORR,
        ABILITIES[kind].name,
    )


@pytest.mark.parametrize("kind", BY_ABILITY)
def test_the_built_in_adapter_has_every_ability(kind: type) -> None:
    """crm:scheduling 1.1 has a contract for each of them."""
    adapter = scheduling_1_1(NORR, {"endpoint": "https://norr.example.org"})

    assert isinstance(adapter, kind)


def test_an_ability_is_one_interaction() -> None:
    """Each ability lets the source be asked one thing that others need not know."""
    interactions = list(ABILITIES.values())

    assert sorted(set(interactions), key=str) == sorted(interactions, key=str)
    assert set(interactions) < set(INTERACTIONS)
