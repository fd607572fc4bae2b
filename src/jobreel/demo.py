"""`jobreel demo`: a service of its own for a minute, real jobs through its HTTP API, and what came of them."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2
import imageio_ffmpeg
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

STARTS_WITHIN_SECONDS = 30.0
STOPS_WITHIN_SECONDS = 30.0
JOBS_END_WITHIN_SECONDS = 75.0
WEBHOOK_WITHIN_SECONDS = 20.0
POLL_SECONDS = 0.2
CLIP_SECONDS = 10
HANDED_ON = ("PATH", "HOME", "LANG", "TMPDIR")  # of our environment to the service's: no settings of another one


class DemoFailed(Exception):
    """Something that the demonstration promises did not happen."""


@dataclass(frozen=True, slots=True)
class Order:
    """One job to submit. `file_name` is what its file is kept as; None: its response is no file."""

    job_type: str
    fields: Mapping[str, Any]
    file_name: str | None
    with_webhook: bool = False


ORDERS = (
    Order("media/metadata", {}, None),
    Order("video/thumbnail", {"second": 3}, "thumbnail"),
    Order("media/convert/mp3", {"bitrate": "128k"}, "sound"),
    Order("media/convert", {"format": "mp4", "video_crf": 34, "video_preset": "veryfast"}, "smaller", True),
)


def run(output: Path) -> int:
    """Do it all and say so; the produced files are left in `output`. Returns an exit status."""
    console = Console(highlight=False)
    started = time.monotonic()
    try:
        output.mkdir(parents=True, exist_ok=True)
        with _service(console) as api, Receiver() as receiver:
            _show(api, receiver, output.absolute(), console)
    except (DemoFailed, OSError, httpx2.HTTPError) as failure:
        Console(stderr=True).print(f"[red]The demonstration failed:[/] {failure}")
        return 1
    console.print(f"[green]All of it worked[/], in {time.monotonic() - started:.0f} s.")
    return 0


def _show(api: "Api", receiver: "Receiver", output: Path, console: Console) -> None:
    clip = _make_clip(output / "clip.mp4")
    clip_url = api.upload(clip)
    console.print(f"A clip with sound: {_described(clip)}, uploaded to\n  {clip_url}", soft_wrap=True)
    jobs = {_submit(api, order, clip_url, receiver.url): order for order in ORDERS}
    final_map = _watch(api, jobs, console)
    console.print("\nPOST /v1/toolkit/jobs/status says:")
    console.print_json(data=final_map)
    for job_id, order in jobs.items():
        _collect(api, job_id, order, output, console)
    if (output / "smaller.mp4").stat().st_size >= clip.stat().st_size:
        raise DemoFailed("the smaller mp4 is no smaller than the clip")
    _show_webhook(receiver, jobs, console)
    console.print(f"\nThe files are in {output}", soft_wrap=True)


# -- the steps --------------------------------------------------------------------------------------------


def _make_clip(path: Path) -> Path:
    """A test picture with a tone, encoded generously, so that there is something to make smaller."""
    picture = f"testsrc2=size=1280x720:rate=30:duration={CLIP_SECONDS}"
    tone = f"sine=frequency=440:duration={CLIP_SECONDS}"
    arguments = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone, "-c:v", "libx264", "-preset", "ultrafast"]
    encoding = ["-crf", "16", "-pix_fmt", "yuv420p", "-c:a", "aac", "-movflags", "+faststart", "-y", str(path)]
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-hide_banner", "-loglevel", "error"]
    made = subprocess.run([*ffmpeg, *arguments, *encoding], capture_output=True, text=True, check=False, timeout=60)
    if made.returncode != 0:
        raise DemoFailed(f"ffmpeg could not make a clip: {made.stderr.strip()}")
    return path


def _submit(api: "Api", order: Order, clip_url: str, webhook_url: str) -> str:
    source = "video_url" if order.job_type.startswith("video/") else "media_url"
    body = {source: clip_url, **order.fields, **({"webhook_url": webhook_url} if order.with_webhook else {})}
    accepted = api.call(f"/v1/{order.job_type}", body, expect=202)
    return str(accepted["job_id"])


def _watch(api: "Api", jobs: Mapping[str, Order], console: Console) -> dict[str, str]:
    """Follow the monitor until every job is done; the last answer's map of job id to word."""
    deadline = time.monotonic() + JOBS_END_WITHIN_SECONDS
    with _progress(console) as progress:
        bars = {job_id: progress.add_task(order.job_type, word="", total=1.0) for job_id, order in jobs.items()}
        while time.monotonic() < deadline:
            words: dict[str, str] = api.call("/v1/toolkit/jobs/status", {})["response"]
            for job_id, bar in bars.items():
                _move(progress, bar, words.get(job_id, "missing"), api.progress(job_id))
            if all(words.get(job_id) == "done" for job_id in jobs):
                return words
            time.sleep(POLL_SECONDS)
    raise DemoFailed(f"after {JOBS_END_WITHIN_SECONDS:.0f} s some jobs were not done: {words}")


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description:<18}"), TextColumn("{task.fields[word]:<8}"), BarColumn())
    return Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal)


def _move(progress: Progress, bar: TaskID, word: str, fraction: float) -> None:
    """Show a job's word and how far it is; where nobody watches live, print each change of the word instead."""
    task = progress.tasks[bar]
    if task.fields["word"] != word and not progress.console.is_terminal:
        progress.console.print(f"  {task.description:<18} {word}")
    if not task.finished:
        progress.update(bar, word=word, completed=1.0 if word == "done" else fraction)


def _collect(api: "Api", job_id: str, order: Order, output: Path, console: Console) -> None:
    """Read how a job ended, and keep its file."""
    result = api.call("/v1/toolkit/job/status", {"job_id": job_id})["response"]["response"]
    if result["code"] != 200:
        raise DemoFailed(f"{order.job_type} ended with {result['code']}: {result['message']}")
    if order.file_name is None:
        facts = result["response"]
        told = (
            f"{facts['duration_formatted']}, {facts['resolution']}, {facts['video_codec']}, {facts['audio_codec']}"
        )
    else:
        url = result["response"]
        told = _described(api.download(url, output / (order.file_name + PurePosixPath(urlsplit(url).path).suffix)))
    console.print(f"{order.job_type:<18} {told}, ran for {result['run_time']:.2f} s")


def _show_webhook(receiver: "Receiver", jobs: Mapping[str, Order], console: Console) -> None:
    webhook_id, told = receiver.first(WEBHOOK_WITHIN_SECONDS)
    expected = next(job_id for job_id, order in jobs.items() if order.with_webhook)
    if told.get("job_id") != expected or told.get("code") != 200:
        raise DemoFailed(f"the webhook told of something else: {told}")
    console.print(f"\nThe webhook that arrived, {webhook_id}:")
    console.print_json(data=told)


def _described(path: Path) -> str:
    size = path.stat().st_size
    if size == 0:
        raise DemoFailed(f"{path.name} is empty")
    return f"{path.name} ({size / 1024:,.0f} KiB)"


# -- the service and the two who talk to it ---------------------------------------------------------------


class Api:
    """The service as a caller sees it: an address and a key."""

    def __init__(self, base: str, key: str) -> None:
        headers = {"x-api-key": key, "prefer": "respond-async"}
        self._client = httpx2.Client(base_url=base, headers=headers, timeout=30.0, trust_env=False)

    def call(self, path: str, body: Mapping[str, Any], expect: int = 200) -> dict[str, Any]:
        answer = self._client.post(path, json=dict(body))
        if answer.status_code != expect:
            raise DemoFailed(f"POST {path} was answered {answer.status_code}: {answer.text}")
        return dict(answer.json())

    def progress(self, job_id: str) -> float:
        """How far a job is, 0 to 1."""
        told = self.call("/v1/toolkit/job/status", {"job_id": job_id}).get("progress") or {}
        return float(told.get("fraction") or 0.0)

    def upload(self, path: Path) -> str:
        with path.open("rb") as file:
            answer = self._client.post("/v1/files/upload", files={"file": (path.name, file, "video/mp4")})
        if answer.status_code != 200:
            raise DemoFailed(f"the upload was answered {answer.status_code}: {answer.text}")
        return str(answer.json()["url"])

    def download(self, url: str, path: Path) -> Path:
        answer = self._client.get(url)
        if answer.status_code != 200:
            raise DemoFailed(f"{url} was answered {answer.status_code}")
        path.write_bytes(answer.content)
        return path

    def is_up(self) -> bool:
        with contextlib.suppress(httpx2.HTTPError):
            return self._client.get("/health").status_code == 200
        return False

    def close(self) -> None:
        self._client.close()


class Receiver:
    """A small local receiver of webhooks."""

    def __init__(self) -> None:
        self._came = came = SimpleQueue[tuple[str, dict[str, Any]]]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                came.put((self.headers.get("webhook-id", "without an id"), msgspec.json.decode(body)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """The console is for the demonstration's own words."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/done"

    def first(self, within_seconds: float) -> tuple[str, dict[str, Any]]:
        """The first webhook's id and body."""
        try:
            return self._came.get(timeout=within_seconds)
        except Empty:
            raise DemoFailed(f"no webhook arrived within {within_seconds:.0f} s") from None

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def _service(console: Console) -> Iterator[Api]:
    """A service on a temporary data directory, up while the block runs."""
    port, key = _free_port(), secrets.token_urlsafe(16)
    with tempfile.TemporaryDirectory(prefix="jobreel-demo-") as folder:
        log = Path(folder) / "service.log"
        with log.open("wb") as lines:
            command = [sys.executable, "-m", "jobreel", "serve", "--port", str(port)]
            process = subprocess.Popen(
                command, env=_environment(Path(folder), key), stdin=subprocess.DEVNULL, stdout=lines, stderr=lines
            )
        api = Api(f"http://127.0.0.1:{port}", key)
        try:
            _wait_until_up(api, process, log)
            console.print(f"A Jobreel service of our own listens on http://127.0.0.1:{port}")
            yield api
        finally:
            api.close()
            _stop(process)


def _environment(folder: Path, key: str) -> dict[str, str]:
    """The service's settings: as for anybody, but that it may visit the receiver next door."""
    return {
        **{name: os.environ[name] for name in HANDED_ON if name in os.environ},
        "API_KEY": key,
        "JOBREEL_DATA_DIR": str(folder / "data"),
        "JOBREEL_ALLOW_NETWORKS": "127.0.0.1/32",
    }


def _wait_until_up(api: Api, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    while not api.is_up():
        if process.poll() is not None or time.monotonic() > deadline:
            raise DemoFailed(f"the service did not start; its last words:\n{log.read_text()[-4000:]}")
        time.sleep(POLL_SECONDS)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOPS_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise DemoFailed(f"the service did not stop within {STOPS_WITHIN_SECONDS:.0f} s") from None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
