"""kill -9 at each step of a job's life: every accepted job ends once, with its files and its webhook."""

import threading
from pathlib import Path

import httpx2
import psutil
import pytest
from tests.acceptance.held_service import STEPS
from tests.acceptance.running import KEY, Receiver, Running, free_port, processes_of, stray_files, until
from tests.clips import Clips

pytestmark = pytest.mark.slow
JOBS = 20


def submit_mix(service: Running, source: str, receiver: Receiver) -> list[str]:
    """20 jobs: quick ones, ones that make files, and ones that fail."""
    kinds = [
        ("toolkit/echo", {"message": "hello"}),
        ("video/thumbnail", {"video_url": source}),
        ("media/convert/mp3", {"media_url": source}),
        ("media/metadata", {"media_url": source}),
        ("media/convert", {"media_url": source.replace("/v1/files/", "/v1/files/0"), "format": "mp4"}),
    ]
    return [
        service.submit(kind, **request, webhook_url=receiver.url, id=f"{number}")
        for number, (kind, request) in enumerate(kinds * (JOBS // len(kinds)))
    ]


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_service_loses_no_job_no_file_and_no_webhook(step: str, tmp_path: Path, clips: Clips) -> None:
    data, said, port = tmp_path / "data", tmp_path / "held", free_port()
    held = ("-m", "tests.acceptance.held_service", step, str(said), str(port))
    with Receiver() as receiver:
        with Running(data, "-m", "jobreel", "serve", "--no-work", "--port", str(port), port=port) as front:
            source = front.upload(clips["sound.mp4"])
            jobs = submit_mix(front, source, receiver)
        with Running(data, *held, port=port) as service:
            until(said.exists, f"the service to reach: {step}", 60)
            service.kill()
        with Running(data, port=port) as service:
            service.all_done(jobs)
            until(lambda: len(receiver.ids_by_job()) == JOBS, "all webhooks")
            answers = {job_id: service.job(job_id) for job_id in jobs}
            check_the_ends(service, answers, source)
            ledger_id = (data / "ledger" / "ledger.id").read_text()
        until(lambda: not processes_of(ledger_id), "no process to be left")

    assert all(len(ids) == 1 for ids in receiver.ids_by_job().values()), "one webhook, one id, however often sent"
    assert set(receiver.ids_by_job()) == set(jobs)


def check_the_ends(service: Running, answers: dict[str, dict[str, object]], source: str) -> None:
    """Every job has its own end, and every file is whole and accounted for."""
    referred = {source.split("/")[5]}
    for job_id, answer in answers.items():
        envelope = answer["response"]["response"]  # type: ignore[index]
        assert envelope["job_id"] == job_id
        wrong = int(envelope["id"]) % 5 == 4
        assert (envelope["code"] == 200) is not wrong, envelope
        if str(envelope["response"]).startswith("http"):
            referred.add(envelope["response"].split("/")[5])
            file = httpx2.get(envelope["response"], trust_env=False)
            assert file.status_code == 200
            assert len(file.content) > 500
    until(lambda: stray_files(service.data, referred) == [], "no stray file")


def test_a_killed_child_is_replaced_and_its_job_tried_again(tmp_path: Path, clips: Clips) -> None:
    with Running(tmp_path / "data") as service:
        source = service.upload(clips["long.mp4"])
        job_id = service.submit("media/convert", media_url=source, format="mkv", video_preset="veryslow")
        until(lambda: any("ffmpeg" in name(child) for child in service.children()), "ffmpeg to run")
        [ffmpeg] = [child for child in service.children() if "ffmpeg" in name(child)]
        parent = ffmpeg.parent()
        assert parent is not None

        parent.kill()

        until(lambda: not ffmpeg.is_running() or ffmpeg.status() == "zombie", "its ffmpeg to end with it", 5)
        service.all_done([job_id])
        assert service.job(job_id)["status"] == "completed"


def name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return ""


def test_a_stop_gives_back_what_it_cannot_finish_and_the_next_start_finishes_it(
    tmp_path: Path, clips: Clips
) -> None:
    data = tmp_path / "data"
    port = free_port()
    with Running(data, port=port, JOBREEL_DRAIN="0.2") as service:
        source = service.upload(clips["long.mp4"])
        job_id = service.submit("media/convert", media_url=source, format="mkv", video_preset="veryslow")
        until(lambda: service.states()[job_id] == "running", "the job to run")
        service.process.terminate()
        assert service.process.wait(15) == 0
        assert "ffmpeg" not in " ".join(processes_of((data / "ledger" / "ledger.id").read_text()))
    with Running(data, port=port) as service:
        service.all_done([job_id])
        assert service.job(job_id)["status"] == "completed"


def test_whoever_waits_gets_a_202_when_the_service_stops(tmp_path: Path, clips: Clips) -> None:
    with Running(tmp_path / "data", JOBREEL_DRAIN="0.2") as service:
        source = service.upload(clips["long.mp4"])
        answers = []

        def wait_for_it() -> None:
            body = {"media_url": source, "format": "mkv", "video_preset": "veryslow"}
            answers.append(
                httpx2.post(f"{service.url}/v1/media/convert", json=body, headers={"x-api-key": KEY}, timeout=60)
            )

        waiting = threading.Thread(target=wait_for_it)
        waiting.start()
        until(lambda: "running" in service.states().values(), "the job to run")
        service.process.terminate()
        waiting.join(20)

        assert answers[0].status_code == 202
        assert answers[0].json()["job_id"] in answers[0].headers["location"]
        assert service.process.wait(20) == 0
