import asyncio
import gzip
import json
import os
import socket
import ssl
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import pytest
from tests.tools.servers import CERTIFICATE, Reply, answer, dripping, redirect, saying, serving, silent

from jobreel import __version__
from jobreel.core.errors import (
    BadInput,
    Blocked,
    JobreelError,
    ReceiverUnreachable,
    ScratchFull,
    SourceBroken,
    SourceForbidden,
    SourceNotMedia,
    SourceUnreachable,
    TooLarge,
)
from jobreel.tools import names
from jobreel.tools.incoming import PIECE_BYTES, Unpacked
from jobreel.tools.net import Door, FetchLimits

pytestmark = pytest.mark.anyio

OPEN = ["127.0.0.2/32"]  # the servers that may be visited; 127.0.0.1 may not
MEDIA = b"\0\0\0\x20ftypisom" + bytes(range(256)) * 8
LIMITS = FetchLimits(
    max_bytes=1_000_000, connect_seconds=5, read_seconds=5, total_seconds=20, free_disk_floor_bytes=0
)


def resolving(table: Mapping[str, list[list[str]]]) -> names.Resolve:
    """Answers each lookup of a name with the next list of addresses, the last one for ever."""
    left = {name: list(answers) for name, answers in table.items()}

    async def resolve(host: str, port: int) -> list[str]:
        if host not in left:
            return await names.resolve(host, port)
        return left[host].pop(0) if len(left[host]) > 1 else left[host][0]

    return resolve


async def fetched(reply: Reply | bytes, tmp_path: Path, target: str = "/clip.mp4") -> bytes:
    """What lands on disk when a server answers so."""
    async with serving(saying(reply) if isinstance(reply, bytes) else reply) as server:
        result = await Door(OPEN).fetch(server.url(target), tmp_path / "source", LIMITS)
    return result.path.read_bytes()


async def failure(
    reply: Reply | bytes, tmp_path: Path, limits: FetchLimits = LIMITS, target: str = "/clip.mp4?sig=s3cret"
) -> JobreelError:
    """The error a fetch ends with; nothing may be left on disk, and nothing secret in the message."""
    async with serving(saying(reply) if isinstance(reply, bytes) else reply) as server:
        with pytest.raises(JobreelError) as failed:
            await Door(OPEN).fetch(server.url(target), tmp_path / "source", limits)
    assert not (tmp_path / "source").exists()
    assert "s3cret" not in f"{failed.value.message} {failed.value.hint}"
    assert failed.value.step == "fetch"
    return failed.value


# -- what comes in ----------------------------------------------------------------------------------------


async def test_a_source_lands_on_disk_whole(tmp_path: Path) -> None:
    progress: list[tuple[int, int | None]] = []

    async with serving(saying(answer(MEDIA, content_type="video/mp4"))) as server:
        result = await Door(OPEN).fetch(
            server.url(), tmp_path / "source", LIMITS, progress=lambda *seen: progress.append(seen)
        )

    assert result.path.read_bytes() == MEDIA
    assert (result.size_bytes, result.content_type, result.name) == (len(MEDIA), "video/mp4", "clip.mp4")
    assert progress[-1] == (len(MEDIA), len(MEDIA))


async def test_a_source_is_asked_for_once_and_never_with_head(tmp_path: Path) -> None:
    async with serving(saying(answer(MEDIA))) as server:
        await Door(OPEN).fetch(server.url("/no-extension"), tmp_path / "source", LIMITS)

    assert [request.line for request in server.requests] == ["GET /no-extension HTTP/1.1"]
    sent = server.requests[0].headers
    assert sent["host"] == f"127.0.0.2:{server.port}"
    assert sent["user-agent"] == f"Jobreel/{__version__}"
    assert sent["accept-encoding"] == "identity"


async def test_a_pre_signed_address_is_sent_byte_for_byte(tmp_path: Path) -> None:
    target = "/b/%7euser/./a%2Fb/../clip.mp4?X-Amz-Signature=ab%2Bc/d==&empty=&&x=`{}|^[]'\"<>%20+&flag"

    async with serving(saying(answer(MEDIA))) as server:
        await Door(OPEN).fetch(server.url(target) + "#t=10", tmp_path / "source", LIMITS)

    assert server.requests[0].line == f"GET {target} HTTP/1.1"


async def test_a_body_without_a_length_is_taken_to_its_end(tmp_path: Path) -> None:
    assert await fetched(b"HTTP/1.1 200 OK\r\n\r\n" + MEDIA, tmp_path) == MEDIA


async def test_a_chunked_body_is_taken_whole(tmp_path: Path) -> None:
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(MEDIA), MEDIA)

    assert await fetched(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, tmp_path) == MEDIA


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_body_compressed_without_being_asked_is_unpacked(
    encoding: str, pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    assert await fetched(answer(pack(MEDIA), content_encoding=encoding), tmp_path) == MEDIA


async def test_gzip_members_after_one_another_are_all_unpacked(tmp_path: Path) -> None:
    packed = gzip.compress(MEDIA[:100]) + gzip.compress(MEDIA[100:])

    assert await fetched(answer(packed, content_encoding="gzip"), tmp_path) == MEDIA


@pytest.mark.parametrize(
    ("target", "headers", "name"),
    [
        ("/a/b%20c.MOV?x=.exe", {}, "b c.MOV"),
        ("/download", {"content_disposition": 'attachment; filename="talk.wav"'}, "talk.wav"),
        ("/x.bin", {"content_disposition": "attachment; filename*=UTF-8''%e2%82%ac%2F..%2Fr%0a.mp3"}, "r.mp3"),
        ("/x.bin", {"content_disposition": "inline"}, "x.bin"),
        ("/download", {}, "download"),
        ("/", {}, None),
    ],
)
async def test_the_name_is_a_hint_from_the_server_or_the_address(
    target: str, headers: dict[str, str], name: str | None, tmp_path: Path
) -> None:
    async with serving(saying(answer(MEDIA, **headers))) as server:
        result = await Door(OPEN).fetch(server.url(target), tmp_path / "source", LIMITS)

    assert result.name == name


async def test_a_proxy_in_the_environment_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(saying(answer(MEDIA))) as server, serving(saying(answer(b"from the proxy"))) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        await Door(OPEN).fetch(server.url(), tmp_path / "source", LIMITS)

    assert proxy.connections == 0


async def test_one_door_serves_one_event_loop_after_another(tmp_path: Path) -> None:
    door = Door(OPEN)

    async def visit() -> bytes:
        async with serving(saying(answer(MEDIA))) as server:
            return (await door.fetch(server.url(), tmp_path / "source", LIMITS)).path.read_bytes()

    for _ in range(2):
        assert await asyncio.to_thread(asyncio.run, visit()) == MEDIA


# -- headers ----------------------------------------------------------------------------------------------


async def test_a_protected_source_gets_its_headers(tmp_path: Path) -> None:
    headers = {"Authorization": "Bearer t", "Cookie": "a=b", "User-Agent": "mine", "Accept-Encoding": "br"}

    async with serving(saying(answer(MEDIA))) as server:
        await Door(OPEN).fetch(server.url(), tmp_path / "source", LIMITS, headers)

    sent = server.requests[0].headers
    assert (sent["authorization"], sent["cookie"], sent["user-agent"]) == ("Bearer t", "a=b", "mine")
    assert sent["accept-encoding"] == "identity"


async def test_name_and_password_in_an_address_are_sent_and_never_told(tmp_path: Path) -> None:
    async with serving(saying(answer(status="404 Not Found"))) as server:
        with pytest.raises(SourceBroken) as failed:
            await Door(OPEN).fetch(
                f"http://me:s3%3Acret@127.0.0.2:{server.port}/x.mp4", tmp_path / "source", LIMITS
            )

    assert server.requests[0].headers["authorization"] == "Basic bWU6czM6Y3JldA=="
    assert server.requests[0].headers["host"] == f"127.0.0.2:{server.port}"
    assert "cret" not in failed.value.message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Host", "other.test"),
        ("content-length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "keep-alive"),
        ("X-A", "b\r\nX-C: d"),
        ("X-A\r\nX-C", "d"),
        ("X A", "b"),
        ("", "b"),
        ("X-A", "b\0"),
    ],
)
async def test_a_header_that_would_change_the_request_is_refused(name: str, value: str, tmp_path: Path) -> None:
    async with serving(saying(answer(MEDIA))) as server:
        with pytest.raises(BadInput):
            await Door(OPEN).fetch(server.url(), tmp_path / "source", LIMITS, {name: value})

    assert server.connections == 0


async def test_headers_do_not_follow_a_redirect_to_another_origin_nor_come_back(tmp_path: Path) -> None:
    async with (
        serving(saying(answer(MEDIA))) as last,
        serving(saying(redirect(last.url("/back")))) as other,
        serving(saying(redirect("/b"), redirect(other.url()))) as first,
    ):
        url = first.url().replace("//", "//me:pass@")
        await Door(OPEN).fetch(url, tmp_path / "source", LIMITS, {"X-Token": "t", "Cookie": "a=b"})

    assert [request.headers.get("x-token") for request in first.requests] == ["t", "t"]
    assert first.requests[0].headers["authorization"].startswith("Basic ")
    for request in (other.requests[0], last.requests[0]):
        assert not {"x-token", "cookie", "authorization"} & set(request.headers)


# -- who may be visited -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "127.1",
        "0",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "①②⑦.0.0.1",
        "127。0。0。1",
        "good@127.0.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "100.64.0.1",
    ],
)
async def test_this_machine_and_its_network_cannot_be_fetched_from(host: str, tmp_path: Path) -> None:
    async with serving(saying(answer(MEDIA)), "127.0.0.1") as server:
        with pytest.raises(SourceForbidden) as refusal:
            await Door(OPEN).fetch(f"http://{host}:{server.port}/clip.mp4", tmp_path / "source", LIMITS)

    assert server.connections == 0
    assert "JOBREEL_ALLOW_NETWORKS" in (refusal.value.hint or "")
    assert not refusal.value.retryable


@pytest.mark.parametrize("url", ["http://127.0.0.1\\@good.test/x", "http://0177.0.0.1%2f@/x", "ftp://good.test/x"])
async def test_an_address_that_cannot_be_read_in_one_way_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        await Door(OPEN).fetch(url, tmp_path / "source", LIMITS)


async def test_a_refusal_does_not_tell_which_address_a_name_has(tmp_path: Path) -> None:
    door = Door(OPEN, resolve=resolving({"inside.test": [["10.1.2.3"]]}))

    with pytest.raises(SourceForbidden) as refusal:
        await door.fetch("http://inside.test/clip.mp4", tmp_path / "source", LIMITS)

    assert "inside.test is not a public address" in refusal.value.message
    assert "10.1.2.3" not in repr(refusal.value.report())


async def test_one_bad_address_condemns_the_name(tmp_path: Path) -> None:
    async with serving(saying(answer(MEDIA))) as server:
        door = Door(OPEN, resolve=resolving({"both.test": [["127.0.0.2", "127.0.0.1"]]}))
        with pytest.raises(SourceForbidden):
            await door.fetch(server.url(host="both.test"), tmp_path / "source", LIMITS)

    assert server.connections == 0


async def test_the_checked_address_is_the_one_connected_to(tmp_path: Path) -> None:
    async with serving(saying(answer(MEDIA))) as server:
        door = Door(OPEN, resolve=resolving({"swap.test": [["127.0.0.2"], ["127.0.0.1"]]}))
        await door.fetch(server.url(host="swap.test"), tmp_path / "source", LIMITS)

    assert server.requests[0].headers["host"] == f"swap.test:{server.port}"


async def test_a_name_that_changes_its_answer_between_redirects_is_refused(tmp_path: Path) -> None:
    async with serving(saying(redirect("/again"))) as server:
        door = Door(OPEN, resolve=resolving({"swap.test": [["127.0.0.2"], ["127.0.0.1"]]}))
        with pytest.raises(SourceForbidden):
            await door.fetch(server.url(host="swap.test"), tmp_path / "source", LIMITS)

    assert server.connections == 1


async def test_a_dead_first_address_falls_back_to_the_next_checked_one(tmp_path: Path) -> None:
    async with serving(saying(answer(MEDIA))) as server:
        door = Door(["127.0.0.2/31"], resolve=resolving({"two.test": [["127.0.0.3", "127.0.0.2"]]}))
        await door.fetch(server.url(host="two.test"), tmp_path / "source", LIMITS)

    assert server.connections == 1


async def test_a_redirect_to_a_private_address_is_refused(tmp_path: Path) -> None:
    async with serving(saying(answer(MEDIA)), "127.0.0.1") as inside:
        assert isinstance(await failure(redirect(inside.url()), tmp_path), SourceForbidden)

    assert inside.connections == 0


@pytest.mark.parametrize("location", ["http://169.254.169.254/latest/meta-data", "http://2130706433/"])
async def test_a_redirect_to_a_metadata_service_is_refused(location: str, tmp_path: Path) -> None:
    assert isinstance(await failure(redirect(location), tmp_path), SourceForbidden)


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://good.test/x", "http://", "http://[bad/", "//[bad/", ""]
)
async def test_a_redirect_to_anything_but_http_is_refused(location: str, tmp_path: Path) -> None:
    error = await failure(redirect(location), tmp_path)

    assert isinstance(error, SourceBroken)
    assert "redirects to something" in error.message


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_followed(status: str, tmp_path: Path) -> None:
    reply = saying(redirect("real.mp4?sig=%2F", status), answer(MEDIA))

    async with serving(reply) as server:
        await Door(OPEN).fetch(server.url("/a/x"), tmp_path / "source", LIMITS)

    assert [request.line.split()[1] for request in server.requests] == ["/a/x", "/a/real.mp4?sig=%2F"]


async def test_a_redirect_loop_ends(tmp_path: Path) -> None:
    error = await failure(redirect("/again"), tmp_path)

    assert isinstance(error, SourceBroken)
    assert "redirects more than 10 times" in error.message


# -- TLS --------------------------------------------------------------------------------------------------


def certificates() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What the server of media.test shows, and what somebody trusts who knows it."""
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown.load_cert_chain(CERTIFICATE)
    return shown, ssl.create_default_context(cafile=str(CERTIFICATE))


async def test_https_asks_for_the_name_although_the_address_is_fixed(tmp_path: Path) -> None:
    shown, trust = certificates()
    asked: list[str | None] = []
    shown.sni_callback = lambda _, name, __: asked.append(name)

    async with serving(saying(answer(MEDIA)), tls=shown) as server:
        door = Door(OPEN, resolve=resolving({"media.test": [["127.0.0.2"]]}), trust=trust)
        await door.fetch(server.url(host="media.test", scheme="https"), tmp_path / "source", LIMITS)

    assert asked == ["media.test"]


async def test_a_certificate_for_another_name_is_refused_and_not_tried_again(tmp_path: Path) -> None:
    shown, trust = certificates()

    async with serving(saying(answer(MEDIA)), tls=shown) as server:
        door = Door(OPEN, resolve=resolving({"other.test": [["127.0.0.2"]]}), trust=trust)
        with pytest.raises(SourceBroken, match="certificate") as refusal:
            await door.fetch(server.url(host="other.test", scheme="https"), tmp_path / "source", LIMITS)

    assert not refusal.value.report().retryable


async def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    shown, _ = certificates()

    async with serving(saying(answer(MEDIA)), tls=shown) as server:
        door = Door(OPEN, resolve=resolving({"media.test": [["127.0.0.2"]]}))
        with pytest.raises(SourceBroken, match="certificate"):
            await door.fetch(server.url(host="media.test", scheme="https"), tmp_path / "source", LIMITS)


async def test_a_server_that_never_shakes_hands_ends_in_time(tmp_path: Path) -> None:
    async with serving(silent) as server:
        with pytest.raises(SourceUnreachable, match=r"longer than 0\.3 seconds"):
            await Door(OPEN).fetch(
                server.url(scheme="https"), tmp_path / "source", replace(LIMITS, total_seconds=0.3)
            )


# -- servers that fail, stall or lie ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error", "retryable"),
    [
        ("401 Unauthorized", SourceForbidden, False),
        ("403 Forbidden", SourceForbidden, False),
        ("407 Proxy Authentication Required", SourceForbidden, False),
        ("404 Not Found", SourceBroken, False),
        ("410 Gone", SourceBroken, False),
        ("400 Bad Request", SourceBroken, False),
        ("304 Not Modified", SourceBroken, False),
        ("429 Too Many Requests", SourceUnreachable, True),
        ("500 Oops", SourceUnreachable, True),
        ("503 Busy", SourceUnreachable, True),
    ],
)
async def test_an_answer_that_is_not_the_file_says_so_and_whether_to_try_again(
    status: str, error: type[JobreelError], retryable: bool, tmp_path: Path
) -> None:
    failed = await failure(answer(b"<html>no</html>", status), tmp_path)

    assert type(failed) is error
    assert failed.report().retryable is retryable
    assert failed.report().code == 424
    assert status[:3] in failed.message


async def test_a_refused_connection_says_so_without_naming_an_address(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.2", 0)) as listening:
        port = listening.getsockname()[1]
    door = Door(OPEN, resolve=resolving({"down.test": [["127.0.0.2"]]}))

    with pytest.raises(SourceUnreachable) as failed:
        await door.fetch(f"http://down.test:{port}/x.mp4", tmp_path / "source", LIMITS)

    assert failed.value.message == "down.test does not accept connections."
    assert failed.value.retryable


@pytest.mark.parametrize(
    ("number", "error"), [(socket.EAI_NONAME, SourceBroken), (socket.EAI_AGAIN, SourceUnreachable)]
)
async def test_a_name_that_does_not_resolve_says_so(number: int, error: type[JobreelError], tmp_path: Path) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror(number, "no")

    with pytest.raises(SourceUnreachable, match=r"nowhere\.test") as failed:
        await Door(OPEN, resolve=resolve).fetch("http://nowhere.test/x.mp4", tmp_path / "source", LIMITS)

    assert type(failed.value) is error


async def test_a_resolver_that_hangs_ends_in_time(tmp_path: Path) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(SourceUnreachable, match="in time"):
        await Door(OPEN, resolve=resolve).fetch(
            "http://slow.test/x.mp4", tmp_path / "source", replace(LIMITS, connect_seconds=0.1)
        )


async def test_a_cancellation_that_meets_a_resolvers_answer_is_not_lost(tmp_path: Path) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        asyncio.get_running_loop().call_soon(fetching.cancel)
        return [host]

    async with serving(silent) as server:
        fetching = asyncio.create_task(
            Door(OPEN, resolve=resolve).fetch(server.url(), tmp_path / "source", replace(LIMITS, read_seconds=1))
        )
        with pytest.raises(asyncio.CancelledError):
            await fetching


async def test_a_server_that_never_answers_ends_in_time(tmp_path: Path) -> None:
    error = await failure(silent, tmp_path, replace(LIMITS, read_seconds=0.2))

    assert "went silent" in error.message
    assert error.retryable


async def test_a_body_that_stalls_ends_in_time(tmp_path: Path) -> None:
    async def stall(_: object, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(content_length="5000") + MEDIA)
        await asyncio.Event().wait()

    error = await failure(stall, tmp_path, replace(LIMITS, read_seconds=0.2))

    assert isinstance(error, SourceUnreachable)


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (answer(content_length="900000") + MEDIA, b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"x-slow: 1\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    ],
    ids=["body", "headers", "early hints"],
)
async def test_a_drip_that_never_stalls_ends_at_the_total_time(head: bytes, drop: bytes, tmp_path: Path) -> None:
    error = await failure(dripping(head, drop), tmp_path, replace(LIMITS, total_seconds=0.4))

    assert isinstance(error, SourceUnreachable)
    assert "longer than 0.4 seconds" in error.message


@pytest.mark.parametrize(
    "reply",
    [
        answer(content_length="5000") + MEDIA,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n" + MEDIA,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
        answer(gzip.compress(MEDIA)[:-20], content_encoding="gzip"),
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nabc",
    ],
    ids=["short body", "short chunk", "wrong chunk", "short gzip", "nothing", "not http", "no number"],
)
async def test_a_body_that_is_not_what_was_announced_is_not_taken_for_the_file(
    reply: bytes, tmp_path: Path
) -> None:
    error = await failure(reply, tmp_path)

    assert type(error) is SourceUnreachable
    assert error.retryable


async def test_bytes_beyond_the_announced_length_are_left(tmp_path: Path) -> None:
    assert await fetched(answer(content_length="100") + MEDIA, tmp_path) == MEDIA[:100]


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip"])
async def test_an_encoding_that_is_not_read_is_said(encoding: str, tmp_path: Path) -> None:
    error = await failure(answer(MEDIA, content_encoding=encoding), tmp_path)

    assert isinstance(error, SourceBroken)
    assert "compressed" in error.message


async def test_a_body_that_only_claims_to_be_gzip_is_said(tmp_path: Path) -> None:
    assert isinstance(await failure(answer(MEDIA, content_encoding="gzip"), tmp_path), SourceBroken)


# -- size and disk ----------------------------------------------------------------------------------------


async def test_an_announced_size_over_the_limit_is_refused_before_the_body(tmp_path: Path) -> None:
    error = await failure(dripping(answer(content_length="1000001"), b""), tmp_path)

    assert isinstance(error, TooLarge)
    assert "1,000,000 bytes" in error.message


async def test_a_body_that_grows_over_the_limit_is_stopped_and_hung_up_on(tmp_path: Path) -> None:
    endless = dripping(b"HTTP/1.1 200 OK\r\n\r\n" + MEDIA, bytes(64 * 1024), every_seconds=0)

    async with serving(endless) as server:
        with pytest.raises(TooLarge):
            await Door(OPEN).fetch(server.url(), tmp_path / "source", LIMITS)
        await asyncio.wait_for(server.hung_up.wait(), 10)

    assert not (tmp_path / "source").exists()


async def test_a_bomb_is_stopped_at_the_limit(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(50_000_000))

    assert isinstance(await failure(answer(bomb, content_encoding="gzip"), tmp_path), TooLarge)


def test_a_bomb_never_unpacks_more_than_a_piece_at_a_time() -> None:
    pieces = list(Unpacked("gzip", "bomb").pieces(gzip.compress(bytes(20_000_000))))

    assert sum(map(len, pieces)) == 20_000_000
    assert max(map(len, pieces)) <= PIECE_BYTES


async def test_a_size_that_the_disk_cannot_hold_is_refused_before_the_body(tmp_path: Path) -> None:
    disk = os.statvfs(tmp_path)
    floor = disk.f_bavail * disk.f_frsize + 1_000_000_000

    error = await failure(answer(MEDIA), tmp_path, replace(LIMITS, free_disk_floor_bytes=floor))

    assert isinstance(error, ScratchFull)
    assert error.retryable


async def test_a_disk_that_runs_full_while_writing_is_said(tmp_path: Path) -> None:
    (tmp_path / "source").symlink_to("/dev/full")

    assert isinstance(await failure(answer(MEDIA), tmp_path), ScratchFull)


# -- pages instead of files -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        answer(b"<!doctype html><title>Sign in</title>", content_type="video/mp4"),
        answer(b"please sign in", content_type="text/html"),
        answer(b"<!doctype html>" + bytes(5000), content_type="application/octet-stream"),
    ],
)
async def test_a_page_where_a_file_is_expected_is_told_in_plain_words(reply: bytes, tmp_path: Path) -> None:
    error = await failure(reply, tmp_path)

    assert isinstance(error, SourceNotMedia)
    assert "there is a web page, not a media file" in error.message
    assert error.hint


async def test_a_page_is_not_downloaded_to_its_end(tmp_path: Path) -> None:
    endless = dripping(b"HTTP/1.1 200 OK\r\n\r\n<!doctype html>", bytes(1000), every_seconds=0.001)

    assert isinstance(await failure(endless, tmp_path), SourceNotMedia)


async def test_a_page_is_recognised_however_slowly_it_comes(tmp_path: Path) -> None:
    async def letters(_: object, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for letter in b"<!doctype html>":
            writer.write(bytes([letter]))
            await writer.drain()
            await asyncio.sleep(0)

    assert isinstance(await failure(letters, tmp_path), SourceNotMedia)


@pytest.mark.parametrize("reply", [answer(), answer(status="204 No Content")])
async def test_an_empty_file_is_told(reply: bytes, tmp_path: Path) -> None:
    error = await failure(reply, tmp_path)

    assert isinstance(error, SourceNotMedia)
    assert "is empty" in error.message


async def test_a_video_page_is_told_without_asking_for_it(tmp_path: Path) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise AssertionError("nobody needs to look this up")

    with pytest.raises(SourceNotMedia, match="is a YouTube page"):
        await Door(resolve=resolve).fetch("https://www.youtube.com/watch?v=x", tmp_path / "source", LIMITS)


async def test_a_redirect_to_a_video_page_is_told_too(tmp_path: Path) -> None:
    error = await failure(redirect("https://youtu.be/x"), tmp_path)

    assert isinstance(error, SourceNotMedia)
    assert "YouTube" in error.message


async def test_a_share_link_that_ends_at_a_page_says_what_to_share(tmp_path: Path) -> None:
    async with serving(saying(answer(b"<!doctype html>", content_type="text/html"))) as server:
        door = Door(OPEN, resolve=resolving({"www.dropbox.com": [["127.0.0.2"]]}))
        with pytest.raises(SourceNotMedia, match="a Dropbox page") as failed:
            await door.fetch(f"http://www.dropbox.com:{server.port}/s/x/c.mp4?dl=0", tmp_path / "source", LIMITS)

    assert server.requests[0].line == "GET /s/x/c.mp4?dl=1 HTTP/1.1"
    assert "Anyone with this link" in (failed.value.hint or "")


# -- webhooks ---------------------------------------------------------------------------------------------

BODY = json.dumps({"job_id": "1"}).encode()
HEADERS = {"Content-Type": "application/json", "webhook-id": "d-1"}


async def test_a_webhook_arrives_as_it_was_sent() -> None:
    target = "/webhook/x?state=%7B%22a%22%3A1%7D&sig=a+b%2F=&&"

    async with serving(saying(answer(b"ok"))) as server:
        said = await Door(OPEN).post(server.url(target), BODY, HEADERS)

    request = server.requests[0]
    assert (request.line, request.body) == (f"POST {target} HTTP/1.1", BODY)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "d-1"
    assert (said.status, said.retry_after_seconds, said.note) == (200, None, "Delivered.")


async def test_a_204_is_a_delivery() -> None:
    async with serving(saying(b"HTTP/1.1 204 No Content\r\n\r\n")) as server:
        assert (await Door(OPEN).post(server.url(), BODY, HEADERS)).status == 204


@pytest.mark.parametrize("status", ["301 Moved", "307 Temporary", "308 Permanent"])
async def test_a_webhook_follows_no_redirect_and_says_what_to_do(status: str) -> None:
    async with serving(saying(answer())) as target, serving(saying(redirect(target.url(), status))) as server:
        said = await Door(OPEN).post(server.url(), BODY, HEADERS)

    assert said.status == int(status[:3])
    assert said.note == "The receiver redirects; give the final address."
    assert target.connections == 0


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
async def test_a_receivers_no_is_an_answer(status: int) -> None:
    async with serving(saying(answer(b"no", f"{status} No"))) as server:
        assert (await Door(OPEN).post(server.url(), BODY, HEADERS)).status == status


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("Fri, 99 Foo 2026 00:00:00 GMT", None),
    ],
)
async def test_retry_after_is_understood(text: str, seconds: float | None) -> None:
    async with serving(saying(answer(status="503 Busy", retry_after=text))) as server:
        assert (await Door(OPEN).post(server.url(), BODY, HEADERS)).retry_after_seconds == seconds


async def test_retry_after_may_be_a_date() -> None:
    in_a_minute = formatdate(time.time() + 60, usegmt=True)

    async with serving(saying(answer(status="503 Busy", retry_after=in_a_minute))) as server:
        said = await Door(OPEN).post(server.url(), BODY, HEADERS)

    assert said.retry_after_seconds == pytest.approx(60, abs=20)


async def test_a_receiver_that_never_answers_ends_in_time() -> None:
    async with serving(silent) as server:
        with pytest.raises(ReceiverUnreachable, match=r"no answer in 0\.2 seconds"):
            await Door(OPEN).post(server.url(), BODY, HEADERS, total_seconds=0.2)


async def test_a_receiver_that_is_down_is_told() -> None:
    with socket.create_server(("127.0.0.2", 0)) as listening:
        port = listening.getsockname()[1]

    with pytest.raises(ReceiverUnreachable, match="does not accept connections"):
        await Door(OPEN).post(f"http://127.0.0.2:{port}/", BODY, HEADERS)


async def test_a_receiver_that_hangs_up_without_an_answer_is_told() -> None:
    async with serving(saying(b"")) as server:
        with pytest.raises(ReceiverUnreachable, match="broke off"):
            await Door(OPEN).post(server.url(), BODY, HEADERS)


@pytest.mark.parametrize(
    "reply",
    [
        dripping(b"HTTP/1.1 200 OK\r\n\r\n", bytes(64 * 1024), every_seconds=0),
        dripping(answer(content_length="100000"), b"x"),
        saying(answer(content_length="100000") + b"short"),
    ],
    ids=["endless", "dripping", "cut off"],
)
async def test_what_a_receiver_says_after_its_status_does_not_matter(reply: Reply) -> None:
    async with serving(reply) as server:
        said = await Door(OPEN).post(server.url(), BODY, HEADERS, total_seconds=0.5)

    assert said.status == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "169.254.169.254", "[::1]"])
async def test_a_webhook_to_a_private_address_is_blocked(host: str) -> None:
    async with serving(saying(answer()), "127.0.0.1") as server:
        with pytest.raises(Blocked) as refusal:
            await Door(OPEN).post(f"http://{host}:{server.port}/hook", BODY, HEADERS)

    assert server.connections == 0
    assert "JOBREEL_ALLOW_NETWORKS" in (refusal.value.hint or "")


async def test_a_webhook_address_that_cannot_be_read_is_blocked() -> None:
    with pytest.raises(Blocked):
        await Door(OPEN).post("http://127.0.0.1\\@good.test/", BODY, HEADERS)


async def test_a_submission_is_warned_of_a_webhook_that_will_be_blocked() -> None:
    door = Door(OPEN)

    warning = await door.warning_for("http://localhost:5678/webhook/x")
    await door.close()

    assert "JOBREEL_ALLOW_NETWORKS" in (warning or "")
    assert await door.warning_for("http://127.0.0.2/webhook/x") is None
