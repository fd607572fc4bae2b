import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from tests.clips import Clips

from jobreel.tools import fence, ffmpeg
from jobreel.tools.fence import Fence, Network


@pytest.fixture(scope="module")
def tightest() -> Fence:
    return Fence.probe([str(ffmpeg.program()), "-version"])


@pytest.fixture(scope="module")
def walled(tightest: Fence) -> Fence:
    if not tightest.landlock_abi:
        pytest.skip(f"this host refuses: {tightest.missing}")
    return tightest


@pytest.fixture(scope="module")
def offline(tightest: Fence) -> Fence:
    if tightest.network is Network.HOST:
        pytest.skip(f"this host refuses: {tightest.missing}")
    return tightest


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def ended(arguments: list[str], scratch: Path, around: Fence) -> subprocess.CompletedProcess[bytes]:
    """A program run inside a fence to its end."""
    process = fence.start(arguments, inside=scratch, stdout=subprocess.PIPE, stderr=subprocess.PIPE, fence=around)
    said, complained = process.communicate(timeout=30)
    return subprocess.CompletedProcess(arguments, process.returncode, said, complained)


def with_ffmpeg(*arguments: str) -> list[str]:
    return [str(ffmpeg.program()), "-nostdin", "-v", "error", *arguments]


def in_shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


@contextmanager
def listener() -> Iterator[tuple[socket.socket, int]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        yield server, server.getsockname()[1]


def nobody_came(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except BlockingIOError:
        return True
    return False


def test_a_fenced_ffmpeg_still_converts(tightest: Fence, scratch: Path, clips: Clips) -> None:
    (scratch / "source").write_bytes(clips["sound.mp4"].read_bytes())

    run = ended(with_ffmpeg("-i", "source", "-c:v", "libx264", "out.mp4"), scratch, tightest)

    assert (run.returncode, run.stderr) == (0, b"")
    assert (scratch / "out.mp4").stat().st_size > 0


def test_a_file_outside_the_scratch_folder_cannot_be_read(walled: Fence, scratch: Path, clips: Clips) -> None:
    run = ended(with_ffmpeg("-i", str(clips["song.wav"]), "stolen.wav"), scratch, walled)

    assert run.returncode != 0
    assert b"Permission denied" in run.stderr
    assert not (scratch / "stolen.wav").exists()


def test_nothing_can_be_written_outside_the_scratch_folder(walled: Fence, scratch: Path, tmp_path: Path) -> None:
    target = tmp_path / "written"

    run = ended(in_shell(f"echo x > {target}"), scratch, walled)

    assert run.returncode != 0
    assert not target.exists()


def test_a_symbolic_link_leads_nowhere(walled: Fence, scratch: Path, clips: Clips) -> None:
    (scratch / "source").symlink_to(clips["song.wav"])

    run = ended(with_ffmpeg("-i", "source", "stolen.wav"), scratch, walled)

    assert run.returncode != 0
    assert b"Permission denied" in run.stderr


def test_a_playlist_cannot_reach_another_local_file(walled: Fence, scratch: Path, clips: Clips) -> None:
    """Even with no allow-list of demuxers in the arguments: the fence holds by itself."""
    playlist = clips.playlist("list.m3u8", clips["song.mp3"])
    (scratch / "list.m3u8").write_bytes(playlist.read_bytes())

    run = ended(with_ffmpeg("-i", "list.m3u8", "-c", "copy", "stolen.mp3"), scratch, walled)

    assert run.returncode != 0
    assert not (scratch / "stolen.mp3").exists()


def test_a_filter_cannot_reach_another_local_file(walled: Fence, scratch: Path, clips: Clips) -> None:
    graph = f"movie={clips['silent.mp4']}"

    run = ended(with_ffmpeg("-f", "lavfi", "-i", graph, "-frames:v", "1", "stolen.png"), scratch, walled)

    assert run.returncode != 0
    assert not (scratch / "stolen.png").exists()


def test_a_fenced_program_cannot_reach_the_loopback_interface(offline: Fence, scratch: Path) -> None:
    only_network = Fence(network=offline.network)

    with listener() as (server, port):
        run = ended(with_ffmpeg("-i", f"http://127.0.0.1:{port}/clip.mp4", "out.mp4"), scratch, only_network)

        assert run.returncode != 0
        assert nobody_came(server)


def test_landlock_refuses_connections_where_the_kernel_is_new_enough(walled: Fence, scratch: Path) -> None:
    if walled.landlock_abi < 4:
        pytest.skip("this kernel's Landlock knows files only")
    only_landlock = Fence(landlock_abi=walled.landlock_abi)

    with listener() as (server, port):
        run = ended(with_ffmpeg("-i", f"http://127.0.0.1:{port}/clip.mp4", "out.mp4"), scratch, only_landlock)

        assert run.returncode != 0
        assert nobody_came(server)


def test_without_a_fence_the_same_calls_do_reach_out(scratch: Path, clips: Clips) -> None:
    """So that the tests above fail when the fence is gone."""
    with listener() as (server, port):
        ended(
            with_ffmpeg("-rw_timeout", "1", "-i", f"http://127.0.0.1:{port}/clip.mp4", "out.mp4"), scratch, Fence()
        )
        read = ended(with_ffmpeg("-i", str(clips["song.wav"]), "copied.wav"), scratch, Fence())

        assert not nobody_came(server)
        assert read.returncode == 0


def test_a_file_over_the_output_limit_ends_the_program(scratch: Path) -> None:
    small = Fence(output_bytes=100_000)

    run = ended(with_ffmpeg("-f", "lavfi", "-i", "sine=duration=60", "long.wav"), scratch, small)

    assert run.returncode == -signal.SIGXFSZ
    assert (scratch / "long.wav").stat().st_size <= 100_000


def test_memory_is_limited(scratch: Path) -> None:
    small = Fence(memory_bytes=64 << 20)
    hungry = [sys.executable, "-c", "len(bytearray(4 << 30))"]

    run = ended(hungry, scratch, small)

    assert run.returncode != 0
    assert b"MemoryError" in run.stderr


def test_the_environment_is_not_handed_on_but_for_the_mark(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "secret")
    monkeypatch.setenv(fence.MARK_VARIABLE, "ledger-1")

    said = ended(["/usr/bin/env"], scratch, Fence()).stdout.decode()

    assert "secret" not in said
    assert f"{fence.MARK_VARIABLE}=ledger-1" in said


def test_a_fenced_program_dies_with_the_process_that_started_it(tightest: Fence, scratch: Path) -> None:
    starter = f"""
import os, signal, subprocess, sys
from pathlib import Path
import msgspec
from jobreel.tools import fence
around = msgspec.json.decode({msgspec.json.encode(tightest)!r}, type=fence.Fence)
process = fence.start(["/bin/sleep", "60"], inside=Path({str(scratch)!r}), stdout=1, stderr=2, fence=around)
os.kill(os.getpid(), signal.SIGKILL)
"""
    # The sleeper holds the pipe open: its end is the end of the sleeper.
    dead = subprocess.run([sys.executable, "-c", starter], stdout=subprocess.PIPE, timeout=30, check=False)

    assert dead.returncode == -signal.SIGKILL
    assert dead.stdout == b""


def test_a_fence_survives_the_way_to_a_child(tightest: Fence) -> None:
    assert msgspec.json.decode(msgspec.json.encode(tightest), type=Fence) == tightest


def test_what_the_host_refuses_is_told_with_its_reason(tmp_path: Path) -> None:
    unreadable = tmp_path / "program"
    unreadable.write_text('#!/bin/sh\necho "cannot load my library" >&2\nexit 3\n')
    unreadable.chmod(0o755)

    found = Fence.probe([str(unreadable)])

    assert (found.landlock_abi, found.network) == (0, Network.HOST)
    assert [sentence.partition(":")[0] for sentence in found.missing] == ["Landlock", "Empty network namespace"]
    assert "cannot load my library" in found.missing[1]


def test_the_fence_in_use_is_the_default(tightest: Fence, scratch: Path) -> None:
    before = fence.in_use()
    fence.use(Fence(output_bytes=10))
    try:
        process = fence.start(
            in_shell("echo 12345678901234567890 > big"), inside=scratch, stdout=subprocess.DEVNULL, stderr=2
        )

        assert process.wait(30) != 0
        assert (scratch / "big").stat().st_size <= 10
    finally:
        fence.use(before)


def test_no_descriptor_is_left_behind(tightest: Fence, scratch: Path) -> None:
    ended(in_shell("true"), scratch, tightest)
    before = len(list(Path("/proc/self/fd").iterdir()))

    for _ in range(3):
        ended(in_shell("true"), scratch, tightest)

    assert len(list(Path("/proc/self/fd").iterdir())) == before
