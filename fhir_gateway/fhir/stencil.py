"""
Stencils: resources drawn as text, much faster than they are rendered.

A renderer renders a resource once, with values that no real resource has; where they
stand are gaps, and each further resource of that shape is the text with its own values
in the gaps. So what is drawn is what the renderer renders.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Self

import orjson

__all__ = ["Stencil", "in_quotes"]


@dataclass(frozen=True, slots=True, eq=False)
class Stencil:
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
        Return the stencil of what was rendered.

        Args:
            rendered: With a value in each gap that stands nowhere else in it.
            gaps: These values, as they stand in JSON, in the order in which values are
                given when drawing; one that contains another stands before it.
            filled: What stands for all in further gaps, as it stands in JSON; none of
                them contains another.

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
            raise ValueError("a stencil has two gaps or more")
        return cls(template.encode(), itemgetter(*order))

    def drawn(self, values: tuple[bytes, ...]) -> bytes:
        """Return the resource with these values, each as it stands in JSON."""
        return self.text % self.in_order(values)


def in_quotes(text: str) -> bytes:
    """Return a text as it stands within the quotes of JSON."""
    return orjson.dumps(str(text))[1:-1]
