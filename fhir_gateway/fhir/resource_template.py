"""
Resource templates: JSON texts with gaps, much faster to fill than a resource to render.

The ordinary renderer renders one resource with values that no real resource has. These
values become gaps, and the template fills the gaps for each further resource of the
same shape. So a filled template equals the ordinary rendering.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Self

import orjson

__all__ = ["ResourceTemplate", "in_quotes"]


@dataclass(frozen=True, slots=True, eq=False)
class ResourceTemplate:
    """
    The text of a resource with gaps in it.

    Attributes:
        text: The text, with `%s` in its gaps.
        in_order: Puts the values of the gaps in the order of the text.
    """

    text: bytes
    in_order: Callable[[tuple[bytes, ...]], tuple[bytes, ...]]

    @classmethod
    def of(
        cls,
        rendered: Mapping[str, Any],
        gaps: Sequence[str],
        filled: Mapping[str, bytes] | None = None,
    ) -> Self:
        """
        Return the template of a rendered resource.

        Args:
            rendered: It has a value in each gap that it has nowhere else.
            gaps: These values, as they stand in JSON, in the order of the values of
                `render`; one that contains another stands before it.
            filled: Further gaps, and the constant text of each, as it stands in JSON;
                none of these gaps contains another.

        Raises:
            ValueError: Fewer than two gaps were found.
        """
        text = orjson.dumps(rendered).decode()
        constant = {
            gap: value.decode().replace("%", "%%")
            for gap, value in (filled or {}).items()
        }
        every = [*gaps, *constant]
        pieces = re.split("|".join(f"({re.escape(gap)})" for gap in every), text)
        order = []
        template = ""
        for piece in pieces:
            if piece in gaps:
                order.append(gaps.index(piece))
                template += "%s"
            elif piece:
                template += constant.get(piece, piece.replace("%", "%%"))
        if len(order) < 2:  # noqa: PLR2004 - itemgetter gives a tuple from two on
            raise ValueError("a template has two gaps or more")
        return cls(template.encode(), itemgetter(*order))

    def render(self, values: tuple[bytes, ...]) -> bytes:
        """Return the resource with these values, each as it stands in JSON."""
        return self.text % self.in_order(values)


def in_quotes(text: str) -> bytes:
    """Return a text as JSON writes it, without the quotes."""
    return orjson.dumps(str(text))[1:-1]
