"""Memory: what the whole process tree takes when idle, and after many jobs. Shared pages are counted once (PSS)."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from bench import NotMeasured
from bench.figures import Figure, at_most
from bench.ledgers import reader
from bench.load import Question, so_many
from bench.scale import Scale
from bench.service import ASYNC, SLOTS, service

SETTLE_SECONDS = 2.0  # after the last job: children are replaced, caches are written
WITHIN_SECONDS = 150.0
PYTHONS = 1 + SLOTS + 1  # the service, its slots and the light one


def measure(scale: Scale, folder: Path) -> list[Figure]:
    """Raises `NotMeasured` for users who may not look into the service."""
    if os.geteuid() != 0:
        raise NotMeasured("the service hides its memory from its own user; run this as root")
    bare = _bare_interpreters_mb()
    with service(folder / "data") as up, reader(up.data) as ledger:
        time.sleep(SETTLE_SECONDS)
        idle = tree_mb(up.pid)
        so_many(Question(up, up.request("/v1/toolkit/echo", {"message": "hello"}, ASYNC)), 32, scale.many_jobs)
        ledger.wait_until_done(scale.many_jobs, WITHIN_SECONDS)
        time.sleep(SETTLE_SECONDS)
        after = tree_mb(up.pid)
    return [
        Figure(
            what=f"idle, {SLOTS} slots: PSS of the whole process tree",
            unit="MB",
            measured=idle,
            goal=at_most(200),
            beside=f"{PYTHONS} bare interpreters",
            beside_measured=bare,
        ),
        Figure(
            what=f"after {scale.many_jobs:,} jobs",
            unit="MB",
            measured=after,
            beside="idle",
            beside_measured=idle,
            ratio_goal=at_most(1.2),
        ),
    ]


def tree_mb(pid: int) -> float:
    """Proportional set size of a process and its descendants. Source: proc_pid_smaps(5)."""
    head = psutil.Process(pid)
    return sum(pss_mb(process.pid) for process in [head, *head.children(recursive=True)])


def pss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6


def _bare_interpreters_mb() -> float:
    command = [sys.executable, "-c", "print(flush=True); input()"]
    pythons = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(PYTHONS)]
    try:
        for python in pythons:
            assert python.stdout is not None
            python.stdout.readline()  # it is up
        return sum(pss_mb(python.pid) for python in pythons)
    finally:
        for python in pythons:
            python.communicate(b"\n")
