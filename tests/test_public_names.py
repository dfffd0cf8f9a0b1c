"""
Every module says what it is and which of its names are public.
"""

import ast
import importlib
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_PATHS = sorted((_ROOT / "fhir_gateway").rglob("*.py"))
# Alembic loads these by their path, and has names of its own for what is in them.
_OF_ALEMBIC = {
    path
    for path in (_ROOT / "fhir_gateway/stores/migrations").rglob("*.py")
    if path.name != "__init__.py"
}


def module_name(path: Path) -> str:
    """Return the dotted name of a module."""
    parts = path.relative_to(_ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


_MODULES = [
    pytest.param(path, id=module_name(path))
    for path in _PATHS
    if path not in _OF_ALEMBIC
]


@pytest.mark.parametrize("path", _MODULES)
def test_a_module_says_what_it_is(path: Path) -> None:
    """A module begins with a docstring, and the first line stands alone."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))

    assert docstring
    first, _, rest = docstring.partition("\n")
    assert first.strip()
    assert not rest or rest.startswith("\n")


def public_names(path: Path) -> list[str] | None:
    """Return what `__all__` lists in a module's text, or None when it lists nothing."""
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "__all__"
            for target in statement.targets
        ):
            names: list[str] = ast.literal_eval(statement.value)
            return names
    return None


def defined_names(path: Path) -> set[str]:
    """Return the public names that a module itself defines at its top."""
    names: set[str] = set()
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        match statement:
            case ast.FunctionDef() | ast.ClassDef():
                names.add(statement.name)
            case ast.Assign():
                names.update(
                    target.id
                    for target in statement.targets
                    if isinstance(target, ast.Name)
                )
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case _:
                continue
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("path", _MODULES)
def test_a_module_lists_its_public_names(path: Path) -> None:
    """A module with public names has an `__all__`, and every name in it exists."""
    listed = public_names(path)

    if listed is None:
        assert defined_names(path) == set()
        return
    module = importlib.import_module(module_name(path))
    assert [name for name in listed if not hasattr(module, name)] == []


@pytest.mark.parametrize("path", _MODULES)
def test_public_names_are_sorted(path: Path) -> None:
    """`__all__` is sorted: constants, then classes, then functions; none twice."""
    listed = public_names(path) or []

    assert listed == sorted(set(listed), key=_kind_and_name)


def _kind_and_name(name: str) -> tuple[int, str]:
    if name.isupper():
        return 0, name
    return (1, name) if name[0].isupper() else (2, name)
