"""
The pages that a person sees, in Swedish: plain HTML, which needs no script.
"""

from collections.abc import Iterable
from typing import Final

from flask import render_template_string

from fhir_gateway.sandbox.issuer.persons import Person

__all__ = ["STYLE", "error_page", "login_page"]

STYLE: Final = (
    "body{font:1.1em/1.5 sans-serif;max-width:40em;margin:2em auto;padding:0 1em}"
    "label{display:block;padding:.4em 0}"
    "button{font:inherit;padding:.5em 1.5em;margin:1em 1em 0 0}"
)
"""The style sheet of both pages; the Content-Security-Policy has its hash."""

_HEAD: Final = (
    """<!DOCTYPE html>
<html lang="sv">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>"""
    + STYLE
    + """</style>
</head>
<body>
<main>
<h1>{{ title }}</h1>
"""
)
_FOOT: Final = """</main>
</body>
</html>
"""
_LOGIN: Final = (
    _HEAD
    + """<p>Sandlådan loggar in påhittade personer utan lösenord.
Den får aldrig användas i drift.</p>
<p>Appen <strong>{{ client }}</strong> ber om:
{{ scopes | join(", ") or "det som appar brukar få" }}</p>
<form method="post" action="{{ action }}">
<input type="hidden" name="login" value="{{ login }}">
<fieldset>
<legend>Vem loggar in?</legend>
{% for person in persons -%}
<label><input type="radio" name="as" value="{{ person.key }}"
{%- if loop.first %} checked{% endif %}> {{ person.name }} ({{ person.about }})</label>
{% endfor -%}
</fieldset>
<button type="submit" name="answer" value="yes">Logga in</button>
<button type="submit" name="answer" value="no">Avbryt</button>
</form>
"""
    + _FOOT
)
_ERROR: Final = (
    _HEAD
    + """<p>{{ reason }}</p>
<p>Gå tillbaka till appen och börja om.</p>
"""
    + _FOOT
)


def login_page(
    *,
    action: str,
    login: str,
    client: str,
    scopes: Iterable[str],
    persons: Iterable[Person],
) -> str:
    """
    Return the page on which a tester chooses who logs in.

    Args:
        action: Where the form goes.
        login: The secret of this login.
        client: The id of the program.
        scopes: What it asks for.
        persons: Who can log in.
    """
    return render_template_string(
        _LOGIN,
        title="Logga in i sandlådan",
        action=action,
        login=login,
        client=client,
        scopes=sorted(scopes),
        persons=persons,
    )


def error_page(reason: str) -> str:
    """Return the page for a request that must not be sent back to its program."""
    return render_template_string(
        _ERROR, title="Inloggningen kan inte göras", reason=reason
    )
