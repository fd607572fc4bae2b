"""The only rules of shape that are enforced: which way imports point, and what a child may weigh."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "jobreel"

MAY_IMPORT = {
    "core": set[str](),
    "tools": {"core"},
    "store": {"core"},
    "api": {"core"},
    "web": {"core"},
    "jobs": {"core", "tools"},
    "workers": {"core", "tools"},
}
ONLY_FOR = {  # who may import the modules that stand above the layers
    "wiring": {"cli"},
    "cli": {"__main__"},
    "demo": {"cli"},
    "check": {"cli", "report", "wiring"},
    "report": {"cli"},
    "logs": {"wiring"},
    "owner_key": {"cli"},
    "settings": {"cli", "check", "report", "owner_key", "wiring"},
    "variable": {"settings", "check", "report", "owner_key"},
}
FACTS = {"__version__"}  # names of `jobreel` itself that anybody may read
CORE_LEANS_ON = {"msgspec", "uuid_utils"}
HEAVY = {  # none of these may be loaded before a child has an attempt that needs it
    "alembic", "av", "httpcore2", "httpx2", "imageio_ffmpeg", "pydantic", "rich", "sqlalchemy", "starlette",
    "structlog", "typer", "uvicorn",
}  # fmt: skip


def modules_in(path: Path) -> Iterator[str]:
    """The dotted name of everything a file imports, at any depth of it."""
    package = ["jobreel", *path.relative_to(SOURCE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def ours_in(path: Path) -> set[str]:
    """What a file imports of Jobreel: the first name after `jobreel.`"""
    dotted = (name.split(".") for name in modules_in(path))
    return {parts[1] for parts in dotted if parts[0] == "jobreel" and len(parts) > 1} - FACTS


@pytest.mark.parametrize("layer", MAY_IMPORT)
def test_imports_point_inwards(layer: str) -> None:
    for path in (SOURCE / layer).rglob("*.py"):
        strangers = ours_in(path) - MAY_IMPORT[layer] - {layer}

        assert not strangers, f"{path} reaches into {strangers}"


def test_every_module_has_its_place_in_this_test() -> None:
    layers = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    above = {path.stem for path in SOURCE.glob("*.py")} - {"__init__", "__main__"}

    assert layers <= set(MAY_IMPORT)
    assert above <= set(ONLY_FOR)


@pytest.mark.parametrize("module", ONLY_FOR)
def test_what_stands_above_the_layers_is_imported_by_few(module: str) -> None:
    importers = {path.stem for path in SOURCE.glob("*.py") if module in ours_in(path)}

    assert importers <= ONLY_FOR[module]


def test_the_core_leans_on_two_packages_only() -> None:
    for path in (SOURCE / "core").rglob("*.py"):
        roots = {name.partition(".")[0] for name in modules_in(path)}
        strangers = roots - sys.stdlib_module_names - CORE_LEANS_ON - {"jobreel"}

        assert not strangers, f"{path} leans on {strangers}"


@pytest.mark.parametrize("word", ["sqlite3", "subprocess", "socket", "http"])
def test_the_core_knows_no_database_no_process_and_no_network(word: str) -> None:
    for path in (SOURCE / "core").rglob("*.py"):
        assert word not in {name.partition(".")[0] for name in modules_in(path)}, path


def test_a_child_loads_nothing_heavy_before_it_has_an_attempt() -> None:
    starts = "import sys, jobreel.workers.child; print(*{name.partition('.')[0] for name in sys.modules})"

    loaded = subprocess.run(
        [sys.executable, "-c", starts], capture_output=True, text=True, check=True
    ).stdout.split()

    assert not HEAVY.intersection(loaded)


def test_only_the_edges_read_the_environment() -> None:
    """Settings are one value; whoever starts a process may hand on what it needs of its own environment."""
    readers = {
        path.relative_to(SOURCE).parts[0]
        for path in SOURCE.rglob("*.py")
        if {"os.environ", "os.getenv"} & {ast.unparse(node) for node in ast.walk(ast.parse(path.read_text()))}
    }

    assert readers <= {"cli.py", "demo.py", "workers", "tools"}
