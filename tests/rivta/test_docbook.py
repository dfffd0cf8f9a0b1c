"""
A region's text: plain, DocBook or HTML, always plain text in the end.
"""

import pytest
from costs import growth
from examples import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fhir_gateway.rivta.docbook import plain_line, plain_text

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
        pytest.param("Ring <Anna> först", "Ring <Anna> först", id="angle brackets"),
        pytest.param("<Anna> ringer", "<Anna> ringer", id="angle brackets first"),
        pytest.param("<a@b.example>", "<a@b.example>", id="an address of mail"),
        pytest.param("x<y och y>z", "x<y och y>z", id="two comparisons"),
        pytest.param("?a=1&copy=2", "?a=1&copy=2", id="a query"),
        pytest.param("&unknown;", "&unknown;", id="an unknown entity"),
        pytest.param("Rad 1\n\nRad 2", "Rad 1\n\nRad 2", id="an empty line"),
    ],
)
def test_text_that_is_no_docbook_is_left_as_it_is(purpose: str, text: str) -> None:
    """What is no markup, or only looks like it, is shown as it is."""
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
            "",
            id="a program as text",
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
            '<link xlink:href="https://www.1177.se/a">här</link>',
            "Se här (https://www.1177.se/a)",
            id="a link of DocBook 5",
        ),
        pytest.param(
            "<a href='https://www.1177.se/?a=1&amp;b=2'>här</a> nu",
            "Se här (https://www.1177.se/?a=1&b=2) nu",
            id="a link of HTML before more words",
        ),
        pytest.param(
            '<link xlink:href="https://www.1177.se/a">här',
            "Se här (https://www.1177.se/a)",
            id="a link without an end",
        ),
        pytest.param(
            '<ulink url="mailto:vc@prov.example">brev</ulink>',
            "Se brev (mailto:vc@prov.example)",
            id="mail",
        ),
        pytest.param(
            '<ulink url="tel:+4684650040">ring</ulink>',
            "Se ring (tel:+4684650040)",
            id="telephone",
        ),
        pytest.param(
            '<link linkend="a">Läs mer</link>', "Se Läs mer", id="within the text"
        ),
        pytest.param(
            '<ulink url="vbscript:x">Läs mer</ulink>', "Se Läs mer", id="vbscript"
        ),
        pytest.param(
            '<ulink url="https://a b">Läs mer</ulink>', "Se Läs mer", id="a gap"
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
def test_link_shows_its_address_where_that_is_harmless(link: str, text: str) -> None:
    """The address of a link is shown where its scheme is one that runs nothing."""
    assert plain_text(f"<article><para>Se {link}</para></article>") == text


@pytest.mark.parametrize(
    ("purpose", "text"),
    [
        pytest.param(
            "<article><para>Kom&nbsp;fastande</para></article>",
            "Kom fastande",
            id="a named entity",
        ),
        pytest.param(
            "<para>F&ouml;re &#246;ppning &#xF6; &amp; efter</para>",
            "Före öppning ö & efter",
            id="entities of letters",
        ),
        pytest.param(
            "<!DOCTYPE article><article><para>Kom fastande</para></article>",
            "Kom fastande",
            id="a document type",
        ),
        pytest.param(
            '<!DOCTYPE article PUBLIC "-//OASIS//DTD DocBook XML V4.5//EN"'
            ' "http://www.oasis-open.org/docbook/xml/4.5/docbookx.dtd">'
            "<article><para>Kom fastande</para></article>",
            "Kom fastande",
            id="the document type of DocBook 4",
        ),
        pytest.param(
            '<?xml version="1.0"?><?dbfo start?><!-- a --><article><para>Kom<?x?>'
            " fastande</para></article>",
            "Kom fastande",
            id="processing instructions",
        ),
        pytest.param("<article><para>Kom", "Kom", id="markup that breaks off"),
        pytest.param('<para>Kom</para><para x="', "Kom", id="a tag that breaks off"),
        pytest.param("<para>Kom</title> nu</b>", "Kom\nnu", id="ends of nothing"),
        pytest.param("&lt;para&gt;Kom&lt;/para&gt;", "Kom", id="escaped twice"),
        pytest.param(
            "&amp;lt;para&amp;gt;Kom&amp;lt;/para&amp;gt;", "Kom", id="escaped thrice"
        ),
        pytest.param(
            "<db:article xmlns:db='http://docbook.org/ns/docbook'><db:para>Kom"
            "</db:para></db:article>",
            "Kom",
            id="a prefix",
        ),
        pytest.param("Kom<br>nu<br/>genast", "Kom\nnu\ngenast", id="HTML in a text"),
        pytest.param(
            "Rad 1\nRad <b>2</b>\n\nRad 4", "Rad 1\nRad 2\n\nRad 4", id="bold words"
        ),
        pytest.param(
            "<html><head><title>Hej</title><style>p{}</style></head><body><p>Kom<p>nu"
            "</body></html>",
            "Hej\nKom\nnu",
            id="a page of HTML",
        ),
        pytest.param("<p>Kom</p><script>alert(1)</script>", "Kom", id="a script"),
        pytest.param("Kom <script>alert(1)", "Kom", id="a script without end"),
        pytest.param("Kom<img src=x onerror=alert(1)>", "Kom", id="an image"),
        pytest.param("Kom<svg/onload=alert(1)>", "Kom", id="a drawing"),
        pytest.param("Kom<x onclick=alert(1)>", "Kom", id="an unknown element"),
        pytest.param(
            "<kallelse><rad>Kom</rad></kallelse>", "Kom", id="unknown elements"
        ),
        pytest.param(
            "<table><tr><td>Tid</td><td>9.00</td></tr><tr><td>Rum</td><td>4</td></tr>"
            "</table>",
            "Tid 9.00\nRum 4",
            id="a table",
        ),
        pytest.param(
            '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>',
            "&x;",
            id="an external entity",
        ),
        pytest.param(
            '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><a>&b;</a>',
            "&b;",
            id="nested entities",
        ),
        pytest.param("<a>" * 5000 + "x" + "</a>" * 5000, "x", id="deep nesting"),
    ],
)
def test_markup_of_any_kind_becomes_text(purpose: str, text: str) -> None:
    """Of broken, hostile or foreign markup the words are left and nothing else."""
    assert plain_text(purpose) == text


@pytest.mark.parametrize(
    ("name", "line"),
    [
        pytest.param("Dr Ek", "Dr Ek", id="a name"),
        pytest.param("Ek & Ask", "Ek & Ask", id="a sign"),
        pytest.param("<b>Dr</b><br/>Ek", "Dr Ek", id="HTML"),
        pytest.param("Ek &amp; Ask", "Ek & Ask", id="an entity"),
    ],
)
def test_name_becomes_one_line(name: str, line: str) -> None:
    """A name has neither markup nor line breaks of markup."""
    assert plain_line(name) == line


@pytest.mark.parametrize(
    "unit",
    ["<!--", "<a ", '<a "', "<!DOCTYPE[", "<![CDATA[", "<?x", "&amp;", '<a href="'],
)
def test_reading_a_hostile_text_takes_as_long_as_it_is(unit: str) -> None:
    """A text 16 times as long takes about 16 times as long, not 256 times."""
    text = unit * 80_000

    assert growth(lambda length: plain_text(text[:length]), 5_000, 80_000) < 64


@settings(max_examples=examples(300), deadline=None)
@given(st.text(st.sampled_from("<>/!?&;\"'=ab para x\n\ud800é"), max_size=60))
@example("<?xml ?>")
@example("<?xml version='1.0'?>")
def test_any_text_gives_a_text(purpose: str) -> None:
    """Any purpose becomes a text without blanks around."""
    text = plain_text(purpose)

    assert text == text.strip()
    assert plain_text(text) == text


@settings(max_examples=examples(100), deadline=None)
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
    """None of an article's tags is left, however its elements nest."""
    text = plain_text(f"<article>{content}</article>")

    assert "<" not in text
