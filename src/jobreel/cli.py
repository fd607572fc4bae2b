"""The command `jobreel`: results on stdout, talk on stderr; exit 0 fine, 1 failed, 2 misused."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from jobreel import __version__

if TYPE_CHECKING:
    from jobreel.settings import Settings

app = typer.Typer(
    name="jobreel",
    help="A self-hosted Toolkit API: media jobs over HTTP, queued durably, watched from one place.",
    epilog="Example: jobreel serve --port 8080",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Host = Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for all.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")]


def main() -> None:
    """The entry point of the installed command."""
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(epilog="Example: API_KEY=secret JOBREEL_DATA_DIR=/var/lib/jobreel jobreel serve --host 0.0.0.0")
def serve(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    no_work: Annotated[bool, typer.Option("--no-work", help="Take requests, run no jobs.")] = False,
) -> None:
    """Run the service: the API, the workers and the sender of webhooks. Settings come from the environment."""
    settings = _settings()
    _refuse_what_cannot_work(settings, host, port)
    settings = _with_owner_key(settings)
    from jobreel import wiring

    raise typer.Exit(wiring.serve(settings, host, port, work=not no_work))


@app.command(epilog="Example: jobreel check --json | jq .findings")
def check(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Print the settings in effect, secrets hidden, and say whether the service can run here."""
    from jobreel import check as checks
    from jobreel import report

    settings = _settings()
    found = [
        *checks.misspellings(os.environ),
        *checks.findings(settings, host, port),
        *checks.isolation(settings.data_dir),
    ]
    print_report = report.print_json if as_json else report.print_tables
    print_report(settings, os.environ, found)
    raise typer.Exit(1 if any(finding.verdict is checks.Verdict.STOP for finding in found) else 0)


@app.command(epilog="Example: jobreel demo --output demo-output")
def demo(
    output: Annotated[str, typer.Option(help="The folder to leave the produced files in.")] = "demo-output",
) -> None:
    """Start a service for a minute, run real jobs through it and show what happens."""
    from pathlib import Path

    from jobreel import demo as demonstration

    raise typer.Exit(demonstration.run(Path(output)))


def _settings() -> "Settings":
    """The settings in the environment; says all that is wrong with them and exits where something is."""
    from jobreel.settings import Settings, WrongSettings

    try:
        return Settings.from_environment(os.environ)
    except WrongSettings as wrong:
        for problem in wrong.problems:
            _say(problem)
        raise typer.Exit(1) from None


def _refuse_what_cannot_work(settings: "Settings", host: str, port: int) -> None:
    """Say what is not fine, and exit where it would stop the service anyway."""
    from jobreel import check as checks

    found = [*checks.misspellings(os.environ), *checks.findings(settings, host, port)]
    for finding in found:
        if finding.verdict is not checks.Verdict.FINE:
            _say(f"{finding.subject}: {finding.words}")
    if any(finding.verdict is checks.Verdict.STOP for finding in found):
        raise typer.Exit(1)


def _with_owner_key(settings: "Settings") -> "Settings":
    from jobreel.owner_key import KEY_FILE, with_owner_key

    try:
        settings, made = with_owner_key(settings)
    except OSError as error:
        _say(f"API_KEY is not set, and a key cannot be kept: {error}")
        raise typer.Exit(1) from None
    if made:
        _say(f"API_KEY is not set, so a key was made and kept in {settings.data_dir / KEY_FILE}. Your key:")
        _say(f"\n    {settings.api_key}\n")
    return settings


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)  # noqa: T201 - the command's own voice
