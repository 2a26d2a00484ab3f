"""What an OpenTelemetry exporter logs while we call it, caught before it reaches the application's log.

With nobody listening an exporter logs two to four lines for each batch. They go no further than here; the reason
that they give goes into the one line of ``outcome.py``.
"""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# A filter sees only what is logged on its very logger, so each one that speaks during an export is named.
_LOGGERS = (
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
)
_LONGEST_CHAIN = 10
_RETRY = re.compile(r", retrying in [\d.]+s")


class Complaints:
    """The warnings and errors of one call of an exporter."""

    def __init__(self) -> None:
        self.heard = False
        self.reason = "the exporter gave no reason"

    def note(self, record: logging.LogRecord) -> None:
        """Take what a record says about the reason; lines that only tell of giving up carry no details."""
        self.heard = True
        arguments = record.args if isinstance(record.args, tuple) else ()
        errors = [argument for argument in arguments if isinstance(argument, BaseException)]
        if errors:
            self.note_error(errors[0])
        elif len(arguments) > 1:
            self.reason = _RETRY.sub("", record.getMessage()).rstrip(".")

    def note_error(self, error: BaseException) -> None:
        """Take an error as the reason: the innermost one says what happened on the wire."""
        self.heard = True
        for _ in range(_LONGEST_CHAIN):
            error = error.__cause__ or error.__context__ or error
        self.reason = f"{type(error).__name__}: {error}"


class _Listener(threading.local):
    complaints: Complaints | None = None


class _Catch(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        complaints = _listener.complaints
        if complaints is None or record.levelno < logging.WARNING:
            return True
        complaints.note(record)
        return False


_listener = _Listener()
_catch = _Catch()


@contextmanager
def listening_to(complaints: Complaints) -> Iterator[None]:
    """Catch what exporters log in this thread."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_catch)  # a second time does nothing
    _listener.complaints = complaints
    try:
        yield
    finally:
        _listener.complaints = None
