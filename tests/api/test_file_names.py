"""Names of files, coming in and going out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobreel.api.file_names import MAX_NAME_BYTES, content_disposition, safe_name


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("clip.mp4", "clip.mp4"),
        ("a/b\\c.mp4", "c.mp4"),
        ("", "upload"),
        ("..", "upload"),
        ("/", "upload"),
        (" . ", "upload"),
        ("a\x00b\r\nc.txt", "abc.txt"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("e\u0301.png", "é.png"),
        ("x" * 500 + ".mp4", "x" * (MAX_NAME_BYTES - 4) + ".mp4"),
        ("." + "x" * 500, "x" * MAX_NAME_BYTES),
    ],
)
def test_a_name_is_made_safe_and_stays_readable(sent: str, kept: str) -> None:
    assert safe_name(sent) == kept


@given(st.text())
def test_no_name_is_ever_a_path_or_too_long_or_empty(sent: str) -> None:
    name = safe_name(sent)

    assert name not in {"", ".", ".."}
    assert not set("/\\\0\r\n") & set(name)
    assert len(name.encode()) <= MAX_NAME_BYTES
    assert safe_name(name) == name


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_header_holds_any_name(name: str) -> None:
    header = content_disposition("attachment", name)

    assert header.isascii()
    assert header.isprintable()


def test_a_header_carries_the_name_for_old_and_new_clients() -> None:
    assert content_disposition("inline", 'a "b" é.txt') == (
        "inline; filename=\"a _b_ _.txt\"; filename*=UTF-8''a%20%22b%22%20%C3%A9.txt"
    )
