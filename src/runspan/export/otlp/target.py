"""Where spans go, by arguments and the standard environment variables.

https://opentelemetry.io/docs/specs/otel/protocol/exporter/ says what the variables mean.
"""

import math
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

from opentelemetry.util.re import parse_env_headers

from runspan.arguments import shown
from runspan.export.otlp.credentials import Certificates, variable

OtlpProtocol: TypeAlias = Literal["http/protobuf", "grpc"]
HTTP: Final = "http/protobuf"
GRPC: Final = "grpc"
# Names in OTEL_TRACES_EXPORTER that OpenTelemetry's SDK for Python has beside "otlp".
_PROTOCOL_OF_EXPORTER: Final = {"otlp_proto_http": HTTP, "otlp_proto_grpc": GRPC}
_DEFAULT_ENDPOINT: Final = {HTTP: "http://localhost:4318", GRPC: "http://localhost:4317"}
_HTTP_PATH: Final = "/v1/traces"
# Names and values that the libraries which send them take. To gRPC, a name that ends in -bin means bytes.
_HEADERS: Final = {
    HTTP: (re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+"), re.compile(r"(?!\s)[\t\x20-\x7e\x80-\xff]*")),
    GRPC: (re.compile(r"(?!grpc-)[0-9a-z_.-]+(?<!-bin)"), re.compile(r"(?! )[\x20-\x7e]*")),
}
_DEFAULT_TIMEOUT_SECONDS: Final = 10.0
_until: Final[ContextVar[float]] = ContextVar("runspan_until", default=math.inf)


@dataclass(frozen=True)
class OtlpTarget:
    """Where and how spans are sent: everything settled, nothing imported or read from files yet.

    Args:
        endpoint: a URL; for gRPC also ``host:port``.
        compression: ``none``, ``deflate`` or ``gzip``.
        headers: names in lower case.
        timeout_seconds: what an attempt may take in all.
        insecure: whether to do without TLS, None if that is not set; only for gRPC, and ``https`` doesn't.
    """

    protocol: str
    endpoint: str = field(repr=False)
    compression: str = "gzip"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_seconds: float = _DEFAULT_TIMEOUT_SECONDS
    insecure: bool | None = None
    certificates: Certificates = field(default_factory=Certificates)

    @property
    def destination(self) -> str:
        """The endpoint as it may be logged: without user, password and query."""
        if "//" not in self.endpoint:
            return self.endpoint.rpartition("@")[2]
        url = urlsplit(self.endpoint)
        return url._replace(netloc=url.netloc.rpartition("@")[2], query="", fragment="").geturl()

    @property
    def seconds_left(self) -> float:
        """What an attempt may take that begins now; 0 would mean not to wait at all."""
        return max(min(self.timeout_seconds, _until.get() - time.monotonic()), 0.001)


@contextmanager
def ending_by(moment: float) -> Iterator[None]:
    """Have all attempts in this thread end by a moment of ``time.monotonic``."""
    token = _until.set(moment)
    try:
        yield
    finally:
        _until.reset(token)


def resolve_target(
    *, endpoint: str | None = None, protocol: str | None = None, headers: Mapping[str, str] | None = None
) -> OtlpTarget:
    """Settle protocol, endpoint, headers and compression: arguments win, then the variables for traces, then for all.

    Args:
        endpoint: base URL; for HTTP ``/v1/traces`` is appended. For gRPC also ``host:port``, which means TLS
            unless ``OTEL_EXPORTER_OTLP_INSECURE`` is true.
        protocol: ``http/protobuf`` (default) or ``grpc``.
        headers: on top of those in the environment.

    Raises:
        ValueError: if an argument or a variable has a value that can't be used.
        TypeError: if the headers are no dictionary of texts.
    """
    named = [_PROTOCOL_OF_EXPORTER[name] for name in _exporter_names() if name in _PROTOCOL_OF_EXPORTER]
    chosen = _choice("protocol", protocol, "PROTOCOL", HTTP, GRPC) or [*named, HTTP][0]
    insecure = _choice("insecure", None, "INSECURE", "true", "false") if chosen == GRPC else None
    return OtlpTarget(
        protocol=chosen,
        endpoint=_endpoint(endpoint, chosen),
        compression=_choice("compression", None, "COMPRESSION", "none", "deflate", "gzip") or "gzip",
        headers=_headers({} if headers is None else headers, chosen),
        timeout_seconds=_timeout_seconds(),
        insecure=None if insecure is None else insecure == "true",
        certificates=Certificates.of_environment(),
    )


def endpoint_in_environment() -> bool:
    """Return whether the environment names an OTLP endpoint for traces."""
    return variable("ENDPOINT") is not None


def exporters_in_environment() -> set[str]:
    """Return the exporters that the environment names, ``otlp`` for each name of it; none if it names none."""
    return {"otlp" if name in _PROTOCOL_OF_EXPORTER else name for name in _exporter_names()}


def _exporter_names() -> list[str]:
    names = os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    return [name.strip() for name in names.split(",")] if names else []


def _choice(option: str, argument: str | None, name: str, *allowed: str) -> str | None:
    source, value = (option, argument) if argument is not None else variable(name) or (option, None)
    if value is None:
        return None
    if not isinstance(value, str) or value.strip().lower() not in allowed:
        raise ValueError(f"{source} is {shown(value)}; it must be one of {', '.join(map(repr, allowed))}.")
    return value.strip().lower()


def _timeout_seconds() -> float:
    """Read the variable; in seconds, as OpenTelemetry's own exporters for Python take it, not in milliseconds."""
    source, text = variable("TIMEOUT") or ("", str(_DEFAULT_TIMEOUT_SECONDS))
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < math.inf:
        raise ValueError(f"{source} is {text!r}; it must be a number of seconds above 0, such as 10.")
    return value


def _endpoint(argument: str | None, protocol: str) -> str:
    example = _DEFAULT_ENDPOINT[protocol]
    source, value = ("endpoint", argument) if argument is not None else variable("ENDPOINT") or ("endpoint", example)
    is_bare = protocol == GRPC and "//" not in str(value)
    try:
        url = urlsplit(f"http://{value}" if is_bare else value)
        port = url.port
        is_host = bool(url.hostname) and not re.search(r"\s", url.netloc)
        is_usable = url.scheme in {"http", "https"} and is_host and (port is not None or not is_bare)
    except (ValueError, AttributeError):  # an address or a port that is none; no text at all
        is_usable = False
    if not is_usable:
        forms = "an http or https URL" + " or host:port" * (protocol == GRPC)
        raise ValueError(f"{source} is {_without_secrets(value)}; it must be {forms}, such as {example}.")
    if protocol == GRPC or source == "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT":  # these are used as they are
        return value
    path = url.path.rstrip("/")
    return url._replace(path=path if path.endswith(_HTTP_PATH) else path + _HTTP_PATH).geturl()


def _without_secrets(endpoint: object) -> str:
    """Return for an error what can't be used as an endpoint, without user, password and query."""
    if not isinstance(endpoint, str):
        return shown(endpoint)
    _, at, rest = endpoint.rpartition("@")
    return shown(("…@" if at else "") + re.split(r"[?#]", rest, maxsplit=1)[0])


def _headers(argument: Mapping[str, str], protocol: str) -> dict[str, str]:
    if not isinstance(argument, Mapping) or not all(
        isinstance(each, str) for pair in argument.items() for each in pair
    ):
        raise TypeError(  # without the values, which are likely secrets
            f"headers is a {type(argument).__name__}; it must be a dictionary of texts, such as {{'x-api-key': '...'}}."
        )
    _, text = variable("HEADERS") or ("", "")
    headers = dict(parse_env_headers(text, liberal=True)) | {name.lower(): value for name, value in argument.items()}
    names, values = _HEADERS[protocol]
    for name, value in headers.items():
        if not (names.fullmatch(name) and values.fullmatch(value)):
            raise ValueError(  # without the value, which is likely a secret
                f"The header {name!r} can't be sent by {protocol}; names are letters, digits and hyphens, values"
                " printable ASCII that doesn't begin with a space."
            )
    return headers
