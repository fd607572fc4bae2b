"""Writes docs/settings.md from the settings themselves: `make docs`. A test holds it to be current."""

from pathlib import Path

from jobreel.settings import Settings, Variable, variables

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"
HEAD = """# Settings

Made from `src/jobreel/settings.py` by `make docs`.

Jobreel reads its settings from the environment, once, when it starts. A wrong value stops the start with one
sentence per mistake, naming the variable and what would be right. An empty value counts as none. `jobreel check`
prints what is in effect, secrets hidden.

Sizes are plain bytes or with a unit: `512MiB`, `2GB`; `k`, `m`, `g` alone are powers of 1024, as in Docker.
Times are seconds. Lists have commas between their items.

| Variable | Default | What it does |
|---|---|---|
"""


def page() -> str:
    return HEAD + "".join(_row(name, variable) for name, variable in variables())


def _row(name: str, variable: Variable) -> str:
    default = variable.default_in_words or f"`{variable.shown(getattr(Settings(), name))}`"
    first, *others = variable.names
    meaning = variable.meaning + "".join(f" `{other}` is taken for it, too." for other in others)
    return f"| `{first}` | {default} | {meaning} |\n"


if __name__ == "__main__":
    PAGE.write_text(page())
