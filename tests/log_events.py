"""
Every event that the program logs, as its code says.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

__all__ = ["UnreadableEvent", "logged_events", "source_texts"]

_LEVELS: Final = frozenset({"info", "warning", "error", "critical", "exception"})
# What is logged as debug is written nowhere.
_UNWRITTEN: Final = frozenset({"debug"})
# A function with a parameter of this name logs what it is given.
_PASSED_ON: Final = "event"


class UnreadableEvent(Exception):
    """An event is neither a constant nor passed on in a parameter `event`."""


def logged_events(modules: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """
    Return each event with each level that it is logged with.

    Args:
        modules: The source texts by name.

    Raises:
        UnreadableEvent: The code hides which event it logs.
    """
    trees = {name: ast.parse(text) for name, text in modules.items()}
    found: set[tuple[str, str]] = set()
    levels_of_passed_on: set[str] = set()
    forwarding = {
        function.name: _position(function)
        for tree in trees.values()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef) and _position(function) is not None
    }
    passed_on: set[str] = set()
    for name, tree in trees.items():
        loggers = _loggers(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                level = _level(node, loggers)
                if level is not None:
                    event = node.args[0] if node.args else None
                    if isinstance(event, ast.Name) and event.id == _PASSED_ON:
                        levels_of_passed_on.add(level)
                    else:
                        where = f"{name}:{node.lineno}"
                        found.update((text, level) for text in _texts(event, where))
                passed_on.update(_given(node, forwarding))
            elif isinstance(node, ast.Assign) and _assigns_event(node):
                passed_on.update(_texts(node.value, f"{name}:{node.lineno}"))
    found.update((event, level) for event in passed_on for level in levels_of_passed_on)
    return frozenset(found)


def source_texts(folder: Path) -> dict[str, str]:
    """Return the modules below a folder."""
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*.py"))
    }


def _loggers(tree: ast.Module) -> frozenset[str]:
    return frozenset(
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func) in ("structlog.get_logger", "get_logger")
        for target in node.targets
        if isinstance(target, ast.Name)
    )


def _level(call: ast.Call, loggers: frozenset[str]) -> str | None:
    """Return the level of what a call logs; None where it logs nothing."""
    match call.func:
        case ast.Attribute(value=ast.Name(id=name), attr=level) if name in loggers:
            if level in _UNWRITTEN:
                return None
            if level not in _LEVELS:
                raise UnreadableEvent(f"line {call.lineno}: {ast.unparse(call)}")
            return level
    return None


def _texts(node: ast.expr | None, where: str) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from _texts(body, where)
            yield from _texts(orelse, where)
        case _:
            raise UnreadableEvent(f"{where}: its event is no constant")


def _position(function: ast.FunctionDef) -> int | None:
    names = [each.arg for each in function.args.args if each.arg != "self"]
    return names.index(_PASSED_ON) if _PASSED_ON in names else None


def _given(call: ast.Call, forwarding: Mapping[str, int | None]) -> Iterator[str]:
    """Return the constants that a call hands on as an event."""
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in forwarding:
            position = forwarding[name]
            given = [each.value for each in call.keywords if each.arg == _PASSED_ON]
            if position is not None and len(call.args) > position:
                given.append(call.args[position])
            for each in given:
                # A name is a parameter or a variable called `event`, seen elsewhere.
                if not isinstance(each, ast.Name):
                    yield from _texts(each, f"line {call.lineno}")


def _assigns_event(node: ast.Assign) -> bool:
    return any(
        isinstance(target, ast.Name) and target.id == _PASSED_ON
        for target in node.targets
    )
