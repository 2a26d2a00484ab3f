"""OTLP over HTTP; https://opentelemetry.io/docs/specs/otlp/#otlphttp says what the answers mean."""

import gzip
import ssl
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_auth_from_url
from urllib3.exceptions import HTTPError

from runspan._guard import attempt
from runspan._version import __version__
from runspan.export.otlp.answers import Answer, Later, Refused, TooLarge
from runspan.export.otlp.bounded_adapter import BoundedAdapter
from runspan.export.otlp.client import CLOSED
from runspan.export.otlp.credentials import NOT_TRUSTED, provided
from runspan.export.otlp.exchange import Exchange
from runspan.export.otlp.responses import delivered, message_of, one_line, seconds_of_retry_after, too_large
from runspan.export.otlp.target import OtlpTarget
from runspan.export.request import Request

_LONGEST_BODY: Final = 64 * 1024
_LONGEST_CHAIN: Final = 10
_LATER: Final = frozenset({429, 502, 503, 504})
_TOO_LARGE: Final = 413
_MAY_BE_TOO_LARGE: Final = frozenset({400, 500})  # the Collector says so in words only
_COMPRESS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "gzip": partial(gzip.compress, compresslevel=6, mtime=0),
    "deflate": zlib.compress,
}
_FAILED: Final = Later("it failed in foreign code, such as a credential provider; the log of 'runspan' names it")


class HttpClient:
    """Posts requests over one connection that it keeps open.

    Raises:
        ValueError: A certificate or the credential provider can't be used.
    """

    def __init__(self, target: OtlpTarget) -> None:
        self._target = target
        if target.endpoint.lower().startswith("https:"):
            target.certificates.check()
        self._session = _session(target)
        self._exchange: Exchange | None = None
        self._closed = False

    def send(self, request: Request) -> Answer:
        """Try once; a connection that was kept and turns out to be dead doesn't count."""
        body = _COMPRESS.get(self._target.compression, bytes)(request.body)
        with Exchange(self._target.timeout_seconds) as exchange:
            self._exchange = exchange
            if self._closed:
                return CLOSED
            answer: Answer = attempt(self._post, body, request.spans, exchange, default=_FAILED)
            if exchange.was_stale:
                answer = attempt(self._post, body, request.spans, exchange, default=_FAILED)
        return answer

    def close(self) -> None:
        """Close the connection, also in the middle of ``send``."""
        self._closed = True
        if self._exchange is not None:
            self._exchange.break_off()
        self._session.close()

    def _post(self, body: bytes, spans: int, exchange: Exchange) -> Answer:
        certificates = self._target.certificates
        try:
            response = self._session.post(
                self._target.endpoint,
                data=body,
                headers=_headers(self._target),
                timeout=self._target.timeout_seconds,  # counts where a provider's session has connections of its own
                verify=certificates.authority,
                cert=_client_certificate(self._target),
                allow_redirects=False,
                stream=True,
            )
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            return CLOSED if self._closed else Later(self._reason(error, exchange))
        return _answer(response, spans)

    def _reason(self, error: Exception, exchange: Exchange) -> str:
        cause = _innermost(error)
        if isinstance(cause, TimeoutError) or exchange.is_over:
            return f"no answer within {self._target.timeout_seconds:.3g} s"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return NOT_TRUSTED.format(one_line(cause.verify_message))
        return f"{type(cause).__name__}: {one_line(str(cause))}"


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002  redirects are not even looked at
        return None


def _session(target: OtlpTarget) -> requests.Session:
    session = provided("HTTP", requests.Session)
    if session is None:
        session = _Session()
        user = get_auth_from_url(target.endpoint)
        # With any of both, requests looks for no credentials in ~/.netrc, which may be there for another purpose.
        session.auth = user if any(user) and "authorization" not in target.headers else _as_it_is
    # A provider may bring a transport of its own; what it left as it was gets ours.
    if type(session.get_adapter(target.endpoint)) is HTTPAdapter:
        session.mount(f"{urlsplit(target.endpoint).scheme}://", BoundedAdapter())
    return session


def _as_it_is(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    """Authenticate by the headers that were given alone."""
    return prepared


def _headers(target: OtlpTarget) -> dict[str, str]:
    ours = {"content-type": "application/x-protobuf", "accept-encoding": "identity"}
    if target.compression in _COMPRESS:
        ours["content-encoding"] = target.compression
    return {"user-agent": f"runspan/{__version__}"} | dict(target.headers) | ours


def _client_certificate(target: OtlpTarget) -> str | tuple[str, str] | None:
    client, key = target.certificates.client, target.certificates.key
    return (client, key) if client and key else client


def _answer(response: requests.Response, spans: int) -> Answer:
    body, content_type = _body_of(response), response.headers.get("Content-Type", "").lower()
    status = f"HTTP {response.status_code}"
    match response.status_code // 100:
        case 2:
            return delivered(body, spans, as_json="json" in content_type)
        case 3:
            return Refused(f"{status}{_elsewhere(response)}")
    text = message_of(body, content_type)
    reason = f"{status}: {text or one_line(response.reason or 'no reason given')}"
    if response.status_code in _LATER:
        return Later(reason, seconds_of_retry_after(response.headers.get("Retry-After")))
    said = too_large(text)
    if response.status_code == _TOO_LARGE or (said and response.status_code in _MAY_BE_TOO_LARGE):
        return TooLarge(reason, said.limit if said else None)
    return Refused(reason)


def _body_of(response: requests.Response) -> bytes:
    """Read what is of interest; what can't be read changes nothing in what the status says."""
    try:
        with response:
            return response.raw.read(_LONGEST_BODY, decode_content=True) or b""
    except (HTTPError, OSError, ValueError):
        return b""


def _elsewhere(response: requests.Response) -> str:
    try:
        host = one_line(urlsplit(response.headers.get("Location", "")).hostname or "")
    except ValueError:
        host = ""
    return f", a redirect{f' to {host}' if host else ''}, which is not followed; set the endpoint to where it leads"


def _innermost(error: BaseException) -> BaseException:
    for _ in range(_LONGEST_CHAIN):
        error = error.__cause__ or error.__context__ or error
    return error
