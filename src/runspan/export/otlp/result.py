"""What a receiver answered to a request, as OTLP distinguishes it, read with suspicion.

https://opentelemetry.io/docs/specs/otlp/#failures
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

from google.protobuf.json_format import Parse, ParseError
from google.protobuf.message import DecodeError, Message
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # has types, but doesn't say so
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

LONGEST_TEXT: Final = 200
_LONGEST_SEARCHED: Final = 10_000  # characters
# The words of grpc-go, gRPC's C core, grpc-js, grpc-java, tonic, grpc-dotnet; then those of HTTP servers.
_TOO_LARGE: Final = re.compile(
    r"larger than max(?:imum)?\b(?! frame)(?: \(\d+ vs\.? (\d{1,18})\)| (\d{1,18}))?"
    r"|decompresses to a size larger than (\d{1,18})"
    r"|message exceeds maximum size(?: (\d{1,18}))?"
    r"|message length too large: found \d+ bytes, the limit is:? (\d{1,18})"
    r"|size limit, of (\d{1,18}) bytes, exceeded while decompressing"
    r"|exceeds the maximum configured message size"
    r"|(?:body|entity|payload|message|content) too large"
    r"|length limit exceeded"
    r"|http2 header with status: 413",
    re.IGNORECASE,
)
# It stops at the next "<", too: else a page full of them would be searched to its end from each.
_TAG: Final = re.compile(r"<[^<>]*>")
# Before the host of a URL.
_USER: Final = re.compile(r"//[^/]*@")
_M = TypeVar("_M", bound=Message)


@dataclass(frozen=True, slots=True)
class Success:
    """The request has arrived, but for the spans that a partial success says were rejected."""

    rejected: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Retryable:
    """It has not arrived and may be sent again, not before ``after`` seconds from now if the receiver asks for it."""

    reason: str
    after: float | None = None


@dataclass(frozen=True, slots=True)
class TooLarge:
    """It is larger than the receiver takes; ``limit`` is what it takes, in bytes, if it names it."""

    reason: str
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """It must not be sent again."""

    reason: str


Result = Success | Retryable | TooLarge | Rejected
CLOSED: Final = Retryable("closed")


def success(body: bytes, spans: int, *, as_json: bool = False) -> Success:
    """Read the answer to a request of so many spans that has arrived; one that can't be read says nothing more.

    https://opentelemetry.io/docs/specs/otlp/#partial-success
    """
    partial = (_read(ExportTraceServiceResponse, body, as_json=as_json) or ExportTraceServiceResponse()).partial_success
    return Success(min(max(partial.rejected_spans, 0), spans), one_line(partial.error_message))


def message_of(body: bytes, content_type: str) -> str:
    """Return what the body of a refusal says: a ``google.rpc.Status``, as protobuf or JSON, or text."""
    is_protobuf, is_json = "protobuf" in content_type, "json" in content_type
    status = _read(Status, body, as_json=is_json) if is_protobuf or is_json else None
    if status is not None and (status.message or is_protobuf):
        return one_line(status.message)
    text = body.decode(errors="replace")
    return one_line(_TAG.sub(" ", text) if "html" in content_type else text)


def too_large(text: str) -> TooLarge | None:
    """Return what the words of a refusal say of the size of the request, None if it was not that."""
    found = _TOO_LARGE.search(text, 0, _LONGEST_SEARCHED)
    if found is None:
        return None
    return TooLarge(one_line(text), next((int(number) for number in found.groups() if number), None))


def seconds_of_retry_after(header: str | None) -> float | None:
    """Read seconds or a date; https://www.rfc-editor.org/rfc/rfc9110#field.retry-after."""
    text = (header or "").strip()
    if len(text) > LONGEST_TEXT:
        return None
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        return max((date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError, OverflowError, IndexError):  # of years and zones that are none
        return None


def one_line(text: str) -> str:
    """Make a foreign text a short one for a log line, without users and passwords of URLs in it."""
    words = "".join(character if character.isprintable() else " " for character in text[: 10 * LONGEST_TEXT]).split()
    line = " ".join(_USER.sub("//", word) for word in words)
    return line if len(line) <= LONGEST_TEXT else line[: LONGEST_TEXT - 1] + "…"


def _read(kind: type[_M], body: bytes, *, as_json: bool) -> _M | None:
    try:
        return Parse(body, kind(), ignore_unknown_fields=True) if as_json else kind.FromString(body)
    except (DecodeError, ParseError, ValueError, RecursionError):  # the last two from deep nests and long numbers
        return None
