"""Small real media files, each made by ffmpeg the first time a test asks for it."""

import subprocess
from pathlib import Path

from jobreel.tools import ffmpeg

PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=2")
SOUND = ("-f", "lavfi", "-i", "sine=duration=2:sample_rate=44100")
# Two seconds of tone, one of silence, twice: it ends silent.
TONE_AND_SILENCE = (
    *("-f", "lavfi", "-i", "sine=duration=2:sample_rate=44100"),
    *("-f", "lavfi", "-i", "anullsrc=duration=1:sample_rate=44100:channel_layout=mono"),
    *("-filter_complex", "[0]asplit[a][b];[1]asplit[c][d];[a][c][b][d]concat=n=4:v=0:a=1"),
)
LEFT_ONLY = ("-f", "lavfi", "-i", "aevalsrc=sin(880*PI*t)|0:duration=2:sample_rate=44100")
IN_THE_CENTRE = ("-f", "lavfi", "-i", "sine=duration=2,pan=5.1|c2=c0")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")

RECIPES: dict[str, tuple[str, ...]] = {
    "sound.mp4": (*PICTURE, *SOUND, *H264, "-c:a", "aac"),
    "silent.mp4": (*PICTURE, *H264),
    "song.mp3": (*SOUND, "-c:a", "libmp3lame"),
    "song.wav": SOUND,
    "song.ogg": (*SOUND, "-c:a", "libvorbis"),
    "stereo.wav": (*SOUND, "-ac", "2"),
    "six.mka": (*SOUND, "-af", "aformat=channel_layouts=5.1(side)", "-c:a", "ac3"),
    "fine.wav": ("-f", "lavfi", "-i", "sine=duration=1:sample_rate=96000"),
    "pauses.wav": TONE_AND_SILENCE,
    "left.wav": LEFT_ONLY,
    "centre.flac": IN_THE_CENTRE,
    "odd.mkv": ("-f", "lavfi", "-i", "testsrc=size=161x121:rate=25:duration=1", "-c:v", "ffv1"),
    "vp9.webm": (*PICTURE, "-c:v", "libvpx-vp9", "-cpu-used", "8", "-deadline", "realtime"),
    "hdr.mp4": (
        *PICTURE,
        *("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-x265-params", "log-level=none"),
        *("-color_trc", "smpte2084", "-color_primaries", "bt2020", "-colorspace", "bt2020nc"),
    ),
    "wide_pixels.mp4": (*PICTURE, *H264, "-vf", "setsar=2"),
    "long.mp4": ("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=20", *SOUND, *H264),
    "wide.mp4": ("-f", "lavfi", "-i", "testsrc2=size=960x540:rate=25:duration=1", *H264),
    "one_frame.mp4": (*PICTURE, *H264, "-frames:v", "1"),
    "early_picture.mp4": (*PICTURE, "-f", "lavfi", "-i", "sine=duration=8", *H264, "-c:a", "aac"),
    "picture.png": (*PICTURE, "-frames:v", "1"),
    "red_then_blue.mp4": (
        *("-f", "lavfi", "-i", "color=red:size=64x64:rate=25:duration=1"),
        *("-f", "lavfi", "-i", "color=blue:size=64x64:rate=25:duration=1"),
        *("-filter_complex", "[0][1]concat=n=2", *H264),
    ),
    "huge.png": ("-f", "lavfi", "-i", "color=size=8100x8000", "-frames:v", "1", "-pix_fmt", "gray"),
}


class Clips:
    """The files of `RECIPES` and what is made from them, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getitem__(self, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            self._ffmpeg(*RECIPES[name], str(path))
        return path

    def rotated(self) -> Path:
        """A landscape picture that players turn by 90 degrees clockwise, as phones record it."""
        return self._copied("rotated.mp4", self["sound.mp4"], "-display_rotation", "-90")

    def with_cover(self) -> Path:
        """A song with a cover picture."""
        path = self.folder / "cover.mp3"
        if not path.exists():
            sources = ("-i", str(self["song.mp3"]), "-i", str(self["picture.png"]), "-map", "0", "-map", "1")
            self._ffmpeg(*sources, "-c", "copy", "-disposition:v", "attached_pic", str(path))
        return path

    def renamed(self, name: str, to: str) -> Path:
        return self.holding(to, self[name].read_bytes())

    def truncated(self, name: str) -> Path:
        """The first two thirds of a file."""
        whole = self[name].read_bytes()
        return self.holding(f"truncated_{name}", whole[: len(whole) * 2 // 3])

    def holding(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def playlist(self, name: str, entry: Path) -> Path:
        """An HLS playlist whose one segment is another local file."""
        lines = ("#EXTM3U", "#EXT-X-TARGETDURATION:2", "#EXTINF:2,", entry.as_uri(), "#EXT-X-ENDLIST", "")
        return self.holding(name, "\n".join(lines).encode())

    def _copied(self, name: str, source: Path, *input_options: str) -> Path:
        path = self.folder / name
        if not path.exists():
            self._ffmpeg(*input_options, "-i", str(source), "-c", "copy", str(path))
        return path

    def _ffmpeg(self, *arguments: str) -> None:
        command = [str(ffmpeg.program()), "-nostdin", "-loglevel", "error", *arguments]
        subprocess.run(command, check=True, timeout=60)
