"""Figures: what was measured, what stands beside it, what was hoped for; as a table and as JSON."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Bound:
    """What a figure should be: at most `limit`, or at least."""

    limit: float
    at_least: bool

    def holds(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    def words(self, unit: str) -> str:
        return f"{'≥' if self.at_least else '≤'} {shown(self.limit)} {unit}"


def at_most(limit: float) -> Bound:
    return Bound(limit, at_least=False)


def at_least(limit: float) -> Bound:
    return Bound(limit, at_least=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table. What stands beside it was measured in the same run, in the same unit."""

    what: str
    unit: str
    measured: float
    beside: str
    beside_measured: float
    ratio_goal: Bound | None = None
    goal: Bound | None = None  # absolute: orientation only where there is a goal for the ratio

    @property
    def ratio(self) -> float:
        return self.measured / self.beside_measured

    @property
    def met(self) -> bool | None:
        """Whether the goal is met: the ratio's where it has one. None: nothing was hoped for."""
        if self.ratio_goal is not None:
            return self.ratio_goal.holds(self.ratio)
        return self.goal.holds(self.measured) if self.goal is not None else None

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio, "met": self.met}


@dataclass(frozen=True, slots=True)
class Section:
    """What one benchmark found; `others_busy` is how many cores others used just before it and just after."""

    name: str
    others_busy: tuple[float, float]
    seconds: float
    figures: list[Figure]
    failure: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "figures": [figure.as_json() for figure in self.figures]}


def show(section: Section, console: Console) -> None:
    """A section as a table, or why there is none."""
    before, after = section.others_busy
    taken = f"{section.seconds:.0f} s; others kept {before:.1f} cores busy before it, {after:.1f} after it"
    console.print(f"\n[bold]{section.name}[/] ({taken})", highlight=False)
    if section.failure:
        console.print(f"[red]not measured:[/] {section.failure}")
        return
    table = Table("", "measured", "goal", "ratio", "goal", "met", "beside")
    for figure in section.figures:
        table.add_row(
            figure.what,
            f"{shown(figure.measured)} {figure.unit}",
            figure.goal.words(figure.unit) if figure.goal else "",
            f"{figure.ratio:.2f}",
            figure.ratio_goal.words("") if figure.ratio_goal else "",
            _verdict(figure),
            f"{figure.beside}: {shown(figure.beside_measured)} {figure.unit}",
        )
    console.print(table)


def write(path: Path, conditions: dict[str, Any], sections: list[Section]) -> None:
    content = {"conditions": conditions, "sections": [section.as_json() for section in sections]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content)) + b"\n")


def shown(value: float) -> str:
    """Three digits that matter."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _verdict(figure: Figure) -> str:
    match figure.met:
        case None:
            return ""
        case True if figure.goal and not figure.goal.holds(figure.measured):
            return "ratio only"
        case met:
            return "yes" if met else "[red]no[/]"
