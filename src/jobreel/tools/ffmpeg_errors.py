"""What ffmpeg's failures mean: from an exit code and its last lines to one of our errors, the reason first."""

import re
import signal
from collections.abc import Sequence
from typing import NamedTuple

from jobreel.core.errors import JobFailed, OutOfMemory, ScratchFull, TooLarge, ToolFailed, UnsupportedMedia

STEP = "encode"
TOO_MANY_DECODE_ERRORS = 69  # more than -max_error_rate, two thirds of all frames
MAX_REASONS = 3
MAX_REASON_CHARACTERS = 300

_DAMAGED = "The file is damaged, cut short, or of a kind that cannot be read."
_RESULT_TOO_LARGE = "The result is larger than one file may be here."
_LINE = re.compile(r"^(?:x26[45] |\[[^\]]*\] )*?\[(?P<level>panic|fatal|error|warning|info)\]:? (?P<words>.*)$")
_ADDRESS = re.compile(r"\b[a-z]+://\S+")
_PATH = re.compile(r"(?<![\w/])/[\w./@+-]+")

# Said after the reason was given, or instead of one.
_EMPTY_WORDS = re.compile(
    r"^(Task finished with error code|Terminating thread|Conversion failed|Error sending frames|"
    r"Error opening (input|output) files?\b|Error while opening encoder|Could not open encoder before EOF|"
    r"Error submitting|Error muxing|Error writing trailer|Error closing file|Last message repeated|"
    r"Nothing was written|Format not on whitelist|Error initializing|Error while filtering)"
)


class NothingWritten(UnsupportedMedia):
    """Nothing of the source could be decoded where it was asked for, so the output would be empty."""


class _Cause(NamedTuple):
    """What ffmpeg says (a pattern), and what that means."""

    said: str
    error: type[JobFailed]
    words: str


_CAUSES = (  # the first that matches is told
    _Cause(
        "No space left on device|Disk quota exceeded",
        ScratchFull,
        "The disk ran full while the file was being made.",
    ),
    _Cause(
        "Cannot allocate memory|malloc of size|Resource temporarily unavailable",
        OutOfMemory,
        "ffmpeg needed more memory than one job may take.",
    ),
    _Cause("File too large", TooLarge, _RESULT_TOO_LARGE),
    _Cause(
        r"exceeds specified max pixel count|Picture size \d+x\d+ is invalid|Invalid (image|picture) size",
        TooLarge,
        "The picture has more pixels than are read here.",
    ),
    _Cause(
        "not on whitelist",
        UnsupportedMedia,
        "Files of this kind are not opened: they are no media, or they name other files.",
    ),
    _Cause(
        "Could not find tag for codec|not currently supported in container|supports only codec|"
        r"Only VP8 or VP9 or AV1|Exactly one \w+ audio stream",
        UnsupportedMedia,
        "A stream of the source cannot be copied into this kind of file; leave out `copy` to convert it.",
    ),
    _Cause(
        "Decoder .* not found|Unknown decoder|no decoder",
        UnsupportedMedia,
        "There is no decoder for this kind of media here.",
    ),
    _Cause("received no packets|Output file is empty", NothingWritten, "Nothing could be decoded there."),
    _Cause(
        "Invalid data found when processing input|moov atom not found|error rate .* exceeds maximum",
        UnsupportedMedia,
        _DAMAGED,
    ),
)


def failure(exit_code: int, tail: Sequence[str]) -> JobFailed:
    """The error that tells why ffmpeg ended with `exit_code` (negative: a signal), after its last lines."""
    if exit_code < 0:
        return _killed(signal.Signals(-exit_code))
    complaints = _complaints(tail)
    reasons = _told(complaints)
    for cause in _CAUSES:
        if re.search(cause.said, "\n".join(complaints)):
            return cause.error(f"{cause.words} (ffmpeg: {reasons})" if reasons else cause.words, step=STEP)
    if exit_code == TOO_MANY_DECODE_ERRORS:
        return UnsupportedMedia(_DAMAGED, step=STEP)
    return ToolFailed(f"ffmpeg failed: {reasons or f'it gave {exit_code} and no reason'}.", step=STEP)


def _killed(by: signal.Signals) -> JobFailed:
    match by:
        case signal.SIGXFSZ:
            return TooLarge(_RESULT_TOO_LARGE, step=STEP)
        case signal.SIGKILL:
            return OutOfMemory("ffmpeg was killed, most likely because memory ran out.", step=STEP)
        case _:
            return ToolFailed(f"ffmpeg crashed ({by.name}).", step=STEP)


def _complaints(tail: Sequence[str]) -> list[str]:
    """What it said as an error, in order, without prefixes."""
    found = (_LINE.match(line) for line in tail)
    return [each["words"] for each in found if each and each["level"] in {"panic", "fatal", "error"}]


def _told(complaints: Sequence[str]) -> str:
    """The last few complaints that say something, without addresses (they may carry keys) and paths."""
    useful = dict.fromkeys(line.rstrip(".") for line in complaints if not _EMPTY_WORDS.match(line))
    text = "; ".join(list(useful)[-MAX_REASONS:])
    return _PATH.sub("(path)", _ADDRESS.sub("(address)", text))[:MAX_REASON_CHARACTERS]
