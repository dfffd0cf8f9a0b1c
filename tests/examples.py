"""
How many examples hypothesis tries of a property that is dear, or that needs many.
"""

from hypothesis import settings

__all__ = ["examples"]

# What the numbers in the tests are of: the examples of hypothesis's usual profile.
_USUAL = 100


def examples(usual: int) -> int:
    """
    Return how many examples to try: `usual`, and in proportion in other profiles.

    The profile `thorough` (tests/conftest.py) tries a hundred times as many.
    """
    return max(1, usual * settings().max_examples // _USUAL)
