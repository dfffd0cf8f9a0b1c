"""
Bar charts as SVG: small, without scripts, and readable by a screen reader.

Each chart has a title and a description; the page has a table of its numbers too, so
that no colour alone says anything.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

__all__ = ["Series", "bar_chart"]

_WIDTH: Final = 720
_HEIGHT: Final = 300
_LEFT: Final = 56
_RIGHT: Final = 12
_TOP: Final = 16
_BOTTOM: Final = 64
_TICKS: Final = 5
_MOST_LETTERS: Final = 14
# A group with less room than this has a slanted label.
_NARROW: Final = 90
# The axis of a chart with nothing in it.
_LEAST_TOP: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """
    The bars of one colour.

    Attributes:
        title: What they show.
        values: One for each category; None for a hidden one.
        least: Which of them are at least so many.
    """

    title: str
    values: tuple[int | None, ...]
    least: frozenset[int] = frozenset()


def bar_chart(
    name: str,
    title: str,
    about: str,
    categories: Sequence[str],
    series: Sequence[Series],
) -> str:
    """
    Return a chart of bars side by side, one group for each category.

    Args:
        name: The beginning of the ids in it.
        title: Its title.
        about: What it shows, for those who cannot see it.
        categories: The groups, from left to right.
        series: The bars in each group.
    """
    highest = max(
        (value for each in series for value in each.values if value is not None),
        default=0,
    )
    top, step = _axis(highest)
    names = f"{name}-title {name}-about"
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="{names}">',
        f'<title id="{name}-title">{escape(title)}</title>',
        f'<desc id="{name}-about">{escape(about)}</desc>',
    ]
    for value in range(0, top + 1, step):
        y = _y(value, top)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}"'
            f' y2="{y}"/><text class="tick" x="{_LEFT - 8}" y="{y + 4}"'
            f' text-anchor="end">{value}</text>'
        )
    group = (_WIDTH - _LEFT - _RIGHT) / max(1, len(categories))
    bar = group * 0.8 / max(1, len(series))
    for place, category in enumerate(categories):
        left = _LEFT + place * group + group * 0.1
        for number, each in enumerate(series):
            parts.append(
                _bar(each, place, number, left + number * bar, bar, top, category)
            )
        parts.append(_label(category, left + group * 0.4, is_slanted=group < _NARROW))
    parts.append("</svg>")
    return "".join(parts)


def _bar(  # noqa: PLR0917 - a bar has a place, a size and a meaning
    series: Series,
    place: int,
    number: int,
    x: float,
    width: float,
    top: int,
    category: str,
) -> str:
    value = series.values[place]
    if value is None or (value == 0 and place in series.least):
        middle = x + width / 2
        return (
            f'<text class="hidden" x="{middle:.1f}" y="{_y(0, top) - 4}"'
            f' text-anchor="middle">?<title>{escape(category)}, {escape(series.title)}:'
            " hidden</title></text>"
        )
    if value == 0:
        return ""
    y = _y(value, top)
    sign = "at least " if place in series.least else ""
    height = _y(0, top) - y
    return (
        f'<rect class="s{number}" x="{x:.1f}" y="{y}" width="{width * 0.9:.1f}"'
        f' height="{height:.1f}"><title>{escape(category)}, {escape(series.title)}:'
        f" {sign}{value}</title></rect>"
    )


def _label(text: str, x: float, *, is_slanted: bool) -> str:
    short = text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1]}…"
    y = _HEIGHT - _BOTTOM + 18
    turned = f' transform="rotate(-30 {x:.1f} {y})"' if is_slanted else ""
    anchor = "end" if is_slanted else "middle"
    return (
        f'<text class="label" x="{x:.1f}" y="{y}" text-anchor="{anchor}"{turned}>'
        f"{escape(short)}</text>"
    )


def _axis(highest: int) -> tuple[int, int]:
    """Return the top of the axis and the step of its ticks: 1, 2 or 5 times ten."""
    wanted = max(highest, _LEAST_TOP) / _TICKS
    power = 10 ** math.floor(math.log10(wanted))
    step = next(
        int(power * times) for times in (1, 2, 5, 10) if power * times >= wanted
    )
    return math.ceil(max(highest, _LEAST_TOP) / step) * step, step


def _y(value: int, top: int) -> float:
    plot = _HEIGHT - _TOP - _BOTTOM
    return round(_TOP + plot * (1 - value / top), 1)
