"""What the README shows is what happens: its commands, from a fresh clone, with their answers."""

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
ADDRESS = "127.0.0.1:8080"  # as written in the README
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
WORDS = {"queued", "running", "done"}
CLEAN = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


def console(readme: str) -> list[tuple[str, str]]:
    """Each command of the README's consoles, with what it shows below it."""
    steps: list[list[str]] = []
    for block in re.findall(r"```console\n(.*?)```", readme, re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append([line[2:], ""])
            elif steps[-1][0].endswith("\\"):
                steps[-1][0] += "\n" + line
            else:
                steps[-1][1] += line
    return [(command, shown) for command, shown in steps]


def shape(value: Any, *, port: str) -> Any:
    """A value without what differs from run to run: ids, times, signatures, the port and what the host allows."""
    match value:
        case dict():
            known = {name: each for name, each in value.items() if name != "progress"}  # as far as it was reported
            return {ID.sub("<id>", name): shape(each, port=port) for name, each in known.items()}
        case list():
            return "<list>"
        case bool():
            return "<yes or no>"
        case int() | float():
            return "<number>"
        case str() if value in WORDS:
            return "<word>"
        case str() if re.fullmatch(r"\d+\.\d+\.\d+", value):
            return "<version>"
        case str():
            return re.sub(r"<id>/[\w-]{22}/", "<id>/<signature>/", ID.sub("<id>", value.replace(port, ADDRESS)))
        case _:
            return value


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working tree as a clone would have it: all files but the ignored ones."""
    folder = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


@contextmanager
def make_serve(clone: Path) -> Iterator[str]:
    """`make serve` on a free port; gives the address it listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (clone / "talk").open("w") as talk:
        command = ["make", "serve", f"PORT={port}"]
        service = subprocess.Popen(command, cwd=clone, env=CLEAN, stdout=subprocess.PIPE, stderr=talk, text=True)
    try:
        assert service.stdout is not None
        assert f"http://127.0.0.1:{port}/docs" in service.stdout.readline(), (clone / "talk").read_text()
        yield f"127.0.0.1:{port}"
    finally:
        service.terminate()
        service.communicate(timeout=60)


def outputs(commands: list[str], folder: Path, address: str) -> list[str]:
    """What each command prints, all run in one shell against the service at `address`."""
    script = "set -eu\n" + "".join(f"{_in_its_time(command)}\nprintf '\\0'\n" for command in commands)
    done = subprocess.run(
        ["bash", "-c", script.replace(ADDRESS, address)],
        cwd=folder,
        env=CLEAN,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split("\0")[:-1]


def _in_its_time(command: str) -> str:
    """Where a reader waits a moment, wait for the job itself: machines differ."""
    if not command.startswith("sleep "):
        return command
    status = f'curl -s -H "x-api-key: $KEY" "http://{ADDRESS}/v1/toolkit/job/status?job_id=$JOB"'
    return f'for _ in $(seq 300); do {status} | grep -q \'"job_status":"done"\' && break; sleep 0.2; done'


@pytest.mark.slow
@pytest.mark.timeout(900)  # installs from nothing
def test_the_readmes_commands_answer_as_shown_from_a_fresh_clone(clone: Path) -> None:
    steps = console((ROOT / "README.md").read_text())

    demo = subprocess.run(
        ["make", "demo"], cwd=clone, env=CLEAN, capture_output=True, text=True, timeout=600, check=False
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    with make_serve(clone) as address:
        answers = outputs([command for command, _ in steps], clone, address)

    for (command, shown), answer in zip(steps, answers, strict=True):
        if shown:
            expected, came = json.loads(shown), json.loads(answer)
            assert shape(came, port=address) == shape(expected, port=ADDRESS), command


def test_make_help_explains_every_word() -> None:
    listed = subprocess.run(
        ["make", "help"], cwd=ROOT, env=CLEAN, capture_output=True, text=True, check=True
    ).stdout

    words = {line.split()[0] for line in listed.splitlines()}

    assert words >= {"setup", "fmt", "check", "quick", "test", "bench", "serve", "demo", "clean"}


@pytest.mark.parametrize("lock", ["base.lock", "dev.lock"])
def test_a_lock_file_holds_versions_and_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text()
    requirements = re.split(r"\n(?=[a-z])", text.strip())

    assert "://" not in text
    assert all(re.match(r"[a-z0-9-]+==[\w.]+", each) and "--hash=sha256:" in each for each in requirements)


def test_the_tests_need_nothing_newer_than_the_service() -> None:
    """Both locks pin the same versions, so that what is tested is what runs."""
    pinned = {
        name: set(re.findall(r"^[a-z0-9-]+==\S+", (ROOT / "requirements" / name).read_text(), re.MULTILINE))
        for name in ("base.lock", "dev.lock")
    }

    assert pinned["base.lock"] < pinned["dev.lock"]
