"""Multipart: the part called `file` of a form (RFC 7578), read as it comes and never held whole."""

from collections.abc import AsyncIterator
from typing import Self

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from jobreel.core.errors import InvalidRequest

FIELD = b"file"


def boundary_of(content_type: str) -> bytes | None:
    """The boundary of a multipart/form-data body; None where this is none."""
    kind, options = parse_options_header(content_type)
    return options.get(b"boundary") if kind == b"multipart/form-data" else None


class FilePart:
    """The file in a form. What stands before it is skipped, what comes after it is ignored."""

    def __init__(self, stream: AsyncIterator[bytes], boundary: bytes) -> None:
        self.file_name, self.content_type = "", ""
        self._stream = stream
        self._open = self._complete = False
        self._data: list[bytes] = []
        self._headers: dict[bytes, bytes] = {}
        self._header_name = self._header_value = b""
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._headers.clear,
                    "on_header_field": self._on_header_name,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_data,
                    "on_part_end": self._on_part_end,
                },
            )
        except FormParserError:
            raise _unreadable() from None

    @classmethod
    async def find(cls, stream: AsyncIterator[bytes], boundary: bytes) -> Self:
        """The file, read up to its first bytes. Raises `InvalidRequest` where the form holds none."""
        part = cls(stream, boundary)
        async for chunk in stream:
            part._parse(chunk)
            if part._open or part._complete:
                return part
        raise InvalidRequest("Invalid payload: the form has no file in its field `file`.")

    async def chunks(self) -> AsyncIterator[bytes]:
        """The file's bytes. Raises `InvalidRequest` where the form breaks off inside of it."""
        yield self._taken()
        async for chunk in self._stream:
            self._parse(chunk)
            yield self._taken()
        if not self._complete:
            raise InvalidRequest("Invalid payload: the form ends in the middle of the file.")

    def _parse(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise _unreadable() from None

    def _taken(self) -> bytes:
        data = b"".join(self._data)
        self._data.clear()
        return data

    def _on_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if self._complete or options.get(b"name") != FIELD or not options.get(b"filename"):
            return
        self._open = True
        self.file_name = options[b"filename"].decode(errors="replace")
        self.content_type = self._headers.get(b"content-type", b"").decode("latin-1")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._open:
            self._data.append(data[start:end])

    def _on_part_end(self) -> None:
        self._complete = self._complete or self._open
        self._open = False


def _unreadable() -> InvalidRequest:
    return InvalidRequest("Invalid payload: the body is not the multipart/form-data that its header announces.")
