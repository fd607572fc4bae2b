"""Artifacts: files that a job produced or a caller uploaded, and the links that lead to them."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from urllib.parse import quote, unquote

LINK_PATH = "/v1/files"
SIGNATURE_BYTES = 16  # 128 bits: more than anyone can guess over HTTP


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file in the store. `key` is its place there, `name` what a person sees when it is downloaded."""

    artifact_id: str
    key: str  # "<owner id>/<attempt>/<name>", relative to the store
    name: str
    content_type: str
    size_bytes: int
    caller: str
    job_id: str | None = None  # None: uploaded


@dataclass(frozen=True, slots=True)
class Link:
    """Where in a response an artifact's address belongs: a JSON pointer (RFC 6901), "" for the whole."""

    pointer: str
    artifact_id: str
    name: str


class Links:
    """Makes and checks the signed addresses of artifacts.

    The address is `<public URL>/v1/files/<artifact id>/<signature>/<name>`. The signature is HMAC-SHA256
    over the artifact's id with a secret that lives in the ledger, so every node can verify it. A link
    lives as long as its artifact.
    """

    def __init__(self, public_url: str, secret: bytes) -> None:
        self._base = public_url.rstrip("/") + LINK_PATH + "/"
        self._secret = secret

    def url(self, artifact_id: str, name: str) -> str:
        return f"{self._base}{artifact_id}/{self.signature(artifact_id)}/{quote(name, safe='')}"

    def signature(self, artifact_id: str) -> str:
        digest = hmac.digest(self._secret, artifact_id.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest[:SIGNATURE_BYTES]).rstrip(b"=").decode()

    def verifies(self, artifact_id: str, signature: str) -> bool:
        return hmac.compare_digest(self.signature(artifact_id).encode(), signature.encode())

    def is_ours(self, url: str) -> bool:
        """Whether an address points at this deployment's files, signed well or not."""
        return url.startswith(self._base)

    def artifact_id_of(self, url: str) -> str | None:
        """The artifact that one of our links leads to; None where the signature is not ours."""
        if not self.is_ours(url):
            return None
        path = url[len(self._base) :].partition("?")[0].partition("#")[0]
        artifact_id, _, rest = path.partition("/")
        signature = unquote(rest.partition("/")[0])
        return artifact_id if self.verifies(artifact_id, signature) else None
