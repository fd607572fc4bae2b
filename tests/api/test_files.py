"""Files: uploaded in a stream, read back by signed links, whole or in parts."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.api.service import BOB_KEY, OWNER_KEY, Service

from jobreel.core.artifact import Artifact, Link
from jobreel.core.job import Success

UPLOAD = "/v1/files/upload"
BYTES = bytes(range(256)) * 2000
MAX_UPLOAD = 1024 * 1024
BOUNDARY = "frontier"


def uploaded(client: httpx2.Client, content: bytes = BYTES, name: str = "clip.mp4", kind: str = "video/mp4") -> str:
    answer = client.post(UPLOAD, files={"file": (name, content, kind)})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["url"])


def form(*parts: bytes) -> bytes:
    opening = f"--{BOUNDARY}".encode()
    return opening + opening.join(b"\r\n" + part + b"\r\n" for part in parts) + opening + b"--\r\n"


FILE = b'Content-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nhello'
FIELD = b'Content-Disposition: form-data; name="note"\r\n\r\nanything'


def post_form(client: httpx2.Client, body: bytes | Iterator[bytes]) -> httpx2.Response:
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    return client.post(UPLOAD, content=body, headers=headers)


def nothing_is_left(service: Service) -> bool:
    return not [path for path in (service.folder / "artifacts").rglob("*") if path.is_file()]


# -- uploads ----------------------------------------------------------------------------------------------


def test_an_uploaded_file_comes_back_byte_for_byte(service: Service) -> None:
    answer = service.client.post(UPLOAD, files={"file": ("my clip.mp4", BYTES, "video/mp4")})

    assert answer.json().keys() == {"url", "filename"}
    assert answer.json()["filename"] == "my clip.mp4"
    assert answer.json()["url"].endswith("/my%20clip.mp4")
    with service.client_with(None) as anybody:
        read = anybody.get(answer.json()["url"])
    assert read.content == BYTES
    assert read.headers["content-type"] == "video/mp4"


@pytest.mark.parametrize("size", [0, 1])
def test_the_smallest_files_are_files_too(client: httpx2.Client, size: int) -> None:
    assert client.get(uploaded(client, b"x" * size)).content == b"x" * size


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_it_does_not_matter_how_a_form_is_cut_into_pieces(client: httpx2.Client, piece: int) -> None:
    body = form(FIELD, FILE, FIELD, FILE.replace(b"hello", b"a second file"))

    answer = post_form(client, (body[at : at + piece] for at in range(0, len(body), piece)))

    assert client.get(answer.json()["url"]).content == b"hello"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form at all",
        form(FIELD),
        form(FILE.replace(b'name="file"', b'name="other"')),
        form(FILE.replace(b'; filename="a.txt"', b"")),
        form(FILE.replace(b"a.txt", b"")),
        form(FILE)[:-30],
        form(FILE.replace(b"Content-Disposition: ", b"X: " + b"y" * 100_000)),
    ],
    ids=[
        "empty",
        "no form",
        "no file",
        "another field",
        "a text",
        "nothing chosen",
        "cut off",
        "huge header",
    ],
)
def test_a_form_without_a_whole_file_is_refused_and_leaves_nothing(service: Service, body: bytes) -> None:
    answer = post_form(service.client, body)

    assert answer.status_code == answer.json()["code"] == 400
    assert nothing_is_left(service)


@pytest.mark.parametrize("kind", ["application/json", "video/mp4", "multipart/form-data", ""])
def test_an_upload_that_is_no_form_is_told_how_to_be_one(client: httpx2.Client, kind: str) -> None:
    answer = client.post(UPLOAD, content=BYTES, headers={"content-type": kind})

    assert answer.status_code == answer.json()["code"] == 415
    assert "-F file=@" in answer.json()["error"]["hint"]


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
@pytest.mark.parametrize("size", [MAX_UPLOAD + 1, 4 * MAX_UPLOAD])
def test_an_upload_over_the_limit_is_413_and_leaves_nothing(service: Service, size: int, chunked: bool) -> None:
    body = form(FILE.replace(b"hello", b"x" * size))

    pieces = (body[at : at + 65536] for at in range(0, len(body), 65536))
    answer = post_form(service.client, pieces if chunked else body)

    assert answer.status_code == answer.json()["code"] == 413
    assert nothing_is_left(service)


def test_an_upload_needs_a_key_and_room(service: Service) -> None:
    with service.client_with("wrong") as stranger:
        assert stranger.post(UPLOAD, files={"file": ("a", b"x")}).status_code == 401
    service.disk_full = True
    assert service.client.post(UPLOAD, files={"file": ("a", b"x")}).status_code == 507
    assert nothing_is_left(service)


def test_while_the_ledger_is_gone_uploads_are_503(service: Service) -> None:
    aside = service.folder.with_name("aside")
    service.folder.rename(aside)

    answer = service.client.post(UPLOAD, files={"file": ("a.txt", b"x")})

    assert answer.status_code == answer.json()["code"] == 503
    assert int(answer.headers["retry-after"]) > 0
    aside.rename(service.folder)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\clip.mp4", "clip.mp4"),
        ("видео 🎬.mp4", "видео 🎬.mp4"),
        ("...hidden", "hidden"),
    ],
)
def test_a_file_keeps_its_name_but_never_a_path(client: httpx2.Client, sent: str, kept: str) -> None:
    body = form(FILE.replace(b"a.txt", sent.encode()))

    assert post_form(client, body).json()["filename"] == kept


# -- downloads --------------------------------------------------------------------------------------------


def test_a_link_with_another_signature_leads_nowhere(client: httpx2.Client) -> None:
    url = uploaded(client)
    base, artifact, signature, name = url.rsplit("/", 3)

    for path in (
        f"{artifact}/{'A' * 22}/{name}",
        f"{'0' * 36}/{signature}/{name}",
        f"{artifact}/é/{name}",
        f"{artifact}/",
    ):
        answer = client.get(f"{base}/{path}")

        assert answer.status_code == answer.json()["code"] == 404


def test_the_name_in_a_link_is_for_people(client: httpx2.Client) -> None:
    url = uploaded(client, name="a.mp4")

    answer = client.get(url.replace("a.mp4", "other%2Fname.html"))

    assert answer.headers["content-type"] == "video/mp4"
    assert 'filename="a.mp4"' in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-99", 0, 99),
        ("bytes=100-", 100, len(BYTES) - 1),
        ("bytes=-100", len(BYTES) - 100, len(BYTES) - 1),
        (f"bytes=500-{len(BYTES) * 2}", 500, len(BYTES) - 1),
    ],
)
def test_a_player_may_ask_for_a_part(client: httpx2.Client, asked: str, first: int, last: int) -> None:
    answer = client.get(uploaded(client), headers={"range": asked})

    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(BYTES)}"
    assert answer.content == BYTES[first : last + 1]


def test_a_part_after_the_end_is_416_json(client: httpx2.Client) -> None:
    answer = client.get(uploaded(client), headers={"range": f"bytes={len(BYTES)}-"})

    assert answer.status_code == answer.json()["code"] == 416
    assert answer.headers["content-range"] == f"bytes */{len(BYTES)}"


@pytest.mark.parametrize("asked", ["bytes=9-5", "bytes=a-b", "lines=1-2", "nonsense"])
def test_a_part_that_makes_no_sense_is_the_whole(client: httpx2.Client, asked: str) -> None:
    answer = client.get(uploaded(client), headers={"range": asked})

    assert (answer.status_code, answer.content) == (200, BYTES)


def test_a_part_of_a_file_that_changed_meanwhile_is_the_whole(client: httpx2.Client) -> None:
    url = uploaded(client)
    tag = client.head(url).headers["etag"]

    def asked(condition: str) -> int:
        return client.get(url, headers={"range": "bytes=0-9", "if-range": condition}).status_code

    assert asked(tag) == 206
    assert asked('"another"') == 200


def test_a_file_the_client_has_already_is_not_sent_again(client: httpx2.Client) -> None:
    url = uploaded(client)
    tag = client.head(url).headers["etag"]

    answer = client.get(url, headers={"if-none-match": f'"other", {tag}'})

    assert (answer.status_code, answer.content) == (304, b"")


def test_head_tells_the_size_without_the_bytes(client: httpx2.Client) -> None:
    answer = client.head(uploaded(client))

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(BYTES))
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    ("name", "kind", "shown"),
    [
        ("a.png", "image/png", True),
        ("a.mp3", "audio/mpeg", True),
        ("a.mp4", "video/mp4", True),
        ("a.txt", "text/plain", True),
        ("a.svg", "image/svg+xml", False),
        ("a.html", "text/html", False),
        ("a.pdf", "application/pdf", False),
        ("a.txt", "text/plainly", False),
        ("a.bin", "no type\r\nx: y", False),
    ],
)
def test_only_what_can_run_nothing_is_shown_in_a_browser(
    client: httpx2.Client, name: str, kind: str, shown: bool
) -> None:
    part = FILE.replace(b"a.txt", name.encode()).replace(b"text/plain", kind.encode())
    answer = client.get(post_form(client, form(part)).json()["url"])

    assert answer.headers["content-disposition"].startswith("inline" if shown else "attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "sandbox"
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_a_file_whose_bytes_are_gone_is_404(service: Service) -> None:
    url = uploaded(service.client)
    for path in (service.folder / "artifacts").rglob("clip.mp4"):
        path.unlink()

    answer = service.client.get(url)

    assert answer.status_code == answer.json()["code"] == 404


def test_a_job_answers_with_a_link_to_its_file(service: Service, tmp_path: Path) -> None:
    job = service.submit()
    lease = service.claim()
    made = tmp_path / "made.mp4"
    made.write_bytes(BYTES)
    artifact: Artifact = service.run(
        service.store.keep(
            made, job_id=job, attempt=lease.attempt, name="made.mp4", content_type=None, caller=lease.caller
        )
    )
    link = Link("/files/0", artifact.artifact_id, artifact.name)
    service.finish(lease, Success('{"files": [null]}', (artifact,), (link,)))

    record = service.client.get(f"/v1/toolkit/job/status/{job}").json()["response"]

    url = record["response"]["response"]["files"][0]
    assert url.endswith("/made.mp4")
    with service.client_with(None) as anybody:
        assert anybody.get(url).content == BYTES


def test_the_test_call_answers_an_address_that_can_be_fetched(service: Service) -> None:
    for method in ("GET", "POST"):
        body = service.client.request(method, "/v1/toolkit/test").json()

        assert (body["code"], body["endpoint"]) == (200, "/v1/toolkit/test")
        assert body["response"].endswith("/success.txt")
        with service.client_with(None) as anybody:
            assert "success" in anybody.get(body["response"]).text


@pytest.mark.parametrize("key", [BOB_KEY, OWNER_KEY])
def test_what_a_caller_uploads_is_recorded_as_theirs(service: Service, key: str) -> None:
    with service.client_with(key) as caller:
        artifact_id = uploaded(caller).rsplit("/", 3)[1]

    artifact = service.run(service.ledger.artifact(artifact_id))
    assert artifact is not None
    assert artifact.caller == ("bob" if key == BOB_KEY else "owner")
