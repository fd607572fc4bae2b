"""The installed command, as a shell sees it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil
import pytest

from jobreel import __version__
from jobreel.check import Verdict, file_system, ledger_on

PATH = {"PATH": os.environ["PATH"]}


def jobreel(*arguments: str, cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "jobreel", *arguments],
        cwd=cwd, env={**PATH, **environ}, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def taken(port: int) -> Iterator[None]:
    with socket.socket() as other_program:
        other_program.bind(("127.0.0.1", port))
        other_program.listen()
        yield


def finding(done: subprocess.CompletedProcess[str], subject: str) -> dict[str, str]:
    found: list[dict[str, str]] = json.loads(done.stdout)["findings"]
    return next(each for each in found if each["subject"] == subject)


def test_the_version_is_a_result_on_stdout() -> None:
    done = jobreel("--version")

    assert (done.returncode, done.stdout, done.stderr) == (0, f"{__version__}\n", "")


@pytest.mark.parametrize("arguments", [["fly"], ["serve", "--port", "many"], ["check", "--nope"], []])
def test_misuse_exits_2(arguments: list[str]) -> None:
    assert jobreel(*arguments).returncode == 2


@pytest.mark.parametrize("command", ["serve", "check", "demo"])
def test_help_shows_an_example(command: str) -> None:
    done = jobreel(command, "--help")

    assert done.returncode == 0
    assert "Example: " in done.stdout
    assert f"jobreel {command}" in done.stdout


@pytest.mark.parametrize("command", ["serve", "check"])
def test_wrong_settings_stop_it_with_a_sentence_each_on_stderr(command: str) -> None:
    done = jobreel(command, JOBREEL_SLOTS="none", MAX_QUEUE_LENGTH="lots")

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "MAX_QUEUE_LENGTH must be a whole number, not 'lots'.",
        "JOBREEL_SLOTS must be a whole number of at least 1, not 'none'.",
    ]


def test_check_prints_what_is_in_effect_and_hides_secrets(tmp_path: Path, port: int) -> None:
    done = jobreel(
        "check", "--port", str(port),
        API_KEY="hush-1", JOBREEL_API_KEYS="anna:hush-2", JOBREEL_WEBHOOK_SECRET="hush-3" * 4,
        JOBREEL_SLOTS="7", JOBREEL_DATA_DIR=str(tmp_path),
    )  # fmt: skip

    assert done.returncode == 0, done.stdout
    assert "hush" not in done.stdout + done.stderr
    assert "anna:(hidden)" in done.stdout
    assert "JOBREEL_SLOTS" in done.stdout
    assert "ffmpeg version" in done.stdout


def test_check_says_the_same_as_json(tmp_path: Path, port: int) -> None:
    done = jobreel("check", "--json", "--port", str(port), API_KEY="hush", JOBREEL_DATA_DIR=str(tmp_path))

    told = json.loads(done.stdout)
    assert told["can_start"] is True
    assert told["settings"]["API_KEY"] == "(hidden)"
    assert told["settings"]["JOBREEL_DATA_DIR"] == str(tmp_path)
    assert {each["subject"] for each in told["findings"]} >= {"sqlite", "ffmpeg", "disk", "port", "isolation"}


def test_check_changes_nothing(tmp_path: Path, port: int) -> None:
    done = jobreel("check", "--json", "--port", str(port), JOBREEL_DATA_DIR=str(tmp_path / "data"))

    assert done.returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["serve", "check"])
def test_a_port_that_is_taken_stops_the_start(command: str, tmp_path: Path, port: int) -> None:
    with taken(port):
        done = jobreel(command, "--port", str(port), JOBREEL_DATA_DIR=str(tmp_path / "data"))

    assert done.returncode == 1
    assert "another program has it" in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["serve", "check"])
def test_a_data_directory_that_is_a_file_stops_the_start(command: str, tmp_path: Path, port: int) -> None:
    (tmp_path / "data").touch()

    done = jobreel(command, "--port", str(port), JOBREEL_DATA_DIR=str(tmp_path / "data"))

    assert done.returncode == 1
    assert "is not a folder" in done.stdout + done.stderr


def test_a_misspelt_variable_is_told(tmp_path: Path, port: int) -> None:
    done = jobreel("check", "--json", "--port", str(port), JOBREEL_SLOT="2", JOBREEL_DATA_DIR=str(tmp_path))

    assert finding(done, "settings")["words"] == "JOBREEL_SLOT is not a setting; did you mean JOBREEL_SLOTS?"


def test_links_that_only_this_machine_could_open_are_told(tmp_path: Path, port: int) -> None:
    everywhere = ["check", "--json", "--host", "0.0.0.0", "--port", str(port)]

    alone = jobreel(*everywhere, JOBREEL_DATA_DIR=str(tmp_path))
    reachable = jobreel(*everywhere, JOBREEL_DATA_DIR=str(tmp_path), JOBREEL_PUBLIC_URL="https://jobs.example.com")

    assert finding(alone, "links")["verdict"] == "warning"
    assert finding(reachable, "links")["words"] == "begin with https://jobs.example.com"


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs"])
def test_a_network_file_system_is_refused_for_the_ledger_naming_the_way_out(kind: str) -> None:
    finding = ledger_on(kind, Path("/mnt/jobs"))

    assert finding.verdict is Verdict.STOP
    assert "JOBREEL_DATA_DIR" in finding.words


@pytest.mark.parametrize(("kind", "folder"), [("tmpfs", "/run/jobs"), ("ext4", "/tmp/jobs")])
def test_a_folder_that_a_restart_empties_is_told(kind: str, folder: str) -> None:
    assert ledger_on(kind, Path(folder)).verdict is Verdict.WARNING


def test_a_local_disk_is_fine() -> None:
    assert ledger_on("ext4", Path("/var/lib/jobreel")).verdict is Verdict.FINE


def test_the_file_system_of_a_folder_that_is_yet_to_be_made_is_known() -> None:
    assert file_system(Path("/dev/shm/jobs/data")) == "tmpfs"


# -- serve ------------------------------------------------------------------------------------------------


@contextmanager
def serving(port: int, folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`jobreel serve`, from the line that says where it listens until the block ends."""
    with (folder / "stderr").open("w") as talk:
        service = subprocess.Popen(
            [sys.executable, "-m", "jobreel", "serve", "--port", str(port), *arguments],
            env={**PATH, "JOBREEL_DATA_DIR": str(folder / "data")}, stdout=subprocess.PIPE, stderr=talk, text=True,
        )  # fmt: skip
    try:
        assert service.stdout is not None
        assert service.stdout.readline().startswith(f"Jobreel listens on http://127.0.0.1:{port} ")
        yield service
    finally:
        service.terminate()
        service.communicate(timeout=60)


def test_the_first_start_without_a_key_prints_the_one_it_made_and_the_second_does_not(
    tmp_path: Path, port: int
) -> None:
    with serving(port, tmp_path):
        key = (tmp_path / "data" / "api.key").read_text().strip()
        assert (tmp_path / "stderr").read_text().count(key) == 1

    with serving(port, tmp_path):
        assert key not in (tmp_path / "stderr").read_text()
        assert (tmp_path / "data" / "api.key").read_text().strip() == key


def test_the_key_that_was_made_is_the_owners(tmp_path: Path, port: int) -> None:
    with serving(port, tmp_path, "--no-work"):
        key = (tmp_path / "data" / "api.key").read_text().strip()
        answer = httpx2.get(
            f"http://127.0.0.1:{port}/v1/toolkit/authenticate", headers={"x-api-key": key}, trust_env=False
        )

    assert answer.json()["response"] == "Authorized"


def test_without_work_jobs_are_taken_and_wait(tmp_path: Path, port: int) -> None:
    with serving(port, tmp_path, "--no-work"):
        headers = {"x-api-key": (tmp_path / "data" / "api.key").read_text().strip(), "prefer": "respond-async"}
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as client:
            job_id = client.post("/v1/toolkit/echo", json={"message": "hello"}).json()["job_id"]
            told = client.post("/v1/toolkit/jobs/status").json()

    assert told["response"] == {job_id: "queued"}
    assert told["queue_length"] == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_to_stop_ends_it_well(number: signal.Signals, tmp_path: Path, port: int) -> None:
    with serving(port, tmp_path) as service:
        service.send_signal(number)

        assert service.wait(timeout=30) == 0


# -- demo -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_demo_leaves_the_produced_files_and_no_process(tmp_path: Path) -> None:
    done = jobreel("demo", "--output", "out", cwd=tmp_path, TMPDIR=str(tmp_path))

    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "clip.mp4", "smaller.mp4", "sound.mp3", "thumbnail.jpg",
    }  # fmt: skip
    assert "The webhook that arrived" in done.stdout
    assert len(re.findall(r'"[0-9a-f-]{36}": "done"', done.stdout)) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not [each for each in psutil.process_iter(["cwd"]) if each.info["cwd"] == str(tmp_path)]


def test_a_demo_that_cannot_leave_its_files_fails_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "out").touch()

    done = jobreel("demo", "--output", str(tmp_path / "out"))

    assert done.returncode == 1
    assert "The demonstration failed" in done.stderr


@pytest.mark.slow
def test_a_demo_whose_service_dies_fails(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "jobreel", "demo", "--output", str(tmp_path)],
        env=PATH, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert demo.stdout is not None
    assert "listens on" in demo.stdout.readline()

    (service,) = psutil.Process(demo.pid).children()
    service.kill()

    _, talk = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert "The demonstration failed" in talk
