"""Logs: one JSON object a line on standard output, with the span that was current.

They name cases by their reference and nothing else of a person; exceptions' texts, which may hold values, are left out.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import structlog
from opentelemetry import trace


def set_up_logs(service: str, level: str) -> None:
    """One JSON object a line on standard output; libraries' own logging from warnings up goes the same way."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _with_span,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Unfailing())),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    handler = logging.StreamHandler(_Unfailing())
    handler.setFormatter(_LibraryFormatter(service))
    # Its start-up warns that topics are not created, which is as it should be.
    logging.getLogger("faststream").setLevel(logging.ERROR)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def _with_span(_: object, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """By these a viewer leads from a line to its trace, and back."""
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        fields["trace_id"], fields["span_id"] = f"{span.trace_id:032x}", f"{span.span_id:016x}"
    return fields


class _Unfailing:
    """Standard output, whose failures stop no work: on a full disk a line is lost, and not the batch that it told of.

    It was: the line that said that a batch would be tried again raised, and so did the one that said so.
    """

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()


class _LibraryFormatter(logging.Formatter):
    """A library's record as JSON, without its exception's text, which may hold values."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service
        self._render = structlog.processors.JSONRenderer()

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "service": self._service,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:500],
        }
        _with_span(None, "", fields)
        if record.exc_info and record.exc_info[0] is not None:
            fields["error"] = record.exc_info[0].__name__
        return str(self._render(None, "", fields))
