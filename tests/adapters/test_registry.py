"""
Adapters are found under their names in the entry-point group.
"""

from importlib.metadata import entry_points

import pytest

from fhir_gateway.adapters.registry import (
    UnknownAdapter,
    UnusableOptions,
    adapter_factory,
)
from fhir_gateway.adapters.scheduling_1_1 import scheduling_1_1


def test_the_built_in_adapter_is_registered() -> None:
    """scheduling_1_1 stands in the same group as foreign adapters."""
    assert adapter_factory("scheduling_1_1") is scheduling_1_1


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("scheduling_2_0", id="one that is not installed"),
        pytest.param("", id="no name"),
        pytest.param("Scheduling_1_1", id="another case"),
    ],
)
def test_an_unknown_adapter_is_refused(name: str) -> None:
    """A name that nobody registered is refused with those that are installed."""
    with pytest.raises(UnknownAdapter) as raised:
        adapter_factory(name)

    # The chaos test installs adapters of its own for as long as its worker lives.
    installed = {each.name for each in entry_points(group="fhir_gateway.adapters")}
    assert str(raised.value) == (
        f"there is no adapter {name!r}; installed are: {', '.join(sorted(installed))}"
    )


def test_unusable_options_say_all_that_is_wrong() -> None:
    """The message of unusable options has each option with its fault."""
    error = UnusableOptions([("endpoint", "is missing"), ("trust", "is no file")])

    assert str(error) == "endpoint: is missing; trust: is no file"
    assert error.faults == (("endpoint", "is missing"), ("trust", "is no file"))
