"""What is not even HTTP is answered in JSON too."""

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from jobreel.core.envelope import error_object
from jobreel.core.errors import InvalidRequest

_REFUSAL = InvalidRequest("This is not a valid HTTP request.", hint="Check the request line and the headers.")


class JsonProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol; its own answer to what it cannot parse would be plain text."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - its reason is for developers
        report = _REFUSAL.report()
        body = msgspec.json.encode({"message": report.message, "code": 400, "error": error_object(report)})
        head = f"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"connection: close\r\n\r\n" + body)
        self.transport.close()
