import pytest

from jobreel.core.errors import BadInput
from jobreel.tools.urls import HttpUrl


@pytest.mark.parametrize(
    "target",
    [
        "/clip.mp4",
        "/a%2Fb/%7euser/../c/./d?X-Amz-Signature=ab%2Bc/d==&empty=&&x=%20y+z",
        "/?",
        "/q?a=`{}|\\^[]'\"<>",
        "//double//slashes",
        "/semi;colon;?a;b",
    ],
)
def test_path_and_query_are_kept_byte_for_byte(target: str) -> None:
    assert HttpUrl.parse("https://media.test" + target + "#part").target == target


def test_only_what_no_request_line_can_carry_is_encoded() -> None:
    assert HttpUrl.parse("https://media.test/ü clip.mp4?q=é%20").target == "/%C3%BC%20clip.mp4?q=%C3%A9%20"


@pytest.mark.parametrize(("url", "target"), [("http://media.test", "/"), ("http://media.test?a=1", "/?a=1")])
def test_a_missing_path_is_the_root(url: str, target: str) -> None:
    assert HttpUrl.parse(url).target == target


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("HTTP://Media.TEST/", "media.test", 80),
        ("https://media.test:/", "media.test", 443),
        ("http://media.test.:8080/", "media.test.", 8080),
        ("http://good@127.0.0.1/", "127.0.0.1", 80),
        ("http://127.0.0.1#@good/", "127.0.0.1", 80),
        ("http://a@b@127.0.0.1/", "127.0.0.1", 80),
        ("http://[0:0:0:0:0:FFFF:7F00:1]/", "::ffff:7f00:1", 80),
        ("http://bücher.example/", "xn--bcher-kva.example", 80),
        ("http://127。0。0。1/", "127.0.0.1", 80),
        ("http://①②⑦.0.0.1/", "127.0.0.1", 80),
        ("http://my_n8n:5678/", "my_n8n", 5678),
    ],
)
def test_there_is_one_reading_of_who_is_asked(url: str, host: str, port: int) -> None:
    place = HttpUrl.parse(url)

    assert (place.host, place.port) == (host, port)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://media.test/clip.mp4",
        "file:///etc/passwd",
        "clip.mp4",
        "http:///clip.mp4",
        "http://127.0.0.1\\@media.test/",
        "http://%31%32%37.0.0.1/",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://::1/",
        "http://media..test/",
        "http://media test/",
        "http://media.test:65536/",
        "http://media.test:http/",
        "http://💩.test/",
        f"http://{'a' * 64}.test/",
    ],
)
def test_an_address_that_two_readers_could_read_differently_is_refused(url: str) -> None:
    with pytest.raises(BadInput):
        HttpUrl.parse(url)


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("next.mp4?sig=a%2Fb", "http://media.test/a/next.mp4?sig=a%2Fb"),
        ("/top", "http://media.test/top"),
        ("//other.test/x", "http://other.test/x"),
        ("https://other.test/a/../b?", "https://other.test/a/../b?"),
    ],
)
def test_a_redirect_is_read_against_the_address_that_gave_it(location: str, leads_to: str) -> None:
    assert str(HttpUrl.parse("http://media.test/a/clip").joined(location)) == leads_to


@pytest.mark.parametrize(
    ("one", "other", "may"),
    [
        ("http://media.test/a", "http://media.test/b", True),
        ("http://media.test/a", "https://media.test/a", True),
        ("https://media.test/a", "http://media.test/a", False),
        ("http://media.test:8080/", "https://media.test/", False),
        ("https://media.test/", "https://media.test:8443/", False),
        ("https://media.test/", "https://other.test/", False),
    ],
)
def test_headers_stay_with_their_origin(one: str, other: str, may: bool) -> None:
    assert HttpUrl.parse(one).may_share_headers_with(HttpUrl.parse(other)) is may


def test_what_is_shown_keeps_secrets() -> None:
    shown = HttpUrl.parse("https://me:pass@media.test:8443/secret-folder/clip.mp4?sig=s3cret#x").shown

    assert shown == "https://media.test:8443/…/clip.mp4"
    assert HttpUrl.parse("https://media.test/" + "x" * 500).shown.endswith("/…" + "x" * 80)
