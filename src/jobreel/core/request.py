"""What a job type's request is made of: typed fields, checked once, kept as sent.

Requests are msgspec structs, so that the API (which checks them) and the child (which runs them) share
one definition without the child paying for a validation framework (docs/adr/0002).
"""

import re
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, Self, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec

from jobreel.core.errors import InvalidRequest

MAX_NESTING = 64
MAX_URL_LENGTH = 8192
MAX_LABEL_LENGTH = 1024
MAX_ECHO = 100  # characters of what was sent that an error repeats
_MISSING = re.compile(r"Object missing required field `([^`]*)`")
_UNKNOWN = re.compile(r"Object contains unknown field `([^`]*)`")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Url(str):
    """An http or https address: checked like one, kept byte for byte as sent (pre-signed queries survive)."""

    __slots__ = ()


Headers = Annotated[
    dict[str, str],
    msgspec.Meta(description="Request headers to send with the download, for protected sources.", max_length=32),
]


class JobRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The fields every job type shares. `also_called` maps other names of a field to ours."""

    also_called: ClassVar[dict[str, str]] = {}

    webhook_url: Annotated[
        Url | None,
        msgspec.Meta(description="Where to POST the result. Without it the call waits for the result."),
    ] = None
    id: (
        Annotated[
            str,
            msgspec.Meta(max_length=MAX_LABEL_LENGTH, description="Your own label; comes back in every answer."),
        ]
        | None
    ) = None

    def check(self) -> None:
        """Raise `InvalidRequest` for what types cannot say. Called once, after the fields are checked."""

    @classmethod
    def parse(cls, body: object) -> Self:
        """A checked request from decoded JSON.

        An optional field that is null counts as absent, numbers may come as strings, an empty
        `webhook_url` or `id` is no `webhook_url` or `id`. Raises `InvalidRequest` in plain words.
        """
        if not isinstance(body, dict):
            raise InvalidRequest(f"Invalid payload: the body must be a JSON object, not {json_word(body)}.")
        try:
            request = msgspec.convert(cls._named(body), cls, strict=False, dec_hook=_decode)
        except msgspec.ValidationError as error:
            raise InvalidRequest(f"Invalid payload: {plain(str(error), cls)}") from None
        request.check()
        return request

    @classmethod
    def _named(cls, body: dict[str, Any]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name, value in body.items():
            ours = cls.also_called.get(name, name)
            if value is None and ours in _optional_fields(cls):
                continue
            if value == "" and ours in {"webhook_url", "id"}:
                continue
            if ours in fields and fields[ours] != value:
                raise InvalidRequest(
                    f"Invalid payload: `{name}` and `{ours}` are the same field; send one of them."
                )
            fields[ours] = value
        return fields

    def encoded(self) -> str:
        """This request as JSON for the ledger."""
        return msgspec.json.encode(self, enc_hook=str).decode()

    @classmethod
    def decoded(cls, text: str) -> Self:
        """A request back from the ledger: it was checked when it was accepted."""
        return msgspec.json.decode(text, type=cls, dec_hook=_decode)


@cache
def _optional_fields(request: type[JobRequest]) -> frozenset[str]:
    """Fields for which null says the same as leaving them out: all but those that may hold anything."""
    hints = get_type_hints(request)
    return frozenset(name for name in request.__struct_fields__ if hints[name] is not Any)


def decode_json(body: bytes) -> object:
    """Decoded JSON whose values every engine of the ledger can keep.

    Raises `InvalidRequest` for malformed JSON, nesting over 64, NUL and lone surrogates in text, and
    whole numbers over 64 bits.
    """
    try:
        value = msgspec.json.decode(body)
    except RecursionError:
        raise _too_deep() from None
    except msgspec.DecodeError as error:
        if _holds_lone_surrogate(body):
            raise InvalidRequest("Invalid payload: a text holds half of a surrogate pair.") from None
        raise InvalidRequest(f"Invalid JSON: {error}") from None
    except UnicodeDecodeError:
        raise InvalidRequest("Invalid JSON: the body is not UTF-8.") from None
    if _looks_suspicious(body):
        _check_values(value, depth=1)
    return value


_SUSPICIOUS = re.compile(rb"\\u0000|[0-9]{19}")


def _looks_suspicious(body: bytes) -> bool:
    """A cheap test that nearly every honest body fails, so that it is not walked."""
    return body.count(b"{") + body.count(b"[") > MAX_NESTING or _SUSPICIOUS.search(body) is not None


def _holds_lone_surrogate(body: bytes) -> bool:
    import json

    try:
        text = json.dumps(json.loads(body), ensure_ascii=False)
    except (ValueError, RecursionError):
        return False
    return _LONE_SURROGATE.search(text) is not None


def _check_values(value: object, depth: int) -> None:
    if depth > MAX_NESTING:
        raise _too_deep()
    match value:
        case str():
            if "\x00" in value:
                raise InvalidRequest("Invalid payload: a text holds a NUL character.")
        case bool():
            pass
        case int():
            if not -(2**63) <= value < 2**63:
                raise InvalidRequest("Invalid payload: a whole number does not fit in 64 bits.")
        case list():
            for item in value:
                _check_values(item, depth + 1)
        case dict():
            for name, item in value.items():
                _check_values(name, depth)
                _check_values(item, depth + 1)
        case _:
            pass


def _too_deep() -> InvalidRequest:
    return InvalidRequest(f"Invalid payload: nested more than {MAX_NESTING} levels deep.")


def json_word(value: object) -> str:
    """What JSON calls this value, with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "an array"
        case _:
            return "an object"


def _decode(wanted: type, value: object) -> object:
    if wanted is Url:
        return checked_url(value)
    raise NotImplementedError(wanted)


_SPACE_OR_CONTROL = re.compile(r"[\x00-\x20\x7f]")


def checked_url(value: object) -> Url:
    """`value` as an address. Raises ValueError with a sentence."""
    if not isinstance(value, str):
        raise ValueError(f"must be an http or https address, not {json_word(value)}")  # noqa: TRY004 - msgspec's hook
    if len(value) > MAX_URL_LENGTH:
        raise ValueError(f"must be an address of at most {MAX_URL_LENGTH} characters")
    if _SPACE_OR_CONTROL.search(value):
        raise ValueError("must be an http or https address without spaces (write a space as %20)")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("must be an http or https address; this one cannot be read") from None
    if parts.scheme.lower() not in {"http", "https"} or not host:
        raise ValueError("must be an http or https address, like https://example.com/clip.mp4")
    if any(len(label) > 63 or not label for label in host.rstrip(".").split(".")) and ":" not in host:
        raise ValueError("names a host that cannot exist: a part of a name has 1 to 63 characters")
    return Url(value)


_EXPECTED = re.compile(r"Expected `([^`]*)`(.*?)(?:, got `([^`]*)`)?")
_CHOICE = re.compile(r"Invalid enum value (.*)", re.DOTALL)
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "an array",
    "object": "an object",
}


def plain(message: str, request: type[JobRequest]) -> str:
    """A msgspec validation message about a request in the words of our errors: the field first."""
    message = message.replace("`$.", "`").replace("`$`", "the body")
    if missing := _MISSING.search(message):
        return f"`{missing[1]}` is required.{_place(message)}"
    if unknown := _UNKNOWN.search(message):
        return f"`{unknown[1][:MAX_ECHO]}` is not a field of this job type.{_place(message)}"
    what, separator, where = message.rpartition(" - at ")
    if not separator:
        return message
    if expected := _EXPECTED.fullmatch(what):
        return f"{where} must be {_expected(*expected.groups())}."
    if choice := _CHOICE.fullmatch(what):
        return f"{where} cannot be {choice[1][:MAX_ECHO]}{_choices(request, where)}."
    return f"{where} {what[0].lower()}{what[1:]}."


def _expected(types: str, bound: str, got: str | None) -> str:
    """`int | null`, ` <= 5` and `str` as people say it."""
    wanted = " or ".join(_WORDS.get(word, word) for word in types.split(" | ") if word != "null")
    return f"{wanted or 'null'}{bound}" + (f", not {_WORDS.get(got, got)}" if got else "")


def _choices(request: type[JobRequest], where: str) -> str:
    """What a field of fixed words may be; nothing where it lies deeper than the request itself."""
    hint = get_type_hints(request).get(where.strip("`"))
    words = [word for kind in (hint, *get_args(hint)) if get_origin(kind) is Literal for word in get_args(kind)]
    return f"; it is one of {', '.join(map(repr, words))}" if words else ""


def _place(message: str) -> str:
    _, separator, where = message.rpartition(" - at ")
    return f" (In {where}.)" if separator else ""
