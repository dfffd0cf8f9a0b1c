"""
No count under five is shown, and none can be computed from what is shown.
"""

from collections.abc import Iterator, Mapping
from itertools import product

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_gateway.services.statistics.disclosure import (
    LEAST_SHOWN,
    Shown,
    ShownSource,
    disclose,
)


def shown(*breakdowns: Mapping[str, int]) -> ShownSource:
    """Return what is shown of a source with these breakdowns."""
    named = {str(number): each for number, each in enumerate(breakdowns)}
    return disclose({"norr": named}).sources["norr"]


@pytest.mark.parametrize(
    ("counts", "result"),
    [
        pytest.param({"a": 5, "b": 7}, {"a": 5, "b": 7}, id="large counts"),
        pytest.param({"a": 9, "b": 0}, {"a": 9}, id="zero"),
        pytest.param(
            {"a": 4, "b": 7, "c": 9}, {"a": None, "b": None, "c": 9}, id="a small one"
        ),
        pytest.param(
            {"a": 4, "b": 7, "c": 7, "d": 8},
            {"a": None, "b": None, "c": None, "d": 8},
            id="equally small others",
        ),
        pytest.param(
            {"a": 1, "b": 2, "c": 6, "d": 8},
            {"a": None, "b": None, "c": None, "d": 8},
            id="two small ones beside larger ones",
        ),
        pytest.param({"a": 4, "b": 4}, {"a": None, "b": None}, id="small ones only"),
    ],
)
def test_small_counts_are_hidden_with_others(
    counts: dict[str, int], result: dict[str, int | None]
) -> None:
    """A count of 1 to 4 is hidden, and so are the smallest of the others."""
    assert shown(counts) == ShownSource(
        total=sum(counts.values()), breakdowns={"0": result}
    )


@pytest.mark.parametrize(
    "breakdowns",
    [
        pytest.param(({"a": 4},), id="a small total"),
        pytest.param(({"a": 4, "b": 0}, {"x": 2, "y": 2}), id="in each breakdown"),
        pytest.param(
            (dict.fromkeys("abcde", 1), {"x": 5}), id="as many counts as the total"
        ),
    ],
)
def test_a_source_with_too_little_is_hidden_as_a_whole(
    breakdowns: tuple[dict[str, int], ...],
) -> None:
    """A small total is hidden, and so is one that would give each count away."""
    assert shown(*breakdowns) == ShownSource(total=None, breakdowns={})


def test_a_total_is_of_what_is_shown() -> None:
    """A hidden source is in no sum."""
    result = disclose({"norr": {"unit": {"a": 9}}, "syd": {"unit": {"b": 3}}})

    assert (result.total, result.is_least) == (9, True)


def test_a_source_without_counts_is_not_there() -> None:
    """Nothing counted is no source."""
    assert disclose({"norr": {"unit": {"a": 0}}}) == Shown(
        total=0, is_least=False, sources={}
    )


_MOST = 12


def _worlds(keys: int) -> Iterator[tuple[int, ...]]:
    return product(range(_MOST + 1), repeat=keys)


@pytest.mark.parametrize("keys", [1, 2, 3])
def test_a_hidden_count_could_be_another(keys: int) -> None:
    """Who knows the rules finds for each hidden count two values that fit, at least."""
    possible: dict[str, list[tuple[int, ...]]] = {}
    for world in _worlds(keys):
        if any(world):
            seen = repr(shown(dict(zip("abc", world, strict=False))))
            possible.setdefault(seen, []).append(world)
    for world in _worlds(keys):
        if not any(world) or max(world) > _MOST - 3:
            # Near the edge the other values would lie beyond it.
            continue
        counts = dict(zip("abc", world, strict=False))
        result = shown(counts)
        alike = possible[repr(result)]
        for place, key in enumerate(counts):
            if result.of("0", key) is None:
                assert len({other[place] for other in alike}) > 1, (world, key)


def test_a_hidden_total_could_be_another() -> None:
    """A hidden total may be each of 1 to 4."""
    assert {repr(shown({"a": total})) for total in range(1, LEAST_SHOWN)} == {
        repr(ShownSource(total=None, breakdowns={}))
    }


_COUNTS = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 30), min_size=1)


@settings(max_examples=examples(200), deadline=None)
@given(_COUNTS)
def test_no_small_count_is_shown(counts: dict[str, int]) -> None:
    """What is shown is zero, or five and more; and hidden ones are never alone."""
    sources = disclose({"norr": {"unit": counts}}).sources
    if not sources:
        return
    result = sources["norr"]
    values = [] if result.total is None else list(result.breakdowns["unit"].values())

    assert all(each is None or each >= LEAST_SHOWN for each in values)
    assert values.count(None) != 1
    assert result.total is None or result.total >= LEAST_SHOWN
