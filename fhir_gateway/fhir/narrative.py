"""
Narrative (FHIR R4, 2.4.0): XHTML for people, of a text and its form.

It consists of the elements below, without attributes besides the address of a link, and
of escaped words. So no markup from outside gets into it (txt-1), and it is never empty
(txt-2). A very long one is left out: the plain words stand elsewhere too, and a client
must be able to send the resource back.
"""

import html
import re
from collections.abc import Iterable
from typing import Any, Final

from fhir_gateway.fhir.primitive import UNSAYABLE
from fhir_gateway.model.formatted_text import Form, FormattedText, Part

__all__ = ["narrative_from_text"]

_ELEMENTS: Final = {
    Form.PARAGRAPH: "p",
    Form.BULLETS: "ul",
    Form.NUMBERS: "ol",
    Form.ITEM: "li",
    Form.TERMS: "dl",
    Form.TERM: "dt",
    Form.MEANING: "dd",
    Form.STRONG: "strong",
    Form.EMPHASIS: "em",
}
# Halves of a surrogate pair: no encoding has them.
_HALVES: Final = re.compile("[\ud800-\udfff]")
_MOST_BYTES: Final = 32_768
_DIV: Final = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'


def narrative_from_text(*texts: str | None) -> dict[str, Any] | None:
    """
    Return the narrative of some texts, one after another.

    None stands for one without any words, and for one that is longer than 32 KiB.

    Args:
        texts: Each has its form where it is a `FormattedText`; otherwise each line of
            it is a paragraph.
    """
    blocks = "".join(_rendered(_parts(text)) for text in texts if text)
    if not blocks or len(blocks.encode()) > _MOST_BYTES:
        return None
    return {"status": "generated", "div": _DIV.format(blocks)}


def _parts(text: str) -> Iterable[Part]:
    if isinstance(text, FormattedText):
        return text.parts
    lines = (line.strip() for line in text.splitlines())
    return [Part(form=Form.PARAGRAPH, content=(line,)) for line in lines if line]


def _rendered(content: Iterable[Part | str]) -> str:
    return "".join(
        _escaped(each) if isinstance(each, str) else _element(each) for each in content
    )


def _element(part: Part) -> str:
    inside = _rendered(part.content)
    if part.form is Form.LINK:
        return f'<a href="{_escaped(part.address or "")}">{inside}</a>'
    name = f"h{part.level}" if part.form is Form.HEADING else _ELEMENTS[part.form]
    return f"<{name}>{inside}</{name}>"


def _escaped(words: str) -> str:
    sayable = _HALVES.sub("\ufffd", UNSAYABLE.sub("\ufffd", words))
    return html.escape(sayable)
