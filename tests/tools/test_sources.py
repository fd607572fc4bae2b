import pytest

from jobreel.tools.sources import direct, page_at, what_came
from jobreel.tools.urls import HttpUrl

PLACE = HttpUrl.parse("https://media.test/clip.mp4")


@pytest.mark.parametrize(
    ("shared", "file"),
    [
        ("https://www.dropbox.com/s/abc/clip.mp4?dl=0", "https://www.dropbox.com/s/abc/clip.mp4?dl=1"),
        ("https://www.dropbox.com/s/abc/clip.mp4", "https://www.dropbox.com/s/abc/clip.mp4?dl=1"),
        (
            "https://www.dropbox.com/scl/fi/a/clip.mp4?rlkey=k%2B1&st=x&dl=0",
            "https://www.dropbox.com/scl/fi/a/clip.mp4?rlkey=k%2B1&st=x&dl=1",
        ),
        (
            "https://drive.google.com/file/d/1aB_c-D/view?usp=sharing",
            "https://drive.google.com/uc?export=download&id=1aB_c-D",
        ),
        (
            "https://drive.google.com/file/u/0/d/1aB/view?resourcekey=0-xyz",
            "https://drive.google.com/uc?export=download&id=1aB&resourcekey=0-xyz",
        ),
        ("https://drive.google.com/open?id=1aB", "https://drive.google.com/uc?export=download&id=1aB"),
    ],
)
def test_a_share_link_becomes_the_address_of_its_file(shared: str, file: str) -> None:
    assert str(direct(HttpUrl.parse(shared))) == file


@pytest.mark.parametrize(
    "url",
    [
        "https://www.dropbox.com/s/abc/clip.mp4?raw=1",
        "https://www.dropbox.com/scl/fo/folder/h?rlkey=k&dl=0",
        "https://drive.google.com/drive/folders/1aB",
        "https://drive.google.com/uc?export=download&id=1aB",
        "https://media.test/file/d/1aB/view?dl=0",
        "https://dropbox.com.media.test/s/abc/clip.mp4",
    ],
)
def test_any_other_address_is_left_as_it_is(url: str) -> None:
    assert str(direct(HttpUrl.parse(url))) == url


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("https://www.youtube.com/watch?v=x", "YouTube"),
        ("https://youtu.be/x", "YouTube"),
        ("https://m.youtube.com/shorts/x", "YouTube"),
        ("https://vm.tiktok.com/x/", "TikTok"),
        ("https://www.instagram.com/reel/x/", "Instagram"),
        ("https://we.tl/t-x", "WeTransfer"),
    ],
)
def test_a_page_that_is_known_is_named_before_it_is_asked_for(url: str, word: str) -> None:
    page = page_at(HttpUrl.parse(url))

    assert page is not None
    assert word in page.what


@pytest.mark.parametrize(
    "url",
    [
        "https://i.ytimg.com/x.jpg",
        "https://v16.tiktok.com/video.mp4",
        "https://download.wetransfer.com/x.mp4",
        "https://notyoutube.com/clip.mp4",
        "https://youtube.com.media.test/clip.mp4",
    ],
)
def test_files_near_a_known_page_are_asked_for(url: str) -> None:
    assert page_at(HttpUrl.parse(url)) is None


@pytest.mark.parametrize(
    ("head", "content_type"),
    [
        (b"<!DOCTYPE html><html>", "video/mp4"),
        (b"\xef\xbb\xbf \r\n<!-- hi -->\n<HTML lang=en>", None),
        (b'<?xml version="1.0"?><html xmlns="x">', "application/octet-stream"),
        (b"Please sign in", "text/html; charset=utf-8"),
        (b"<div>", "TEXT/HTML"),
    ],
)
def test_a_web_page_is_recognised_by_its_type_and_by_its_bytes(head: bytes, content_type: str | None) -> None:
    came = what_came(head, content_type, [PLACE])

    assert came is not None
    assert came.what == "a web page"


@pytest.mark.parametrize(
    ("head", "content_type"),
    [
        (b"\0\0\0\x20ftypisom", "video/mp4"),
        (b"\0\0\0\x20ftypisom", "text/html"),  # a script that never set its type
        (b"RIFF\0\0\0\0WAVE", None),
        (b"1\n00:00:01,000 --> 00:00:02,000\n<b>hi</b>", "text/plain"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", "image/svg+xml"),
        (b"<!-- Generator --><svg>", "image/svg+xml"),
        (b"<header>", "text/plain"),
    ],
)
def test_media_and_captions_are_not_taken_for_a_page(head: bytes, content_type: str | None) -> None:
    assert what_came(head, content_type, [PLACE]) is None


def test_a_page_made_of_comments_does_not_keep_us_busy() -> None:
    assert what_came(b"<!---->" * 300, "video/mp4", [PLACE]) is None


@pytest.mark.parametrize("head", [b"#EXTM3U\n#EXT-X-VERSION:3", b'<?xml version="1.0"?>\n<MPD xmlns="x">'])
def test_a_playlist_posing_as_media_is_told(head: bytes) -> None:
    came = what_came(head, "video/mp4", [PLACE])

    assert came is not None
    assert came.what == "a streaming playlist"


def test_a_page_is_explained_by_the_site_it_came_by() -> None:
    sign_in, shared = (
        HttpUrl.parse("https://accounts.google.com/x"),
        HttpUrl.parse("https://drive.google.com/uc?id=1"),
    )

    came = what_came(b"<!doctype html>", "text/html", [sign_in, shared])

    assert came is not None
    assert came.what == "a Google Drive page"
    assert "Anyone with the link" in came.hint
