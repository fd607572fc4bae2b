"""Log lines: events with fields, on stderr, as JSON for machines or as text for people."""

import logging
import sys

import msgspec
import structlog


def configure(form: str) -> None:
    """`form` is `json` or `text`. Standard logging (the HTTP server's warnings) goes the same way."""
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if form == "json":
        structlog.configure(
            processors=[
                *shared,
                structlog.processors.format_exc_info,
                structlog.processors.EventRenamer("event"),
                structlog.processors.JSONRenderer(serializer=_encode),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
            cache_logger_on_first_use=True,
        )
    else:
        structlog.configure(
            processors=[*shared, _for_people()],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            logger_factory=structlog.WriteLoggerFactory(sys.stderr),
            cache_logger_on_first_use=True,
        )
    logging.basicConfig(handlers=[_Forward(logging.WARNING)], force=True)


def _for_people() -> structlog.dev.ConsoleRenderer:
    """Plain tracebacks: rich ones print local variables, and with them requests and their secrets."""
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )


def _encode(fields: object, **_: object) -> bytes:
    return msgspec.json.encode(fields, enc_hook=str)


class _Forward(logging.Handler):
    """Hands a standard log record on to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        level = {logging.ERROR: "error", logging.CRITICAL: "critical"}.get(record.levelno, "warning")
        log = structlog.get_logger(record.name)
        getattr(log, level)(record.getMessage(), exc_info=record.exc_info or None)
