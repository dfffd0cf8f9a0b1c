"""
`purpose`: plain text or DocBook, always plain text in the end.
"""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fhir_gateway.rivta.docbook import plain_text

ARTICLE = (
    "<article{}><info><title>Kallelse</title></info><section><title>Inför besöket"
    "</title><para>Kom   fastande.\n Ta med <emphasis>legitimation</emphasis>.</para>"
    "</section></article>"
)
ARTICLE_TEXT = "Kallelse\nInför besöket\nKom fastande. Ta med legitimation."


@pytest.mark.parametrize(
    ("purpose", "text"),
    [
        pytest.param("Kom fastande.", "Kom fastande.", id="a sentence"),
        pytest.param("  Kom\nfastande. \n", "Kom\nfastande.", id="blanks around"),
        pytest.param("", "", id="nothing"),
        pytest.param("Tryck < 60 & > 40", "Tryck < 60 & > 40", id="signs"),
        pytest.param("<3 välkommen", "<3 välkommen", id="a heart"),
        pytest.param("&lt;para&gt;", "&lt;para&gt;", id="escaped twice"),
        pytest.param("<br>", "<br>", id="half of HTML"),
        pytest.param(
            "<article><para>Kom", "<article><para>Kom", id="DocBook that breaks off"
        ),
        pytest.param("<\ud800/>", "<\ud800/>", id="half a surrogate pair"),
        pytest.param(
            "<article>&nbsp;</article>", "<article>&nbsp;</article>", id="an entity"
        ),
    ],
)
def test_text_that_is_no_docbook_is_left_as_it_is(purpose: str, text: str) -> None:
    """Anything that does not parse is plain text."""
    assert plain_text(purpose) == text


@pytest.mark.parametrize(
    "purpose",
    [
        pytest.param(ARTICLE.format(""), id="without namespace"),
        pytest.param(
            ARTICLE.format(' xmlns="http://docbook.org/ns/docbook" version="5.0"'),
            id="with its namespace",
        ),
        pytest.param(
            '<?xml version="1.0" encoding="UTF-8"?>' + ARTICLE.format(""),
            id="with a declaration",
        ),
        pytest.param(
            "<?xml version='1.0' encoding='ISO-8859-1' standalone='yes'?>\n"
            + ARTICLE.format(""),
            id="with the declaration of another encoding",
        ),
        pytest.param(
            '<?xml version="1.0" encoding="UTF-16"?>' + ARTICLE.format(""),
            id="with the declaration of UTF-16",
        ),
        pytest.param(
            ARTICLE.format("") + "<!-- mall 7 -->\n", id="with a trailing comment"
        ),
        pytest.param(
            "\n  " + ARTICLE.format("").replace("><", ">\n  <") + "\n", id="indented"
        ),
        pytest.param(
            ARTICLE.format("")
            .replace("<article", "<Article")
            .replace("</article", "</Article"),
            id="with a capital article",
        ),
    ],
)
def test_docbook_becomes_one_line_for_each_block(purpose: str) -> None:
    """Titles and paragraphs become lines, however the article is dressed."""
    assert plain_text(purpose) == ARTICLE_TEXT


@pytest.mark.parametrize(
    ("purpose", "text"),
    [
        pytest.param(
            "<article><itemizedlist><listitem><para>Ett</para></listitem>"
            "<listitem><para>Två</para></listitem></itemizedlist></article>",
            "Ett\nTvå",
            id="a list of paragraphs",
        ),
        pytest.param(
            "<article><orderedlist><listitem>Ett</listitem><listitem>Två</listitem>"
            "</orderedlist></article>",
            "Ett\nTvå",
            id="a list of bare items",
        ),
        pytest.param(
            "<para>Ta med: <itemizedlist><listitem>kort</listitem></itemizedlist>"
            " och kom i tid.</para>",
            "Ta med:\nkort\noch kom i tid.",
            id="a list inside a paragraph",
        ),
        pytest.param("<article>Bara text</article>", "Bara text", id="bare text"),
        pytest.param("<article/>", "", id="an empty article"),
        pytest.param(
            "<article><para/><para>x</para><para> </para></article>",
            "x",
            id="empty paragraphs",
        ),
        pytest.param(
            "<article><para>a<!-- b -->c</para></article>", "ac", id="a comment"
        ),
        pytest.param(
            "<article><para><![CDATA[<script>alert(1)</script>]]></para></article>",
            "<script>alert(1)</script>",
            id="markup as text",
        ),
        pytest.param(
            "<article><bibliography><title>Läs mer</title></bibliography></article>",
            "Läs mer",
            id="a bibliography",
        ),
    ],
)
def test_docbook_keeps_its_text(purpose: str, text: str) -> None:
    """No text of an article is lost or doubled."""
    assert plain_text(purpose) == text


@pytest.mark.parametrize(
    ("link", "text"),
    [
        pytest.param(
            '<ulink url="https://www.1177.se/a">Läs mer</ulink>',
            "Se Läs mer (https://www.1177.se/a)",
            id="https",
        ),
        pytest.param(
            '<ulink url="http://www.1177.se">Läs mer</ulink>',
            "Se Läs mer (http://www.1177.se)",
            id="http",
        ),
        pytest.param(
            '<ulink url="https://www.1177.se">https://www.1177.se</ulink>',
            "Se https://www.1177.se",
            id="an address as its own text",
        ),
        pytest.param(
            '<ulink url="https://www.1177.se"/>',
            "Se (https://www.1177.se)",
            id="no text",
        ),
        pytest.param('<ulink url="">Läs mer</ulink>', "Se Läs mer", id="no address"),
        pytest.param("<ulink>Läs mer</ulink>", "Se Läs mer", id="no url"),
        pytest.param(
            '<ulink url="javascript:alert(1)">Läs mer</ulink>',
            "Se Läs mer",
            id="javascript",
        ),
        pytest.param(
            '<ulink url="JavaScript://https://x%0aalert(1)">Läs mer</ulink>',
            "Se Läs mer",
            id="javascript that mentions https",
        ),
        pytest.param(
            '<ulink url="data:text/html,x">Läs mer</ulink>', "Se Läs mer", id="data"
        ),
        pytest.param(
            '<ulink url="file:///etc/passwd">Läs mer</ulink>', "Se Läs mer", id="file"
        ),
        pytest.param(
            '<ulink url=" javascript:x">Läs mer</ulink>', "Se Läs mer", id="a blank"
        ),
    ],
)
def test_link_shows_its_address_where_that_is_of_the_web(link: str, text: str) -> None:
    """The address of a link is shown only when it begins with http or https."""
    assert plain_text(f"<article><para>Se {link}</para></article>") == text


@pytest.mark.parametrize(
    "purpose",
    [
        pytest.param(
            '<!DOCTYPE article [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
            "<article>&x;</article>",
            id="an external entity",
        ),
        pytest.param(
            '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><a>&b;</a>',
            id="nested entities",
        ),
        pytest.param("<a>" * 5000 + "</a>" * 5000, id="deep nesting"),
    ],
)
def test_hostile_document_is_left_as_it_is(purpose: str) -> None:
    """What the parser refuses is shown as it came, with nothing expanded."""
    assert plain_text(purpose) == purpose


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("<>/!?&;\"'=ab para x\n\ud800é"), max_size=60))
@example("<?xml ?>")
@example("<?xml version='1.0'?>")
def test_any_text_gives_a_text(purpose: str) -> None:
    """Whatever a purpose holds, it becomes a text without blanks around."""
    text = plain_text(purpose)

    assert text == text.strip()


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.sampled_from(["", "text", " x ", "&amp;", "<ulink url='https://a'/>"]),
        lambda inner: st.builds(
            "<{0}>{1}{2}</{0}>".format,
            st.sampled_from(["para", "title", "section", "listitem", "emphasis"]),
            inner,
            inner,
        ),
    )
)
def test_any_docbook_loses_its_markup(content: str) -> None:
    """Whatever elements an article nests, none of its tags is left."""
    text = plain_text(f"<article>{content}</article>")

    assert "<" not in text
