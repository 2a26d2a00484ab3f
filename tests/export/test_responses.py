"""What receivers say, friendly or hostile."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from runspan.export.otlp.result import (
    LONGEST_TEXT,
    Success,
    TooLarge,
    message_of,
    one_line,
    seconds_of_retry_after,
    success,
    too_large,
)


def partial(rejected, message=""):
    return ExportTraceServiceResponse(
        partial_success=ExportTracePartialSuccess(rejected_spans=rejected, error_message=message)
    ).SerializeToString()


@pytest.mark.parametrize(
    ("body", "as_json", "answer"),
    [
        (b"", False, Success()),
        (partial(0), False, Success()),
        (partial(3, "too old"), False, Success(3, "too old")),
        (partial(0, "use\nfewer\x00attributes"), False, Success(0, "use fewer attributes")),
        (partial(99, "all"), False, Success(5, "all")),
        (partial(-1, "none"), False, Success(0, "none")),
        (b"", True, Success()),
        (b"{}", True, Success()),
        (b'{"partialSuccess":{}}', True, Success()),
        (b'{"partialSuccess":{"rejectedSpans":"2","errorMessage":"old"},"new":1}', True, Success(2, "old")),
        (b'{"partial_success":{"rejected_spans":2,"error_message":"old"}}', True, Success(2, "old")),
        (b"\xff\xff\xff", False, Success()),
        (b"<html>fine</html>", False, Success()),
        (b"<html>fine</html>", True, Success()),
        (b"[" * 60_000, True, Success()),
        (b'{"partialSuccess":{"rejectedSpans":' + b"9" * 5000 + b"}}", True, Success()),
        (b'{"partialSuccess":{"rejectedSpans":1e400}}', True, Success()),
        (b'{"partialSuccess":7}', True, Success()),
    ],
)
def test_a_partial_success_says_how_many_spans_were_rejected(body, as_json, answer):
    """At most those that were sent count; an answer that can't be read is as good as none."""
    assert success(body, 5, as_json=as_json) == answer


@given(body=st.binary() | st.text().map(str.encode), as_json=st.booleans(), spans=st.integers(0, 1000))
def test_any_body_of_a_success_is_a_delivery(body, as_json, spans):
    """Whatever comes, the request has arrived, and no more spans were rejected than were sent."""
    answer = success(body, spans, as_json=as_json)
    assert 0 <= answer.rejected <= spans
    assert len(answer.reason) <= LONGEST_TEXT


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (Status(code=3, message="no such tenant").SerializeToString(), "application/x-protobuf", "no such tenant"),
        (b'{"code":3,"message":"no such tenant"}', "application/json; charset=utf-8", "no such tenant"),
        (b'{"error":"no such tenant"}', "application/json", '{"error":"no such tenant"}'),
        (b"no such\r\n\ttenant\n", "text/plain", "no such tenant"),
        (b"no such tenant", "", "no such tenant"),
        (b"<html><title>404</title>\n<p>Not Found</p></html>", "text/html", "404 Not Found"),
        (b"\xff\xfe tenant", "text/plain", "�� tenant"),
        (b"<no protobuf>", "application/x-protobuf", "<no protobuf>"),
        (b"{" * 60_000, "application/json", "{" * (LONGEST_TEXT - 1) + "…"),
        (b"", "text/plain", ""),
    ],
)
def test_a_refusal_gives_its_reason(body, content_type, message):
    """The message of a status, or the text itself, as one short line."""
    assert message_of(body, content_type) == message


@given(body=st.binary(), content_type=st.sampled_from(["application/json", "application/x-protobuf", "text/html", ""]))
def test_any_body_of_a_refusal_is_a_short_line(body, content_type):
    """No body makes an error or more than one line."""
    assert is_a_short_line(message_of(body, content_type))


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        ">",
        "<a",
        "<a>",
        " ",
        "\t<",
        "//",
        "//a",
        "//@",
        "@",
        "1",
        "{",
        '"',
        "larger than max (1",
        "found 1",
        "\udc80",
    ],
)
def test_no_text_of_megabytes_takes_hours(piece):
    """What receivers say is read in a time that grows with its length alone: with its square these would take hours."""
    text = piece * (4_000_000 // len(piece))
    body = text.encode(errors="replace")
    for content_type in ("text/html", "application/json", "application/x-protobuf", "text/plain"):
        message_of(body, content_type)
    success(body, 1)
    one_line(text)
    too_large(text)
    seconds_of_retry_after(text)


@given(st.text())
def test_any_text_becomes_a_short_line(text):
    """Nothing that moves a terminal's cursor or begins a line of its own gets into the log."""
    assert is_a_short_line(one_line(text))


def is_a_short_line(text):
    return len(text) <= LONGEST_TEXT and text.isprintable()


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        # grpc-go: the plain limit; before and since 1.6x when it was compressed
        ("grpc: received message larger than max (5268750 vs. 4194304)", 4194304),
        ("grpc: received message after decompression larger than max (5268750 vs. 4194304)", 4194304),
        ("grpc: received message after decompression larger than max 4194304", 4194304),
        (
            "Permanent error: rpc error: code = ResourceExhausted grpc: received message larger than max (9 vs. 8)",
            8,
        ),
        # C core: Python, C++, Ruby, PHP
        ("Received message larger than max (6291461 vs. 4194304)", 4194304),
        ("SERVER: Received message larger than max (6291461 vs. 4194304)", 4194304),
        ("CLIENT: Sent message larger than max (6291461 vs. 4194304)", 4194304),
        ("Decompressed message larger than max", None),
        # grpc-js
        ("Received message larger than max (6291461 vs 4194304)", 4194304),
        ("Received message that decompresses to a size larger than 4194304", 4194304),
        # grpc-java
        ("gRPC message exceeds maximum size 4194304: 6291461", 4194304),
        ("Decompressed gRPC message exceeds maximum size 4194304", 4194304),
        ("Compressed gRPC message exceeds maximum size 4194304: 6291461 bytes read", 4194304),
        # tonic
        ("Error, message length too large: found 24732228 bytes, the limit is: 20971520 bytes", 20971520),
        ("Error, decoded message length too large: found 6291461 bytes, the limit is: 4194304 bytes", 4194304),
        ("Error decompressing: size limit, of 4194304 bytes, exceeded while decompressing message", 4194304),
        # grpc-dotnet
        ("Received message exceeds the maximum configured message size.", None),
        # a proxy before a gRPC server
        ("Received http2 header with status: 413", None),
        # HTTP servers: Go and the Collector, Express, nginx, axum
        ("http: request body too large", None),
        ("request entity too large", None),
        ("413 Request Entity Too Large nginx/1.27.0", None),
        ("Payload Too Large", None),
        ("Failed to buffer the request body: length limit exceeded", None),
        ("received message larger than max (5 vs. " + "9" * 5000 + ")", None),
    ],
)
def test_a_request_too_large_is_known_by_the_words(text, limit):
    """The words of each family of servers, with the limit where they name it."""
    assert too_large(text) == TooLarge(one_line(text), limit)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "RATE_LIMITED: ingestion rate limit (15000000 bytes) exceeded while adding 5000 bytes",
        "TRACE_TOO_LARGE: max size of trace (5000000) exceeded while adding 5000 bytes to trace",
        "sending queue is full",
        "data refused due to high memory usage",
        "attribute count larger than allowed",
        "Received http2 header with status: 502",
        "Failed parsing HTTP/2 (Frame size 16777215 is larger than max frame size 16384)",
    ],
)
def test_other_limits_are_not_the_size_of_a_request(text):
    """To split a request would not help against these."""
    assert too_large(text) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("-5", None),
        ("1.5", None),
        ("1e3", None),
        ("٣", None),
        ("9" * 400, None),
        ("soon", None),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0),
        ("Fri, 31 Dec 1999 23:59:59 -0000", 0.0),
        ("Fri, 31 Feb 2099 23:59:59 GMT", None),
        ("Fri, 31 Dec 99999999999 23:59:59 GMT", None),
        ("Fri, 31 Dec 2099 23:59:59 +9999999999", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header, seconds):
    """A time that has passed is now; what can't be read is as good as none."""
    assert seconds_of_retry_after(header) == seconds


def test_retry_after_may_be_a_date_to_come():
    """What counts is how far away it is."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert 90 < seconds_of_retry_after(date) <= 100


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d{1,5} [A-Z][a-z]{2} \d{1,9} \d+:\d+:\d+ ([A-Z]{3}|[+-]\d+)"))
def test_any_retry_after_is_a_time_to_wait_or_none(header):
    """No header makes an error or a time that can't be waited for."""
    seconds = seconds_of_retry_after(header)
    assert seconds is None or 0 <= seconds < float("inf")


@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner), max_leaves=3)
)
def test_any_json_is_read_with_suspicion(value):
    """Neither a success nor a refusal in JSON makes an error, whatever its shape."""
    body = json.dumps({"partialSuccess": value, "message": value}).encode()
    assert isinstance(success(body, 1, as_json=True), Success)
    assert is_a_short_line(message_of(body, "application/json"))
