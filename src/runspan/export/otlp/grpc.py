"""OTLP over gRPC; https://opentelemetry.io/docs/specs/otlp/#otlpgrpc says what the answers mean."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]  # has types, but doesn't say so
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # the same
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from runspan._version import __version__
from runspan.export.encoding.requests import Request
from runspan.export.otlp.credentials import NOT_TRUSTED, Certificates, provided
from runspan.export.otlp.deadline import seconds_for
from runspan.export.otlp.result import (
    CLOSED,
    Rejected,
    Result,
    Retryable,
    Success,
    TooLarge,
    one_line,
    success,
    too_large,
)
from runspan.export.otlp.target import OtlpTarget

_METHOD: Final = f"/{trace_service_pb2.DESCRIPTOR.services_by_name['TraceService'].full_name}/Export"
_DETAILS: Final = "grpc-status-details-bin"
_OWN: Final = "google.rpc.retryinfo-bin"
_NOT_TRUSTED: Final = re.compile(r"CERTIFICATE_VERIFY_FAILED:? *([^:]*)")
# In bytes; an answer says how many spans were rejected, and why. A compressed one is unpacked to a thousand times that.
_LONGEST_ANSWER: Final = 16 * 1024
# What gRPC says of an answer that is longer. It was the answer to a request that had arrived.
_ANSWER_TOO_LONG: Final = "CLIENT: Received message larger than max"
_OPTIONS: Final = (
    ("grpc.primary_user_agent", f"runspan/{__version__}"),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", _LONGEST_ANSWER),
    # Else channels to one address share a connection: a forked child that of its parent; and the pause after a failure.
    ("grpc.use_local_subchannel_pool", 1),
)
_COMPRESSIONS: Final = {
    "none": grpc.Compression.NoCompression,
    "deflate": grpc.Compression.Deflate,
    "gzip": grpc.Compression.Gzip,
}
_RETRYABLE: Final = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
_MAY_BE_TOO_LARGE: Final = frozenset(
    {
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,  # as which gRPC tells HTTP's 413, sent by a proxy
    }
)


class GrpcClient:
    """Calls a receiver over one channel, a new one after each failure: a channel that failed waits before it tries.

    Raises:
        ValueError: if a certificate or the credential provider can't be used.
    """

    def __init__(self, target: OtlpTarget) -> None:
        self._target = target
        self._address, is_plain = _address_of(target)
        self._metadata = tuple(target.headers.items())
        self._credentials = None if is_plain else _credentials(target.certificates)
        self._channel: Any = None
        self._closed = False

    def send(self, request: Request) -> Result:
        """Try once."""
        channel = self._channel = self._channel or self._new_channel()
        if self._closed:
            self._drop_channel()
            return CLOSED
        try:
            # Not the generated stub: it would decode and encode a request, and fail with an answer that is no message.
            response = channel.unary_unary(_METHOD)(
                request.body, timeout=seconds_for(self._target.timeout_seconds), metadata=self._metadata
            )
        except grpc.RpcError as error:
            if _ANSWER_TOO_LONG in (error.details() or ""):
                return Success()
            return CLOSED if self._closed else self._failed(error)
        except ValueError:  # the channel was closed between these lines
            return CLOSED
        return success(response, request.spans)

    def close(self) -> None:
        """Close the channel, also in the middle of ``send``."""
        self._closed = True
        self._drop_channel()

    def _new_channel(self) -> Any:
        compression = _COMPRESSIONS[self._target.compression]
        if self._credentials is None:
            return grpc.insecure_channel(self._address, options=_OPTIONS, compression=compression)
        return grpc.secure_channel(self._address, self._credentials, options=_OPTIONS, compression=compression)

    def _drop_channel(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _failed(self, error: Any) -> Result:
        result = _result(error, self._target.timeout_seconds)
        if isinstance(result, Retryable):
            self._drop_channel()
        return result


def _address_of(target: OtlpTarget) -> tuple[str, bool]:
    """Return the address and whether it is reached without TLS, as OpenTelemetry's exporter decides it."""
    if "//" not in target.endpoint:
        return target.endpoint.rpartition("@")[2], bool(target.insecure)
    url = urlsplit(target.endpoint)
    is_plain = target.insecure if target.insecure is not None else True
    return url.netloc.rpartition("@")[2], url.scheme == "http" and is_plain


def _credentials(certificates: Certificates) -> Any:
    credentials = provided("GRPC", grpc.ChannelCredentials)
    if credentials is not None:
        return credentials
    certificates.check()
    return grpc.ssl_channel_credentials(
        root_certificates=_read(certificates.authority),
        private_key=_read(certificates.key or certificates.client),
        certificate_chain=_read(certificates.client),
    )


def _read(path: str | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()


def _result(error: Any, timeout_seconds: float) -> Result:
    code, text = error.code(), error.details() or ""
    after = retry_delay(error.trailing_metadata() or ())
    reason = f"{code.name}: {one_line(text) or 'no reason given'}"
    said = too_large(text) if code in _MAY_BE_TOO_LARGE else None
    if said is not None:
        return TooLarge(reason, said.limit)
    not_trusted = _NOT_TRUSTED.search(text)
    if not_trusted is not None:
        return Retryable(NOT_TRUSTED.format(one_line(not_trusted[1])))
    if code is grpc.StatusCode.DEADLINE_EXCEEDED and "Deadline Exceeded" in text:  # so says gRPC itself
        return Retryable(f"no answer within {timeout_seconds:.3g} s")
    if code in _RETRYABLE or (code is grpc.StatusCode.RESOURCE_EXHAUSTED and after is not None):
        return Retryable(reason, after)
    return Rejected(reason)


def retry_delay(trailers: Iterable[tuple[str, str | bytes]]) -> float | None:
    """Return what a receiver asks to wait: a ``RetryInfo``, among the details of its status or on its own."""
    values = dict(trailers)
    info, status = RetryInfo(), Status()
    try:
        if _OWN in values:
            info.ParseFromString(values[_OWN])
            return _seconds(info)
        status.ParseFromString(values.get(_DETAILS, b""))
        found = any(detail.Unpack(info) for detail in status.details)
    except DecodeError:
        return None
    return _seconds(info) if found else None


def _seconds(info: RetryInfo) -> float:
    return max(float(info.retry_delay.seconds) + float(info.retry_delay.nanos) / 1e9, 0.0)
