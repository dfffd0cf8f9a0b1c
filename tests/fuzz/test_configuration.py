"""
Every setting, and every line of the files that settings name, missing, wrong or unsafe.
"""

import re
from pathlib import Path
from typing import Any, Final

from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from web.guarded import issuers_file

from fhir_gateway.cli import main
from fhir_gateway.settings import ENVIRONMENT, Settings, WrongSettings

from .canary import SENT_TEXT, found
from .texts import HOSTILE, TEXTS
from .tries import CLASSES, add_tries, is_full, tried

_HOSTILE: Final = [
    *(
        " ",
        "\t",
        "0",
        "-1",
        "1.5",
        "1e9",
        "9" * 50,
        "\u0661",
        "yes",
        "no",
        "true",
        "off",
    ),
    *(
        "/",
        "/etc/passwd",
        "/dev/null",
        "/nowhere/x",
        ".",
        "..",
        "a" * 5_000,
        "~",
        "$HOME",
    ),
    *(
        "unix:",
        "unix:x",
        "unix:/x",
        "unix:///x",
        "0.0.0.0",  # noqa: S104 - a bad value
        "::",
        "*",
        "[::]",
        "a b",
        ":1",
    ),
    *("http://", "http://a", "https://a/b?c", "https://u:p@a", "ftp://a", "file:///a"),
    *(
        "redis://",
        "rediss://u:p@a:1",
        "sqlite://",
        "postgresql://u:p@a/b",
        "mysql://a/b",
    ),
    *("0.0.0.0/0", "::/0", "10.0.0.0/8,,", "1.2.3.4/33", "https://a,*", "null", ","),
    *(
        "\u202e",
        "\x1b[31m",
        "a\nb",
        "a\r\nb",
        "{}",
        "[x]",
        "'",
        '"',
        "%",
        "%00",
        "\udcff",
    ),
    *(SENT_TEXT, f"https://{SENT_TEXT}:{SENT_TEXT}@a/b", f"{SENT_TEXT},{SENT_TEXT}"),
    *(f"redis://:{SENT_TEXT}@a b", f"postgresql://u:{SENT_TEXT}@a:x/b", "A" * 43 + "="),
]
# In these a password may stand, so nothing of them is shown.
_SECRET: Final = frozenset({"REDIS_URL", "DATABASE_URL", "FHIR_GATEWAY_JOURNAL_KEYS"})
_LONGEST: Final = 400
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def _check(environment: dict[str, str]) -> None:
    """Read an environment: it is usable, or each of its faults is one clear line."""
    try:
        Settings.from_environment(environment)
    except WrongSettings as error:
        assert error.faults
        for fault in error.faults:
            assert not _CONTROL.search(fault), fault
            assert len(fault) < _LONGEST, fault
            assert any(name in fault for name in environment), fault
            if _SECRET & environment.keys():
                assert not found(fault), fault


def test_every_setting_with_every_value_is_taken_or_is_a_line() -> None:
    """No value of one setting stops a start in any other way than with a line."""
    every = [(name, value) for name in sorted(ENVIRONMENT) for value in _HOSTILE]
    (of,) = (each for each in CLASSES if each.name == "configuration")
    for name, value in every[:: 1 if is_full() else max(1, len(every) // of.few) | 1]:
        _check({name: value})
        add_tries("configuration")


@given(
    environment=st.dictionaries(
        st.sampled_from(sorted(ENVIRONMENT)),
        st.sampled_from(_HOSTILE) | TEXTS.filter(lambda text: "\0" not in text),
        min_size=2,
        max_size=8,
    )
)
@tried("configuration", 0.5)
def test_settings_that_are_wrong_together_are_lines(
    environment: dict[str, str],
) -> None:
    """Settings that contradict each other are lines too."""
    _check(environment)


_SOURCES: Final = """
[sources.norr]
adapter = "scheduling_1_1"
title = "Region Norr"
prefixes = ["SE2321000016-"]
agent = "SE2321000016-AGENT"
refresh_subject = "191212121212"
units_from = "SE2321000016-A01"
calls_per_second = 20
fresh_for_s = 300
options.endpoint = "https://norr.example.org/"
[[sources.norr.units]]
hsa_id = "SE2321000016-A01"
name = "Mottagningen"
"""
_VALUES = st.sampled_from(
    [
        *(
            '""',
            '"x"',
            "0",
            "-1",
            "1e400",
            "nan",
            "true",
            "[]",
            "[[]]",
            "{}",
            '"http://a"',
        ),
        *(
            '["none"]',
            '["HS256"]',
            "9" * 40,
            '"\\u0000"',
            '"/dev/null"',
            "1979-05-27",
            '"*"',
        ),
        *('["resident", "root"]', '"https://a"', "'''", '[1, "a"]', '"\\ud800"'),
    ]
)


@st.composite
def damaged(draw: st.DrawFn, lines: int) -> tuple[int, str, str]:
    """Return which line of a file to damage, and how."""
    return (
        draw(st.integers(0, lines - 1)),
        draw(st.sampled_from(["drop", "twice", "value", "name", "text", "cut"])),
        draw(_VALUES | HOSTILE),
    )


def _written(text: str, damage: tuple[int, str, str]) -> str:
    lines = [line for line in text.splitlines() if line]
    at, kind, value = damage
    at %= len(lines)
    name = lines[at].partition(" = ")[0]
    match kind:
        case "drop":
            lines[at] = ""
        case "twice":
            lines[at] += f"\n{lines[at]}"
        case "value":
            lines[at] = f"{name} = {value}"
        case "name":
            lines[at] = lines[at].replace(name, f'"{name}x"', 1)
        case "text":
            lines.insert(at, value)
        case _:
            del lines[at:]
    return "\n".join(lines)


def _run(folder: Path, **files: str) -> list[str]:
    """Start a command that only looks; it succeeds, or returns lines that say why."""
    environment: dict[str, Any] = {
        "FHIR_GATEWAY_DATA_DIR": str(folder / "data"),
        # Nobody is there: what is right so far ends here, with exit code 1.
        "REDIS_URL": f"unix://{folder}/nobody.sock",
    }
    for name, text in files.items():
        path = folder / f"{name}.toml"
        path.write_text(text, encoding="utf-8", errors="replace")
        environment[f"FHIR_GATEWAY_{name.upper()}"] = str(path)
    result = CliRunner().invoke(main, ["sources"], env=environment)

    assert result.exit_code in (0, 1, 2), result.exception
    assert result.exception is None or isinstance(result.exception, SystemExit)
    lines = result.stderr.splitlines()
    if result.exit_code:
        assert lines
        assert all(line.startswith("fhir-gateway: ") for line in lines), lines
        assert not any(_CONTROL.search(line) for line in lines), lines
        assert "Traceback" not in result.stderr
    return lines


@given(damage=damaged(12))
@tried("configuration", 0.25)
def test_a_file_of_sources_with_any_line_is_read_or_refused(
    tmp_path: Path, damage: tuple[int, str, str]
) -> None:
    """A damaged file of sources is refused in lines that name it."""
    _run(tmp_path, sources=_written(_SOURCES, damage))


@given(damage=damaged(20))
@tried("configuration", 0.25)
def test_a_file_of_issuers_with_any_line_is_read_or_refused(
    tmp_path: Path, damage: tuple[int, str, str]
) -> None:
    """A damaged file of issuers is refused in lines that name it."""
    sound = issuers_file(tmp_path, "https://idp.example.org/jwks").read_text()
    _run(tmp_path, sources=_SOURCES, issuers=_written(sound, damage))


def test_the_sound_files_are_sound(tmp_path: Path) -> None:
    """What is damaged here is right to begin with: only Redis is missing."""
    (line,) = _run(tmp_path, sources=_SOURCES)

    assert "REDIS_URL" in line
