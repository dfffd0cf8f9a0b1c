"""
The registry of adapters: the entry-point group `fhir_gateway.adapters`.

Built-in adapters and those of other packages are in the same group. Only the adapters
that the configuration names are loaded.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import Final

from fhir_gateway.adapters.protocol import AdapterFactory, SchedulingAdapter
from fhir_gateway.model.ids import SourceName

__all__ = [
    "UnknownAdapter",
    "UnusableOptions",
    "adapter_factory",
    "adapter_or_faults",
]

_GROUP: Final = "fhir_gateway.adapters"


class UnknownAdapter(LookupError):
    """No installed package has an adapter of that name."""


class UnusableOptions(ValueError):
    """
    An adapter cannot be made from its options.

    Attributes:
        faults: Pairs of an option's name and its fault.
    """

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{name}: {fault}" for name, fault in faults))
        self.faults = tuple(faults)


def adapter_factory(name: str) -> AdapterFactory:
    """
    Return the factory that a package registered under a name.

    Raises:
        UnknownAdapter: No adapter has the name, several have it, or it cannot be
            loaded. The message lists the installed adapters.
    """
    installed = entry_points(group=_GROUP)
    found = [entry_point for entry_point in installed if entry_point.name == name]
    if len(found) != 1:
        names = ", ".join(sorted(entry_point.name for entry_point in installed))
        what = "no adapter" if not found else "more than one adapter"
        raise UnknownAdapter(f"there is {what} {name!r}; installed are: {names}")
    try:
        factory: AdapterFactory = found[0].load()
    except Exception as error:
        # The import of another party's package may raise anything.
        raise UnknownAdapter(
            f"the adapter {name!r} cannot be loaded ({type(error).__name__}): install"
            " its package anew"
        ) from error
    return factory


def adapter_or_faults(
    name: SourceName, adapter: str, options: Mapping[str, object]
) -> tuple[SchedulingAdapter | None, list[str]]:
    """
    Return the adapter that settings name, or None, and the faults.

    Args:
        name: The source.
        adapter: The name of its adapter.
        options: The options of the adapter.
    """
    try:
        factory = adapter_factory(adapter)
        return factory(name, options), []
    except UnknownAdapter as error:
        return None, [f"adapter: {error}"]
    except UnusableOptions as error:
        return None, [f"options.{option}: {fault}" for option, fault in error.faults]
    except Exception as error:  # noqa: BLE001 - a foreign adapter may raise anything
        # The error's text is left out: it may quote an option that is a secret.
        kind = type(error).__name__
        return None, [f"adapter: {adapter} cannot be made of options ({kind})"]
