"""Names of files as people see them: made safe when they come in, quoted when they go out."""

import unicodedata
from pathlib import PurePosixPath
from urllib.parse import quote

MAX_NAME_BYTES = 180  # with room for a prefix under the 255 bytes that file systems take
MAX_SUFFIX_BYTES = 16
FALLBACK = "upload"


def safe_name(sent: str) -> str:
    """The last part of a name that a client sent, without control characters, in at most 180 bytes.

    Letters of any script stay. Characters that turn the direction of writing go (`gpj.exe` must not
    read as `exe.jpg`), and so do leading dots and spaces.
    """
    last_part = sent.replace("\\", "/").rpartition("/")[2]
    visible = "".join(character for character in last_part if not unicodedata.category(character).startswith("C"))
    name = unicodedata.normalize("NFC", visible).strip(" .")
    return _shortened(name) or FALLBACK


def _shortened(name: str) -> str:
    """At most `MAX_NAME_BYTES` in UTF-8, the extension kept."""
    suffix = PurePosixPath(name).suffix
    if len(suffix.encode()) > MAX_SUFFIX_BYTES:
        suffix = ""
    room = MAX_NAME_BYTES - len(suffix.encode())
    stem = name.removesuffix(suffix).encode()[:room].decode(errors="ignore")
    return stem + suffix


def content_disposition(kind: str, name: str) -> str:
    """`inline` or `attachment` with a name (RFC 6266): plain for old clients, UTF-8 for the rest."""
    plain = "".join(c if " " <= c <= "~" and c not in '"\\%' else "_" for c in name)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
