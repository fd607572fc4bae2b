"""How `jobreel check` prints what it found: as tables, or as JSON with the same facts."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobreel.check import Finding, Verdict
from jobreel.settings import Settings, variables

PIPE_COLUMNS = 500  # a program reads lines: none is broken
COLOURS = {Verdict.FINE: "green", Verdict.WARNING: "yellow", Verdict.STOP: "red"}


def effective(settings: Settings, environ: Mapping[str, str]) -> Iterator[tuple[str, str, bool]]:
    """Each variable, its value as text, and whether it was set (rather than left to its default)."""
    for name, variable in variables():
        found = variable.found_in(environ)
        yield found or variable.names[0], variable.shown(getattr(settings, name)), found is not None


def print_tables(settings: Settings, environ: Mapping[str, str], found: list[Finding]) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_COLUMNS)
    table = Table("setting", "value", "", box=None, pad_edge=False)
    for variable, value, is_set in effective(settings, environ):
        table.add_row(variable, Text(value), "" if is_set else "default", style=None if is_set else "dim")
    console.print(table, "")
    table = Table("check", "", "", box=None, pad_edge=False)
    for finding in found:
        table.add_row(finding.subject, Text(finding.verdict, COLOURS[finding.verdict]), Text(finding.words))
    console.print(table)


def print_json(settings: Settings, environ: Mapping[str, str], found: list[Finding]) -> None:
    facts: dict[str, Any] = {
        "settings": {variable: value for variable, value, _ in effective(settings, environ)},
        "findings": found,
        "can_start": all(finding.verdict is not Verdict.STOP for finding in found),
    }
    print(msgspec.json.format(msgspec.json.encode(facts)).decode())  # noqa: T201 - the command's result
