"""
Preconditions: lists of entity tags (RFC 9110, 8.8.3 and 13.1).
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_gateway.web.precondition import EntityTags

_TAG_CHARACTERS = st.characters(
    min_codepoint=0x21, max_codepoint=0xFF, exclude_characters='"\x7f'
).filter(lambda each: ord(each) < 0x7F or ord(each) >= 0x80)
_TAGS = st.text(_TAG_CHARACTERS, max_size=10)
_BLANKS = st.text(" \t", max_size=3)
_MEMBERS = st.one_of(st.just(None), st.tuples(st.sampled_from(["", "W/"]), _TAGS))


@given(st.lists(st.tuples(_BLANKS, _MEMBERS, _BLANKS), min_size=1, max_size=8))
def test_a_list_has_its_tags(
    members: list[tuple[str, tuple[str, str] | None, str]],
) -> None:
    """Weakness, blanks and empty members make no difference; no tag at all is none."""
    written = [
        before + ("" if tag is None else tag[0] + '"' + tag[1] + '"') + after
        for before, tag, after in members
    ]
    header = ",".join(written)
    tags = {tag[1] for _, tag, _ in members if tag is not None}
    marked = ("-gzip", "-br", "-zstd", "-deflate")

    if tags:
        found = EntityTags.parse(header)
        assert all(found.has(tag) for tag in tags if not tag.endswith(marked))
        assert not found.has("never")
    else:
        with pytest.raises(ValueError, match="entity tag"):
            EntityTags.parse(header)


@given(st.text(st.characters(max_codepoint=0xFF), max_size=30))
def test_any_text_is_read_or_refused(header: str) -> None:
    """A text that is not a list raises ValueError, and nothing else."""
    try:
        found = EntityTags.parse(header)
    except ValueError:
        return

    assert found.tags is None or len(found.tags) >= 1


def test_a_star_is_any() -> None:
    """It has every tag, with blanks around it too."""
    assert EntityTags.parse(" * ").has("7")


@pytest.mark.parametrize(
    "tag",
    ['"7"', 'W/"7"', 'W/"7-gzip"', '"7--gzip"', '"7-br"', '"7-zstd"', '"7-deflate"'],
)
def test_what_a_proxy_appends_is_taken_away(tag: str) -> None:
    """The tag of a compressed answer is the tag of the answer."""
    assert EntityTags.parse(tag).tags == {"7"}


@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        ",",
        '"',
        '"7',
        "7",
        'w/"7"',
        'W/ "7"',
        '"7" "8"',
        '"7"x',
        "*,*",
        '*, "7"',
        '"7", *',
        '"a b"',
        '"\x7f"',
        '"7";"8"',
    ],
)
def test_what_is_no_list_is_refused(header: str) -> None:
    """The header is neither a star nor a list of entity tags."""
    with pytest.raises(ValueError, match="entity tag"):
        EntityTags.parse(header)
