"""
Every role with every set of scope letters at every route: the whole matrix.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest
from flask.testing import FlaskClient
from web.guarded import token_for
from web.running import OtherPrograms

from fhir_gateway.access.policy import NOTIFY, PUBLIC, SYSTEM, Interaction, row_of
from fhir_gateway.model.principal import Role
from fhir_gateway.web.process_notification import NOTIFICATION_PATH

from .tries import CLASSES, add_tries, is_full
from .world import World, ask, new_world

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("watch")]

_NOBODYS: Final = "11111111-1111-4111-8111-111111111111"
_LETTERS: Final = "cruds"
_SETS: Final = [
    "".join(letter for at, letter in enumerate(_LETTERS) if number >> at & 1)
    for number in range(1, 32)
]
# SMART's contexts: a patient's own, a user's, a system's.
_CONTEXTS: Final = {
    "resident": ("patient", "user"),
    "staff": ("user",),
    "system": ("system",),
    "operator": ("system",),
}
_METHODS: Final = {
    "read": "GET",
    "search-type": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
}
# Version 1, and what permits nothing at all.
_OTHERS: Final = {
    "{context}/{type}.read": "rs",
    "{context}/{type}.write": "cud",
    "{context}/{type}.*": "cruds",
    "{context}/*.cruds": "cruds",
    "{context}/*.*": "cruds",
    "{context}/{other}.cruds": "",
    "{context}/{type}.sdurc": "",
    "{context}/{type}.": "",
    "{context}/{type}.cruds?_tag=x": "",
    "{context}/{type}": "",
    "{wrong}/{type}.cruds": "",
    "{wrong}/*.cruds": "",
    "launch openid fhirUser offline_access": "",
    "": "",
}


@dataclass(frozen=True)
class Case:
    """A role's scopes at a route, and whether they permit it."""

    role: str
    interaction: Interaction
    scope: str
    permits: bool


def cases(interactions: list[Interaction]) -> Iterator[Case]:
    """Yield every combination."""
    for role, contexts in _CONTEXTS.items():
        wrong = "system" if role in ("resident", "staff") else "patient"
        for interaction in interactions:
            type_, letter = interaction.scope
            other = "Slot" if type_ != "Slot" else "Appointment"
            allows = row_of(Role(role), interaction) is not None
            for context in contexts:
                for letters in _SETS:
                    permits = allows and letter in letters
                    scope = f"{context}/{type_}.{letters}"
                    yield Case(role, interaction, scope, permits)
                for form, letters in _OTHERS.items():
                    scope = form.format(
                        context=context, type=type_, other=other, wrong=wrong
                    )
                    yield Case(role, interaction, scope, allows and letter in letters)


def answered(client: FlaskClient, interaction: Interaction) -> int:
    """Use a route; return the status of its answer."""
    method = _METHODS.get(interaction.name, "POST")
    path = f"/fhir/{interaction.type}"
    if interaction.name in ("read", "update", "patch"):
        path += f"/{_NOBODYS}"
    elif interaction == NOTIFY:
        path = NOTIFICATION_PATH
    elif interaction.type == SYSTEM:
        method, path = "GET", f"/fhir/{interaction.name}"
    elif interaction.name.startswith("$"):
        path += f"/{interaction.name}"
    elif (interaction.type, interaction.name) == ("Appointment", "search-type"):
        method, path = "POST", f"{path}/_search"
    return ask(client, method, path).status_code


@pytest.fixture(name="closed", scope="module")
def _closed(
    other_programs: OtherPrograms, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """Give a gateway where also a search needs a token and a scope."""
    folder = tmp_path_factory.mktemp("closed")
    with new_world(other_programs, folder, is_open=False) as closed:
        yield closed


def interactions_of(world: World) -> list[Interaction]:
    """Return everything that depends on who asks, in the same order each time."""
    return sorted(
        set(world.guarded.made.app.interactions.values()) - PUBLIC,
        key=lambda each: (each.type, each.name),
    )


def test_every_scope_of_every_role_at_every_route(closed: World) -> None:
    """A route lets a token in exactly where the policy and a scope of it permit."""
    interactions = interactions_of(closed)
    every = list(cases(interactions))
    (of,) = (each for each in CLASSES if each.name == "scopes")
    # A number that has no divisor with the sizes of the matrix meets all of its parts.
    step = 1 if is_full() else len(every) // of.few | 1
    wrong = []
    for case in every[::step]:
        token = token_for(
            case.role,
            "191212121212" if case.role == "resident" else None,
            scope=case.scope,
        )
        status = answered(closed.guarded.with_token(token), case.interaction)
        # A certificate opens it, and no token does.
        refusal = 401 if case.interaction == NOTIFY else 403
        if status != refusal if not case.permits else status in (401, 403):
            wrong.append((case, status))
        add_tries("scopes")

    assert wrong == []


def test_documents_are_open_to_all(closed: World) -> None:
    """No token is needed for a document, and a wrong one does not matter."""
    of_documents = sorted(PUBLIC, key=lambda each: (each.type, each.name))
    wrong = [
        (interaction, client)
        for interaction in of_documents
        for client in (closed.guarded.client(), closed.guarded.with_token("wrong"))
        if answered(client, interaction) in (401, 403)
    ]

    assert wrong == []


@pytest.mark.parametrize("is_open", [True, False])
def test_nobody_has_open_data_at_most(
    world: World, closed: World, *, is_open: bool
) -> None:
    """Without a token a route is open where the policy and the operator say so."""
    gateway = world if is_open else closed
    client = gateway.guarded.client()
    wrong = []
    for interaction in interactions_of(gateway):
        permits = is_open and row_of(Role.ANYBODY, interaction) is not None
        status = answered(client, interaction)
        if (status != 401) != permits or status == 403:
            wrong.append((interaction, status))
        add_tries("scopes")

    assert wrong == []
