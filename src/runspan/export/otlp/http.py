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
from requests.auth import AuthBase, HTTPBasicAuth
from requests.utils import get_auth_from_url
from urllib3.exceptions import HTTPError

from runspan._guard import attempt
from runspan._version import __version__
from runspan.export.encoding.requests import Request
from runspan.export.otlp.credentials import NOT_TRUSTED, provided
from runspan.export.otlp.deadline import RequestDeadline, seconds_for
from runspan.export.otlp.result import (
    CLOSED,
    Rejected,
    Result,
    Retryable,
    TooLarge,
    message_of,
    one_line,
    seconds_of_retry_after,
    success,
    too_large,
)
from runspan.export.otlp.target import OtlpTarget
from runspan.export.otlp.transport import BoundedAdapter, session_for

_LONGEST_BODY: Final = 64 * 1024
_LONGEST_CHAIN: Final = 10
_RETRYABLE: Final = frozenset({429, 502, 503, 504})
_TOO_LARGE: Final = 413
_MAY_BE_TOO_LARGE: Final = frozenset({400, 500})  # the Collector says so in words only
_COMPRESS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "gzip": partial(gzip.compress, compresslevel=6, mtime=0),
    "deflate": zlib.compress,
}
_FAILED: Final = Retryable("it failed in foreign code, such as a credential provider; the log of 'runspan' names it")


class HttpClient:
    """Posts requests, over connections that all clients share unless a credential provider makes a session.

    Raises:
        ValueError: if a certificate or the credential provider can't be used.
    """

    def __init__(self, target: OtlpTarget) -> None:
        if target.endpoint.lower().startswith("https:"):
            target.certificates.check()
        self._target = target
        self._headers = _headers(target)
        self._deadline: RequestDeadline | None = None
        self._closed = False
        self._own_session = provided("HTTP", requests.Session)
        if self._own_session is not None:
            _bound(self._own_session, target)
        self._session = self._own_session or session_for(target.certificates, self)

    def send(self, request: Request) -> Result:
        """Try once; a connection that was kept and turns out to be dead doesn't count."""
        body = _COMPRESS.get(self._target.compression, bytes)(request.body)
        deadline = self._deadline = RequestDeadline(seconds_for(self._target.timeout_seconds))
        result: Result = CLOSED
        while not self._closed:
            with deadline.attempt():
                result = attempt(self._post, body, request.spans, deadline, default=_FAILED)
            if not deadline.was_stale:
                return result
        return CLOSED if isinstance(result, Retryable) else result

    def close(self) -> None:
        """Break off what is being sent; there is nothing else of its own."""
        self._closed = True
        if self._deadline is not None:
            self._deadline.abort()

    def _post(self, body: bytes, spans: int, deadline: RequestDeadline) -> Result:
        try:
            self._session = self._own_session or session_for(self._target.certificates, self)
            response = self._session.post(
                self._target.endpoint,
                data=body,
                headers=self._headers,
                timeout=self._target.timeout_seconds,  # counts where a provider's session has connections of its own
                verify=self._target.certificates.authority,
                cert=_client_certificate(self._target),
                auth=None if self._own_session else _auth(self._target),
                allow_redirects=False,
                stream=True,
            )
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            return CLOSED if self._closed else Retryable(self._reason(error, deadline))
        return _result(response, spans)

    def _reason(self, error: Exception, deadline: RequestDeadline) -> str:
        cause = _innermost(error)
        if isinstance(cause, TimeoutError) or deadline.is_over:
            return f"no answer within {self._target.timeout_seconds:.3g} s"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return NOT_TRUSTED.format(one_line(cause.verify_message))
        return f"{type(cause).__name__}: {one_line(str(cause))}"


def _bound(session: requests.Session, target: OtlpTarget) -> None:
    """Put our transport into a provider's session, unless it has brought one of its own."""
    if type(session.get_adapter(target.endpoint)) is HTTPAdapter:
        session.mount(f"{urlsplit(target.endpoint).scheme}://", BoundedAdapter(target.certificates))


class _AsItIs(AuthBase):
    """Authenticate by the headers that were given alone: requests would look into ~/.netrc."""

    def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        return prepared


def _auth(target: OtlpTarget) -> AuthBase:
    user = get_auth_from_url(target.endpoint)
    return HTTPBasicAuth(*user) if any(user) and "authorization" not in target.headers else _AsItIs()


def _headers(target: OtlpTarget) -> dict[str, str]:
    ours = {"content-type": "application/x-protobuf", "accept-encoding": "identity"}
    if target.compression in _COMPRESS:
        ours["content-encoding"] = target.compression
    return {"user-agent": f"runspan/{__version__}"} | dict(target.headers) | ours


def _client_certificate(target: OtlpTarget) -> str | tuple[str, str] | None:
    client, key = target.certificates.client, target.certificates.key
    return (client, key) if client and key else client


def _result(response: requests.Response, spans: int) -> Result:
    body, content_type = _body_of(response), response.headers.get("Content-Type", "").lower()
    status = f"HTTP {response.status_code}"
    match response.status_code // 100:
        case 2:
            return success(body, spans, as_json="json" in content_type)
        case 3:
            return Rejected(f"{status}{_elsewhere(response)}")
    text = message_of(body, content_type)
    reason = f"{status}: {text or one_line(response.reason or 'no reason given')}"
    if response.status_code in _RETRYABLE:
        return Retryable(reason, seconds_of_retry_after(response.headers.get("Retry-After")))
    said = too_large(text)
    if response.status_code == _TOO_LARGE or (said and response.status_code in _MAY_BE_TOO_LARGE):
        return TooLarge(reason, said.limit if said else None)
    return Rejected(reason)


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
