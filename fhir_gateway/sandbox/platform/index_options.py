"""
How the sandbox's engagement index behaves: who keeps it, and whom it notifies.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

__all__ = ["BadIndexOptions", "IndexOptions", "Subscriber", "index_options_from_json"]

_SUBSCRIBER: Final = {"endpoint", "logical_address"}


class BadIndexOptions(ValueError):
    """The JSON describes no options; the message lists what it may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    """
    Who is notified.

    Attributes:
        endpoint: The URL of its ProcessNotification.
        logical_address: Its HSA-id.
    """

    endpoint: str
    logical_address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexOptions:
    """
    The options.

    Attributes:
        keeping: The names of the regions that keep the index themselves.
        subscribers: Who is notified of all changes from now on.
    """

    keeping: frozenset[str]
    subscribers: tuple[Subscriber, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the options as the sandbox shows them."""
        return {
            "keeping": sorted(self.keeping),
            "subscribers": [
                {"endpoint": each.endpoint, "logical_address": each.logical_address}
                for each in self.subscribers
            ],
        }


def index_options_from_json(
    data: object, present: IndexOptions, regions: Collection[str]
) -> IndexOptions:
    """
    Return the options that a JSON object describes.

    Args:
        data: The object; what it lacks stays as it is.
        present: The present options.
        regions: The names of all regions.

    Raises:
        BadIndexOptions: It describes none.
    """
    if not isinstance(data, Mapping) or not data.keys() <= {"keeping", "subscribers"}:
        raise BadIndexOptions("expected an object with keeping and subscribers")
    keeping = data.get("keeping", sorted(present.keeping))
    if not isinstance(keeping, list) or not all(each in regions for each in keeping):
        raise BadIndexOptions(f"keeping must be a list of {', '.join(sorted(regions))}")
    subscribers = present.subscribers
    if "subscribers" in data:
        listed = data["subscribers"]
        if not isinstance(listed, list) or not all(map(_is_subscriber, listed)):
            raise BadIndexOptions(
                "subscribers must be a list of objects with endpoint, an http URL, and"
                " logical_address"
            )
        subscribers = tuple(Subscriber(**each) for each in listed)
    return IndexOptions(keeping=frozenset(keeping), subscribers=subscribers)


def _is_subscriber(each: object) -> bool:
    return (
        isinstance(each, dict)
        and each.keys() == _SUBSCRIBER
        and all(isinstance(value, str) and value for value in each.values())
        and urlsplit(each["endpoint"]).scheme in ("http", "https")
    )
