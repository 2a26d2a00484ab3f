"""``runspan doctor``: what is set, and what the endpoint says to one span."""

import os
import platform
import re
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

import runspan
from runspan._environment import is_sdk_disabled
from runspan._guard import attempt
from runspan.export.encoding.requests import Request
from runspan.export.otlp.client import Client, make_client
from runspan.export.otlp.http import proxy_of
from runspan.export.otlp.result import Rejected, Result, Success
from runspan.export.otlp.target import GRPC, HTTP, OtlpProtocol, OtlpTarget, resolve_target
from runspan.export.spool import read_spool
from runspan.recording.otlp_json import otlp_request
from runspan.recording.recorded_span import RecordedSpan
from runspan.settings import Settings, variables_of

State = Literal["good", "bad", "note"]

SPAN_NAME: Final = "runspan doctor"

_PACKAGES: Final = (
    "langchain-core",
    "langchain",
    "langgraph",
    "opentelemetry-api",
    "opentelemetry-sdk",
    "opentelemetry-exporter-otlp",
)
_ALIKE: Final = 0.85  # how much a name must have of another one to be taken for a mistake
_PREFIXES: Final = ("OTEL_", "RUNSPAN_")
_SECRET: Final = ("HEADERS", "KEY", "TOKEN", "PASSWORD", "CERTIFICATE")
_SECRET_OF_URL: Final = re.compile(r"(?<=//)[^/@\s]+(?=@)|(?<=\?).+")
"""Its user with a password, and its query."""
_OTHER_PROTOCOL: Final[dict[str, OtlpProtocol]] = {HTTP: "grpc", GRPC: "http/protobuf"}
_OTHER_PORT: Final = {4317: HTTP, 4318: GRPC}
_ASK_THE_RECEIVER: Final = "it is the receiver that says so; look into its log"
# By words of the reason; the first that fits.
_REMEDIES: Final = {
    ("http 401", "http 403", "unauthenticated", "permission_denied"): (
        "give the key that this backend wants: OTEL_EXPORTER_OTLP_HEADERS=name=value"
    ),
    ("http 404", "http 405", "http 501", "a redirect", "a page of html"): (
        "check port and path: the endpoint is the base URL of an OTLP receiver, to which /v1/traces is added"
    ),
    ("wrong_version_nu", "tls handshake failed"): (
        "if what listens there speaks no TLS, begin the endpoint with http://"
    ),
    ("expired", "not yet valid"): "have it renewed, or set the clock of this host",
    ("mismatch", "hostname verification"): "begin the endpoint with a name that is in the certificate",
    # The last is what gRPC says if a server of Go's speaks of the client's certificate.
    ("certificate_required", "handshake_failure", "unknown_ca", "bad_certificate", "tsi_data_corrupted"): (
        "if it wants to know its clients, set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY"
        " to what it trusts"
    ),
    ("not trusted",): "set OTEL_EXPORTER_OTLP_CERTIFICATE to the file with the authority that issued the certificate",
    ("remotedisconnected", "socket closed", "connection reset"): (
        "if it wants TLS, begin the endpoint with https://, if a certificate of its clients, set"
        " OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE; otherwise check the port and the protocol"
    ),
    ("badstatusline", "parsing http/2"): "what listens there speaks something else; check the port and the protocol",
    ("refused",): (
        "nothing listens there? start the receiver (runspan ui, or docker compose up), or name another endpoint"
    ),
    ("gaierror", "dns resolution"): "check the name of the host",
}


@dataclass(frozen=True)
class Finding:
    """Something that was looked at.

    Args:
        state: whether it is as it should be; ``note`` is neither good nor bad.
        text: what was found.
        remedy: what to do about it.
    """

    state: State
    text: str
    remedy: str = ""


def examine(endpoint: str | None, protocol: OtlpProtocol | None, spool: Path | None) -> Iterator[Finding]:
    """Yield what there is to say, one thing after the other, as it is found."""
    yield from _versions()
    yield from _variables()
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # the reason has what gRPC would print as well
    if spool is not None:
        yield _spool(spool)
    try:
        target = resolve_target(endpoint=endpoint, protocol=protocol)
    except ValueError as error:
        yield Finding("bad", str(error))
        return
    yield from _path(target)
    if target.protocol == HTTP and (proxy := proxy_of(target.endpoint)):
        yield Finding("note", f"requests go through the proxy {proxy}", "name the host in NO_PROXY if they are not to")
    yield Finding("note", f"sending one span named {SPAN_NAME!r} to {target.destination} by {target.protocol}")
    yield from _answer(target)


def _versions() -> Iterator[Finding]:
    yield Finding("good", f"runspan {runspan.__version__}, Python {platform.python_version()}")
    for name in _PACKAGES:
        try:
            yield Finding("good", f"{name} {version(name)}")
        except PackageNotFoundError:
            yield Finding("note", f"{name} is not installed")


def _variables() -> Iterator[Finding]:
    for name in sorted(os.environ):
        if name.startswith(_PREFIXES):
            is_secret = any(part in name for part in _SECRET)
            shown = "(set, not shown)" if is_secret else _SECRET_OF_URL.sub("(not shown)", os.environ[name])
            yield Finding("note", f"{name}={shown}")
    if is_sdk_disabled():
        yield Finding("bad", "OTEL_SDK_DISABLED turns all spans off", "unset it")
    if os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        yield Finding("bad", "OTEL_TRACES_EXPORTER=none keeps spans from being sent", "unset it, or say otlp")
    sampler = os.environ.get("OTEL_TRACES_SAMPLER", "").strip().lower()
    if sampler.endswith("always_off"):
        yield Finding("bad", f"OTEL_TRACES_SAMPLER={sampler} keeps traces from being recorded", "unset it")
    yield from _settings()


def _settings() -> Iterator[Finding]:
    """Yield the variables of settings that are mistaken: a value that is not allowed, a name that is another's."""
    try:
        Settings()
    except ValueError as error:
        yield Finding("bad", str(error))
    known = [variables_of(option)[0] for option in Settings.model_fields]
    for name in sorted(each for each in os.environ if each.startswith("RUNSPAN_") and each not in known):
        if meant := get_close_matches(name, known, 1, _ALIKE):
            yield Finding("bad", f"{name} is no variable of runspan", f"{meant[0]} is one; rename it")


def _spool(path: Path) -> Finding:
    try:
        waiting = read_spool(path)
    except FileNotFoundError:
        return Finding("note", f"the spool {path} is not there yet; it is made when something has to wait")
    except ValueError:
        return Finding("good", f"nothing waits in the spool {path}")
    except OSError as error:
        remedy = "give its folder" if isinstance(error, NotADirectoryError) else "run this as the user of the service"
        return Finding("bad", f"the spool {path} can't be read ({error.strerror})", remedy)
    some = f"{len(waiting)} request{'s' * (len(waiting) != 1)} of {sum(map(len, waiting)):,} bytes"
    return Finding("note", f"{some} in the spool {path}, to be sent", f"runspan view {shlex.quote(str(path))}")


def _path(target: OtlpTarget) -> Iterator[Finding]:
    path = urlsplit(target.endpoint).path if "//" in target.endpoint else ""
    if target.protocol == GRPC and path not in ("", "/"):
        yield Finding("bad", f"the endpoint has the path {path}, which gRPC doesn't use", "leave the path out")
    if target.protocol == HTTP and path.count("/v1/traces") > 1:
        yield Finding(
            "bad", f"the path is {path}: /v1/traces is in it twice", "leave it out of OTEL_EXPORTER_OTLP_ENDPOINT"
        )
    elif target.protocol == HTTP and not path.endswith("/v1/traces"):
        remedy = "end OTEL_EXPORTER_OTLP_TRACES_ENDPOINT with /v1/traces; it is used as it is"
        yield Finding("note", f"the path is {path or '/'}, not the usual /v1/traces", remedy)


def _answer(target: OtlpTarget) -> Iterator[Finding]:
    result = _send(target)
    if isinstance(result, str):
        yield Finding("bad", result)
        return
    if isinstance(result, Success) and not result.rejected:
        yield Finding("good", "it took the span", f"look for {SPAN_NAME!r} there")
        return
    yield Finding("bad", f"it did not take the span: {result.reason}", _remedy(result, target))
    other = _OTHER_PROTOCOL[target.protocol]
    if not isinstance(result, Success) and _takes(target, other):
        yield Finding("bad", f"the same port does take spans by {other}", f"set OTEL_EXPORTER_OTLP_PROTOCOL={other}")


def _remedy(result: Result, target: OtlpTarget) -> str:
    reason = result.reason.lower()
    for words, remedy in _REMEDIES.items():
        if any(word in reason for word in words):
            return remedy
    port = urlsplit(target.endpoint if "//" in target.endpoint else f"//{target.endpoint}").port
    if port is not None and _OTHER_PORT.get(port) == target.protocol:
        return f"port {port} is usually the one of {_OTHER_PROTOCOL[target.protocol]}; use the other, or that protocol"
    is_answer = reason.startswith("http ") or isinstance(result, Rejected)
    return _ASK_THE_RECEIVER if is_answer else "check host, port and protocol, and what is between here and there"


def _takes(target: OtlpTarget, protocol: OtlpProtocol) -> bool:
    url = urlsplit(target.endpoint if "//" in target.endpoint else f"http://{target.endpoint}")
    base = url._replace(path="", query="").geturl()
    try:
        other = resolve_target(endpoint=base, protocol=protocol)
    except ValueError:  # headers that this protocol can't send
        return False
    return isinstance(_send(other), Success)


def _client(target: OtlpTarget) -> Client | str:
    try:
        return make_client(target)
    except (OSError, ValueError) as error:  # of what the environment names
        return str(error)


def _send(target: OtlpTarget) -> Result | str:
    """Return what the receiver says to one span, or why there is nothing that sends it."""
    ids, now = RandomIdGenerator(), time.time_ns()
    span = RecordedSpan(
        trace_id=ids.generate_trace_id(),
        span_id=ids.generate_span_id(),
        parent_id=None,
        name=SPAN_NAME,
        scope="runspan",
        attributes={},
        events=(),
        error=None,
        start_ns=now,
        end_ns=now,
        kind=1,
        resource=dict(Resource.create({"service.name": "runspan-doctor"}).attributes),
    )
    client = attempt(_client, target, default="the credential provider failed, as the log of 'runspan' says")
    if isinstance(client, str):
        return client
    try:
        return client.send(Request(otlp_request([span]).SerializeToString(), 1))
    finally:
        client.close()
