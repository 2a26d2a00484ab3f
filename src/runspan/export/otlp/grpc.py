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
from grpc import Compression
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from runspan._version import __version__
from runspan.export.encoding.requests import Request
from runspan.export.otlp import result as results
from runspan.export.otlp.credentials import Certificates, not_trusted, provided
from runspan.export.otlp.result import CLOSED, Rejected, Result, Retryable, Success, TooLarge, one_line
from runspan.export.otlp.target import OtlpTarget

_METHOD: Final = f"/{trace_service_pb2.DESCRIPTOR.services_by_name['TraceService'].full_name}/Export"
_DETAILS: Final = "grpc-status-details-bin"
_OWN: Final = "google.rpc.retryinfo-bin"
_NOT_TRUSTED: Final = re.compile(r"CERTIFICATE_VERIFY_FAILED:? *([^:]*)|(Hostname Verification Check failed)")
# A stream or a connection that broke is no answer, whatever code gRPC gives it.
_NO_ANSWER: Final = re.compile(r"RST_STREAM|Failed parsing HTTP/2")
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
_COMPRESSIONS: Final = {"none": Compression.NoCompression, "deflate": Compression.Deflate, "gzip": Compression.Gzip}
_RETRYABLE: Final = {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"}
# As UNKNOWN gRPC reports HTTP's 413, sent by a proxy.
_MAY_BE_TOO_LARGE: Final = {"RESOURCE_EXHAUSTED", "OUT_OF_RANGE", "INVALID_ARGUMENT", "INTERNAL", "UNKNOWN"}


class GrpcClient:
    """Calls a receiver over one channel, a new one after each failure: a channel that failed pauses before the next."""

    def __init__(self, target: OtlpTarget) -> None:
        self._target = target
        self._address, self._is_plain = _address_of(target)
        self._provided = None if self._is_plain else provided("GRPC", grpc.ChannelCredentials)
        if not self._is_plain and self._provided is None:
            target.certificates.check()
        self._channel: Any = None
        self._closed = False

    def send(self, request: Request) -> Result:
        """Try once."""
        try:
            channel = self._channel = self._channel or self._new_channel()
        except OSError as error:  # a file that is being replaced
            return Retryable(str(error))
        if self._closed:
            self.close()
            return CLOSED
        seconds, metadata = self._target.seconds_left, tuple(self._target.headers.items())
        try:
            # Not the generated stub: it would decode and encode a request, and fail with an answer that is no message.
            response = channel.unary_unary(_METHOD)(request.body, timeout=seconds, metadata=metadata)
        except ValueError:  # the channel was closed between these lines
            return CLOSED
        except grpc.RpcError as error:
            result = _result(error, self._target.timeout_seconds)
            if isinstance(result, Retryable):
                self._drop_channel()
            return CLOSED if self._closed and not isinstance(result, Success) else result
        return results.success(response, request.spans)

    def close(self) -> None:
        """Close the channel, also in the middle of ``send``."""
        self._closed = True
        self._drop_channel()

    def _new_channel(self) -> Any:
        compression = _COMPRESSIONS[self._target.compression]
        if self._is_plain:
            return grpc.insecure_channel(self._address, options=_OPTIONS, compression=compression)
        credentials = self._provided or _credentials(self._target.certificates)
        return grpc.secure_channel(self._address, credentials, options=_OPTIONS, compression=compression)

    def _drop_channel(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()


def _address_of(target: OtlpTarget) -> tuple[str, bool]:
    """Return the address and whether it is reached without TLS, as OpenTelemetry's exporter decides it."""
    if "//" not in target.endpoint:
        return target.endpoint.rpartition("@")[2], bool(target.insecure)
    url = urlsplit(target.endpoint)
    return url.netloc.rpartition("@")[2], url.scheme == "http" and target.insecure is not False


def _credentials(certificates: Certificates) -> Any:
    """Read the files, which may have been replaced since the last connection."""
    files = (certificates.authority, certificates.key or certificates.client, certificates.client)
    return grpc.ssl_channel_credentials(*(Path(path).read_bytes() if path else None for path in files))


def _result(error: Any, timeout_seconds: float) -> Result:
    code, text = error.code().name, error.details() or ""
    if _ANSWER_TOO_LONG in text:
        return Success()
    after = retry_delay(error.trailing_metadata() or ())
    reason = f"{code}: {one_line(text) or 'no reason given'}"
    found = results.too_large(text) if code in _MAY_BE_TOO_LARGE else None
    if found is not None:
        return TooLarge(reason, found.limit)
    why = _NOT_TRUSTED.search(text)
    if why is not None:
        return Retryable(not_trusted(one_line(why[1] or why[2])))
    if code == "DEADLINE_EXCEEDED" and "Deadline Exceeded" in text:  # so says gRPC itself
        return Retryable(f"no answer within {timeout_seconds:.3g} s")
    if code in _RETRYABLE or (code == "RESOURCE_EXHAUSTED" and after is not None) or _NO_ANSWER.search(text):
        return Retryable(reason, after)
    return Rejected(reason)


def retry_delay(trailers: Iterable[tuple[str, str | bytes]]) -> float | None:
    """Return what a receiver asks to wait: a ``RetryInfo``, among the details of its status or on its own."""
    values = dict(trailers)
    info, status = RetryInfo(), Status()
    try:
        if _OWN in values:
            info.ParseFromString(values[_OWN])
        else:
            status.ParseFromString(values.get(_DETAILS, b""))
            if not any(detail.Unpack(info) for detail in status.details):
                return None
    except DecodeError:
        return None
    return max(float(info.retry_delay.seconds) + float(info.retry_delay.nanos) / 1e9, 0.0)
