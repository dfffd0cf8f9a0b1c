"""
The form of a region's text: its headings, paragraphs, lists and links.
"""

import re
from html import escape

import pytest
from costs import growth
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from fhir_gateway.fhir.narrative import narrative_from_text
from fhir_gateway.model.formatted_text import FormattedText
from fhir_gateway.rivta.docbook import plain_text
from fhir_gateway.rivta.docbook_form import formatted_text

_XHTML = "{http://www.w3.org/1999/xhtml}"
_ALLOWED = {
    *("div", "h2", "h3", "h4", "h5", "h6", "p", "ul", "ol", "li"),
    *("dl", "dt", "dd", "strong", "em", "a"),
}
_SAFE = re.compile(r"(?:https://|mailto:|tel:)[^\s\"'<>\\]+")


def inside(text: str) -> str:
    """Return what is inside the narrative of a text; empty for none."""
    narrative = narrative_from_text(formatted_text(text))
    div = narrative["div"] if narrative else "<div>"
    return div.removeprefix('<div xmlns="http://www.w3.org/1999/xhtml">').removesuffix(
        "</div>"
    )


@pytest.mark.parametrize(
    ("docbook", "xhtml"),
    [
        pytest.param("<para>Hej</para>", "<p>Hej</p>", id="a paragraph"),
        pytest.param(
            "<article><info><title>A</title></info><section><title>B</title><para>c"
            "</para><section><title>D</title></section></section></article>",
            "<h2>A</h2><h2>B</h2><p>c</p><h3>D</h3>",
            id="titles by the depth of their section",
        ),
        pytest.param(
            "<section>" * 9 + "<title>x</title>" + "</section>" * 9,
            "<h6>x</h6>",
            id="a title deep down",
        ),
        pytest.param(
            '<para>a <emphasis role="bold">b</emphasis> <emphasis role="italics">c'
            "</emphasis> <emphasis>d</emphasis></para>",
            "<p>a <strong>b</strong> <em>c</em> <em>d</em></p>",
            id="emphasis",
        ),
        pytest.param(
            '<title><emphasis role="observe">x</emphasis></title>',
            "<h2>x</h2>",
            id="a role that is no typeface",
        ),
        pytest.param(
            '<itemizedlist mark="hyphen"><listitem><para>a</para></listitem>'
            "<listitem>b</listitem></itemizedlist>",
            "<ul><li>a</li><li>b</li></ul>",
            id="bullets",
        ),
        pytest.param(
            "<orderedlist><title>T</title><listitem><para>a</para><para>b</para>"
            "</listitem></orderedlist>",
            "<h2>T</h2><ol><li><p>a</p><p>b</p></li></ol>",
            id="numbers, with a title and two paragraphs in an item",
        ),
        pytest.param(
            "<itemizedlist><listitem>a<itemizedlist><listitem>b</listitem>"
            "</itemizedlist></listitem></itemizedlist>",
            "<ul><li><p>a</p><ul><li>b</li></ul></li></ul>",
            id="a list in a list",
        ),
        pytest.param(
            "<variablelist><varlistentry><term>T</term><listitem><para>m</para>"
            "</listitem></varlistentry></variablelist>",
            "<dl><dt>T</dt><dd>m</dd></dl>",
            id="terms",
        ),
        pytest.param(
            "<itemizedlist>a<listitem>b</listitem></itemizedlist>",
            "<p>a</p><p>b</p>",
            id="a list with words beside its items",
        ),
        pytest.param(
            "<para>a <itemizedlist><listitem>b</listitem></itemizedlist> c</para>",
            "<p>a</p><ul><li>b</li></ul><p>c</p>",
            id="a list inside a paragraph",
        ),
        pytest.param(
            '<ulink url="https://x.se/?a=1&amp;b=2">läs</ulink>',
            '<p><a href="https://x.se/?a=1&amp;b=2">läs</a></p>',
            id="a link",
        ),
        pytest.param(
            '<para>Se <link xlink:href="https://x.se"/>.</para>',
            '<p>Se <a href="https://x.se">https://x.se</a>.</p>',
            id="a link of DocBook 5 without words",
        ),
        pytest.param(
            '<a href="tel:+46-8-123">ring</a> <a href="mailto:a@x.se">skriv</a>',
            '<p><a href="tel:+46-8-123">ring</a> <a href="mailto:a@x.se">skriv</a></p>',
            id="telephone and mail",
        ),
        pytest.param(
            '<para><ulink url="http://x.se">läs</ulink></para>',
            "<p>läs (http://x.se)</p>",
            id="a page that is not encrypted",
        ),
        pytest.param(
            '<para><ulink url="https://1177.se@x.example">läs</ulink></para>',
            "<p>läs</p>",
            id="a name before the host",
        ),
        pytest.param("<kallelse>Kom</kallelse>", "<p>Kom</p>", id="unknown elements"),
        pytest.param(
            "<para>a<script>x</script>b<style>y</style></para>",
            "<p>ab</p>",
            id="program code",
        ),
        pytest.param(
            "<para onclick='x' style='y'>a</para>", "<p>a</p>", id="attributes"
        ),
        pytest.param(
            "&lt;para&gt;a &amp;amp; b&lt;/para&gt;",
            "<p>a &amp; b</p>",
            id="escaped twice",
        ),
        pytest.param(
            "<para>&lt;script&gt;alert(1)&lt;/script&gt; &lt; 3</para>",
            "<p>&lt; 3</p>",
            id="escaped code inside",
        ),
        pytest.param(
            "<?xml version='1.0' encoding='UTF-16'?>\n<!-- mall --><article><para>å"
            "&nbsp;&ouml;</para></article><!-- slut -->",
            "<p>å ö</p>",
            id="a declaration, comments, HTML's names of characters",
        ),
        pytest.param(
            '<para>"\x7f&#x85;\u202e</para>',
            "<p>&quot;\x7f \u202e</p>",
            id="quotation marks",
        ),
    ],
)
def test_docbook_has_a_narrative(docbook: str, xhtml: str) -> None:
    """Each element of the guide's map has its element of XHTML, without attributes."""
    assert inside(docbook) == xhtml


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Kom fastande.", id="a sentence"),
        pytest.param("Ring <b>nu</b>", id="words before markup"),
        pytest.param("", id="nothing"),
        pytest.param("<3 välkommen", id="a heart"),
        pytest.param("<article><para>Kom", id="markup that breaks off"),
        pytest.param("<para>a</title>", id="ends of nothing"),
        pytest.param("<para>&okänd;</para>", id="an unknown entity"),
        pytest.param("<!DOCTYPE a><para>x</para>", id="a document type"),
        pytest.param(
            '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>',
            id="an external entity",
        ),
        pytest.param(
            '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">'
            "]><l>&b;</l>",
            id="entities of entities",
        ),
        pytest.param(
            '<xi:include href="/etc/hostname" parse="text"/>', id="an inclusion"
        ),
        pytest.param("<a>" * 41 + "x" + "</a>" * 41, id="nesting"),
        pytest.param("<a>" * 5000 + "x" + "</a>" * 5000, id="deep nesting"),
        pytest.param("<para>\ud800</para>", id="half a character"),
        pytest.param("<para>\x00</para>", id="a character that XML lacks"),
        pytest.param("<script>x</script>", id="nothing but code"),
        pytest.param("<text></text><para>x</para></text>", id="an end of our own root"),
    ],
)
def test_other_text_keeps_its_plain_words_only(text: str) -> None:
    """What cannot be read as DocBook, or is hostile, has no form."""
    read = formatted_text(text)

    assert (type(read), read) == (str, plain_text(text))


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JavaScript://https://x%0aalert(1)",
        " java\tscript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "//x.example",
        "https://",
        'https://x.se/"onclick="y',
        "https://x.se\\@x.example",
        "https:x.se",
        "#a",
        "mailto:a@x.se?body=x",
        "tel:javascript",
        "\x01https://x.se",
    ],
)
def test_an_address_that_may_harm_is_no_link(address: str) -> None:
    """Only https, mailto and tel, in their plain form, become a link."""
    text = f'<para><ulink url="{escape(address)}">läs</ulink></para>'

    assert "<a" not in inside(text)


_WORDS = st.sampled_from(
    ["a", " b ", "\n", "&amp;", "&lt;b&gt;", "&nbsp;", "<![CDATA[<p>c</p>]]>", "ö"]
)
_NAMES = st.sampled_from(
    [
        *("article", "section", "title", "para", "emphasis", "itemizedlist"),
        *("orderedlist", "listitem", "variablelist", "varlistentry", "term", "ulink"),
        *("script", "style", "img", "form", "iframe", "object", "p", "ul", "li", "b"),
        *("bibliography", "informaltable", "row", "entry", "x", "db:para", "svg"),
    ]
)
_ATTRIBUTES = st.sampled_from(
    [
        "",
        ' url="https://x.se"',
        ' url="javascript:x"',
        " onclick='x'",
        ' role="bold"',
        ' style="x" class="y" id="z"',
        ' href="data:x" src="x"',
        ' xmlns:db="http://docbook.org/ns/docbook"',
    ]
)


def _docbook(names: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return elements in elements, well-formed but seldom valid."""
    return st.recursive(
        _WORDS,
        lambda inner: st.builds(
            lambda name, attributes, parts: (
                f"<{name}{attributes}>{''.join(parts)}</{name}>"
            ),
            names,
            _ATTRIBUTES,
            st.lists(inner, max_size=4),
        ),
        max_leaves=25,
    )


_ARTICLE = _docbook(_NAMES).map(lambda content: f"<article>{content}</article>")
# The plain words of code inside of code are those of HTML, not of XML.
_WITHOUT_CODE = _docbook(
    _NAMES.filter(lambda name: name not in ("script", "style"))
).map(lambda content: f"<article>{content}</article>")
_HOSTILE = st.lists(
    st.one_of(
        _ARTICLE,
        st.sampled_from(
            [
                *("<", ">", "&", "]]>", "<!--", "-->", "<?x", "?>", "<!DOCTYPE a ["),
                *("&#0;", "&#60;", "&amp;lt;", '"', "'", "\x00", "\ud800", "</text>"),
                *("<script>", "</div>", "<img src=x onerror=y>", "\u202e"),
            ]
        ),
        st.text(max_size=5),
    ),
    max_size=12,
).map("".join)


def _checked(text: str) -> etree._Element | None:
    """Return the XHTML of a text, with each of its elements checked."""
    narrative = narrative_from_text(formatted_text(text))
    if narrative is None:
        return None
    root = etree.fromstring(narrative["div"])
    for each in root.iter():
        assert isinstance(each.tag, str)
        assert each.tag.startswith(_XHTML)
        name = each.tag.removeprefix(_XHTML)
        assert name in _ALLOWED
        assert set(each.keys()) == ({"href"} if name == "a" else set())
        assert name != "a" or _SAFE.fullmatch(each.get("href") or "")
    assert "".join(root.itertext()).strip()
    return root


@settings(max_examples=examples(100), deadline=None)
@given(_HOSTILE)
def test_nothing_but_allowed_elements_gets_through(text: str) -> None:
    """Any text has a well-formed narrative of the allowed elements, or none."""
    read = formatted_text(text)

    assert read == plain_text(text)
    _checked(text)


@settings(max_examples=examples(80), deadline=None)
@given(_WITHOUT_CODE)
def test_no_word_is_lost_or_added(text: str) -> None:
    """A narrative has the same letters as the plain words, but for addresses."""
    read = formatted_text(text)
    if not isinstance(read, FormattedText):
        return
    root = _checked(text)

    assert root is not None
    plain = re.sub(r"\(?https://x\.se\)?|\s", "", read)
    shown = re.sub(r"https://x\.se|\s", "", "".join(root.itertext()))
    assert shown == plain


@settings(max_examples=examples(80), deadline=None)
@given(_ARTICLE)
def test_a_paragraph_holds_no_block(text: str) -> None:
    """Paragraphs, headings and links hold lines only, as XHTML demands."""
    root = _checked(text)
    lines = () if root is None else root.iter(*(_XHTML + n for n in ("p", "h2", "a")))

    assert {
        each.tag.removeprefix(_XHTML)
        for line in lines
        for each in line.iterdescendants()
        if isinstance(each.tag, str)
    } <= {"strong", "em", "a"}


@pytest.mark.parametrize(
    "unit", ["<b>x</b>", "<!--", "&lt;", "&amp;", "<a ", "<![CDATA[<]]>", "<p>"]
)
def test_reading_a_hostile_text_takes_as_long_as_it_is(unit: str) -> None:
    """A text 16 times as long takes about 16 times as long, not 256 times."""
    text = f"<para>{unit * 80_000}"

    assert growth(lambda length: formatted_text(text[:length]), 5_000, 80_000) < 64
