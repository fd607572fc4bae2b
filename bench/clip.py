"""The clip that ffmpeg jobs are measured with: one second of moving picture with a tone."""

import subprocess
from pathlib import Path

from jobreel.tools import ffmpeg


def make_clip(folder: Path) -> Path:
    """An mp4 of 720p without an extension, as jobs name what they fetch."""
    path = folder / "clip"
    picture, tone = "testsrc2=size=1280x720:rate=25:duration=1", "sine=duration=1"
    made_of = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone, "-c:v", "libx264", "-preset", "veryfast"]
    command = [str(ffmpeg.program()), "-nostdin", "-loglevel", "error", *made_of, "-pix_fmt", "yuv420p"]
    subprocess.run([*command, "-c:a", "aac", "-f", "mp4", str(path)], check=True, timeout=60)
    return path
