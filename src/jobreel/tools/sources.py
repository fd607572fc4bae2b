"""Sources: what people hand over as a media address although it is a page, and how to say so.

Share links become direct ones only where their makers document how.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode

from jobreel.tools.urls import HttpUrl

SNIFF_BYTES = 1024
SHARE_A_FILE = (
    "Give the address of the file itself: opened in a private browser window, it plays or downloads at once."
)


@dataclass(frozen=True, slots=True)
class Site:
    """A place whose links people share."""

    page: str  # what such a link leads to
    hint: str  # what to share instead
    always_a_page: bool = False  # it is not even worth asking


_PLAYER = "Download the video with a tool made for this site, and give the address of the file you got."
_SITES = {
    "youtube.com": Site("a YouTube page", _PLAYER, always_a_page=True),
    "youtu.be": Site("a YouTube page", _PLAYER, always_a_page=True),
    "tiktok.com": Site("a TikTok page", _PLAYER, always_a_page=True),
    "instagram.com": Site("an Instagram page", _PLAYER, always_a_page=True),
    "facebook.com": Site("a Facebook page", _PLAYER, always_a_page=True),
    "fb.watch": Site("a Facebook page", _PLAYER, always_a_page=True),
    "x.com": Site("a page of X", _PLAYER, always_a_page=True),
    "twitter.com": Site("a page of X", _PLAYER, always_a_page=True),
    "vimeo.com": Site("a Vimeo page", _PLAYER),
    "dailymotion.com": Site("a Dailymotion page", _PLAYER),
    "twitch.tv": Site("a Twitch page", _PLAYER),
    "loom.com": Site("a Loom page", _PLAYER),
    "drive.google.com": Site(
        "a Google Drive page",
        "Share the file (not its folder) with 'Anyone with the link'. Drive shows a warning page instead of files "
        "over 100 MB: put those on another storage.",
    ),
    "drive.usercontent.google.com": Site(
        "Google Drive's warning page for large files", "Put files over 100 MB on another storage."
    ),
    "docs.google.com": Site("a Google Docs page", SHARE_A_FILE),
    "photos.google.com": Site("a Google Photos page", "Download the file and share it from a file storage."),
    "photos.app.goo.gl": Site("a Google Photos page", "Download the file and share it from a file storage."),
    "dropbox.com": Site("a Dropbox page", "Share the file, not its folder, with 'Anyone with this link'."),
    "onedrive.live.com": Site("a OneDrive page", SHARE_A_FILE),
    "1drv.ms": Site("a OneDrive page", SHARE_A_FILE),
    "sharepoint.com": Site("a SharePoint page", SHARE_A_FILE),
    "wetransfer.com": Site("a WeTransfer page", "Download the file and share it from a file storage.", True),
    "we.tl": Site("a WeTransfer page", "Download the file and share it from a file storage.", always_a_page=True),
    "icloud.com": Site("an iCloud page", "Download the file and share it from a file storage."),
    "mega.nz": Site("a MEGA page", "Download the file and share it from a file storage.", always_a_page=True),
    "mediafire.com": Site("a MediaFire page", SHARE_A_FILE),
    "box.com": Site("a Box page", SHARE_A_FILE),
    "github.com": Site("a GitHub page", "Use the address behind the page's 'Raw' button."),
}
_PAGE_HOST = re.compile(r"(?:www|m|vm|vt|music|mobile)\.")  # elsewhere below these sites real files are served
_DRIVE_FILE = re.compile(r"/file/(?:u/\d+/)?d/([A-Za-z0-9_-]+)")


@dataclass(frozen=True, slots=True)
class NotMedia:
    """What there is instead of media, with its article, and what to do about it."""

    what: str
    hint: str


def page_at(url: HttpUrl) -> NotMedia | None:
    """What this address leads to, where it is known to be a page before anybody asks."""
    site = _SITES.get(_PAGE_HOST.sub("", url.host, count=1))
    return NotMedia(site.page, site.hint) if site is not None and site.always_a_page else None


def direct(url: HttpUrl) -> HttpUrl:
    """The address of the file behind a share link, where its maker says what that is; else `url`."""
    if url.host in {"dropbox.com", "www.dropbox.com"} and url.path.startswith(("/s/", "/scl/fi/")):
        return replace(url, target=_dropbox_target(url.target))
    if url.host == "drive.google.com" and (target := _drive_target(url)):
        return replace(url, target=target)
    return url


def what_came(head: bytes, content_type: str | None, urls: Iterable[HttpUrl]) -> NotMedia | None:
    """What a response is, where it cannot be media; None: it may be. `urls` are the places it came by.

    `head` holds its first `SNIFF_BYTES`. A declared page is believed unless its bytes are binary: scripts
    that hand out files often leave their default type.
    """
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\t\n\x0c\r ")
    declared = (content_type or "").partition(";")[0].strip().lower()
    if text.startswith(b"#EXTM3U") or _begins_with(text, _DASH):
        return NotMedia("a streaming playlist", "Give the address of one file, such as an .mp4.")
    if _begins_with(text, _HTML) or (declared in {"text/html", "application/xhtml+xml"} and b"\0" not in head):
        site = _site(urls)
        return NotMedia(site.page, site.hint) if site else NotMedia("a web page", SHARE_A_FILE)
    return None


def site_hint(urls: Iterable[HttpUrl]) -> str | None:
    """What to share instead of a link to a known site."""
    site = _site(urls)
    return site.hint if site else None


# Possessive and atomic, so that a page made of comments cannot keep the matcher busy.
_PROLOGUE = rb"(?:<\?xml[^>]*+>|(?><!--.*?-->)|\s)*+"
_HTML = re.compile(
    _PROLOGUE + rb"<(?:!doctype\s+html|(?:html|head|body|title|script)[\s>])", re.IGNORECASE | re.DOTALL
)
_DASH = re.compile(_PROLOGUE + rb"<MPD[\s>]", re.DOTALL)


def _begins_with(text: bytes, mark: re.Pattern[bytes]) -> bool:
    return mark.match(text) is not None


def _site(urls: Iterable[HttpUrl]) -> Site | None:
    """The first known site among these places."""
    for url in urls:
        labels = url.host.split(".")
        for start in range(len(labels)):
            if site := _SITES.get(".".join(labels[start:])):
                return site
    return None


def _dropbox_target(target: str) -> str:
    """With dl=1 the link downloads. Source: Dropbox help, "How to force a shared link to download"."""
    path, _, query = target.partition("?")
    kept = [part for part in query.split("&") if part and not part.startswith("dl=")]
    return target if "raw=1" in kept else f"{path}?{'&'.join([*kept, 'dl=1'])}"


def _drive_target(url: HttpUrl) -> str | None:
    """The form of `webContentLink` in the Drive API's file resource; a link's resource key goes with it.

    Source: Drive API v3, resource `files`, and "Access link-shared Drive files using resource keys".
    """
    query = dict(parse_qsl(url.target.partition("?")[2]))
    found = _DRIVE_FILE.match(url.path)
    file_id = found[1] if found else query.get("id") if url.path == "/open" else None
    if not file_id:
        return None
    key = {"resourcekey": query["resourcekey"]} if "resourcekey" in query else {}
    return "/uc?" + urlencode({"export": "download", "id": file_id} | key)
