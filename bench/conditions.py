"""The conditions of a run: the machine, its disk, who else was using it, and the versions."""

import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from jobreel import __version__
from jobreel.check import file_system
from jobreel.store.sqlite import SQLITE_VERSION
from jobreel.tools import ffmpeg

PACKAGES = ("uvicorn", "uvloop", "starlette", "msgspec", "SQLAlchemy")
LOOK_SECONDS = 0.5
SYNCS = 200


def conditions(folder: Path) -> dict[str, Any]:
    """What a reader must know to compare two runs. `folder` is where data directories are made."""
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "kernel": platform.release(),
        "load_average": os.getloadavg(),
        "file_system": file_system(folder),
        "sync_ms": round(sync_seconds(folder) * 1000, 3),
        "jobreel": __version__,
        "python": platform.python_version(),
        "sqlite": SQLITE_VERSION,
        "ffmpeg": _ffmpeg_version(),
        **{name.lower(): version(name) for name in PACKAGES},
    }


def cores_busy() -> float:
    """How many cores are busy now: with nothing of ours running, the noise in what follows."""
    return float(psutil.cpu_percent(LOOK_SECONDS)) / 100 * (psutil.cpu_count() or 1)


def sync_seconds(folder: Path) -> float:
    """How long the disk takes to make 4 KiB durable: the median of some tries."""
    path, taken = folder / "sync", []
    with path.open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            file.write(bytes(4096))
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - started)
    path.unlink()
    return median(taken)


def _processor() -> str:
    names = (line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    return next(names, "").partition(":")[2].strip() or platform.machine()


def _ffmpeg_version() -> str:
    said = subprocess.run([ffmpeg.program(), "-version"], capture_output=True, text=True, check=True, timeout=20)
    return said.stdout.split()[2]
