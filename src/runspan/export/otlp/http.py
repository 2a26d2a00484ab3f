"""OTLP over HTTP; https://opentelemetry.io/docs/specs/otlp/#otlphttp says what the answers mean."""

import gzip
import ssl
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import HTTPError

from runspan._guard import attempt
from runspan._version import __version__
from runspan.export.encoding.requests import Request
from runspan.export.otlp import result as results
from runspan.export.otlp.credentials import not_trusted, provided
from runspan.export.otlp.result import CLOSED, Rejected, Result, Retryable, Success, TooLarge, one_line
from runspan.export.otlp.target import OtlpTarget
from runspan.export.otlp.transport import BoundedAdapter, RequestDeadline, adapter_for, named_authority

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
    """Posts requests, over connections that all clients share unless a credential provider makes a session."""

    def __init__(self, target: OtlpTarget) -> None:
        if target.endpoint.lower().startswith("https:"):
            target.certificates.check()
        self._target = target
        self._headers = _headers(target)
        self._deadline: RequestDeadline | None = None
        self._closed = False
        self._adapter = adapter_for(target.certificates, self)
        self._session = provided("HTTP", requests.Session)
        if self._session is not None and type(self._session.get_adapter(target.endpoint)) is HTTPAdapter:
            # It has brought no transport of its own.
            self._session.mount(f"{urlsplit(target.endpoint).scheme}://", BoundedAdapter(target.certificates))

    def send(self, request: Request) -> Result:
        """Try once; a connection that was kept and turns out to be dead doesn't count."""
        body = _COMPRESS.get(self._target.compression, bytes)(request.body)
        until = time.monotonic() + self._target.seconds_left
        while True:
            deadline = self._deadline = RequestDeadline(until)
            if self._closed:
                return CLOSED
            with deadline.bounds():
                result = attempt(self._answer, body, request.spans, deadline, default=_FAILED)
            if not deadline.was_stale:
                return result

    def close(self) -> None:
        """Break off what is being sent; there is nothing else of its own."""
        self._closed = True
        if self._deadline is not None:
            self._deadline.abort()

    def _answer(self, body: bytes, spans: int, deadline: RequestDeadline) -> Result:
        try:
            response = self._post(body)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            result: Result = Retryable(self._reason(error, deadline))
        else:
            result = _result(response, spans)
        proxy = proxy_of(self._target.endpoint) if self._session is None else ""
        if proxy and not isinstance(result, Success):
            result = replace(result, reason=f"{result.reason}, through the proxy {proxy}")
        return CLOSED if self._closed and isinstance(result, Retryable) else result

    def _post(self, body: bytes) -> requests.Response:
        target, certificates = self._target, self._target.certificates
        # The timeout counts where a provider's session has connections of its own.
        cert = (certificates.client, certificates.key) if certificates.client else None
        options: dict[str, Any] = {"timeout": target.timeout_seconds, "cert": cert, "stream": True}
        if self._session is not None:
            options |= {"headers": self._headers, "verify": certificates.authority, "allow_redirects": False}
            return self._session.post(target.endpoint, body, **options)
        # Not by a session: that would follow redirects, keep cookies, and look for credentials in ~/.netrc.
        # None means the user of the URL.
        auth = (lambda prepared: prepared) if "authorization" in target.headers else None
        prepared = requests.Request("POST", target.endpoint, self._headers, data=body, auth=auth).prepare()
        self._adapter = adapter_for(certificates, self)
        options |= {"verify": named_authority(certificates) or True, "proxies": get_environ_proxies(target.endpoint)}
        return self._adapter.send(prepared, **options)

    def _reason(self, error: Exception, deadline: RequestDeadline) -> str:
        cause = _innermost(error)
        if isinstance(cause, TimeoutError) or deadline.is_over:
            return f"no answer within {self._target.timeout_seconds:.3g} s"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return not_trusted(one_line(cause.verify_message))
        return f"{type(cause).__name__}: {one_line(str(cause))}"


def proxy_of(endpoint: str) -> str:
    """Return the proxy through which an endpoint is reached, without user and password; empty if there is none."""
    return one_line((select_proxy(endpoint, get_environ_proxies(endpoint)) or "").rpartition("@")[2])


def _headers(target: OtlpTarget) -> dict[str, str]:
    ours = {"content-type": "application/x-protobuf", "accept-encoding": "identity"}
    if target.compression in _COMPRESS:
        ours["content-encoding"] = target.compression
    return {"user-agent": f"runspan/{__version__}"} | dict(target.headers) | ours


def _result(response: requests.Response, spans: int) -> Result:
    body, content_type = _body_of(response), response.headers.get("Content-Type", "").lower()
    code, status = response.status_code, f"HTTP {response.status_code}"
    match code // 100:
        case 2 if "html" in content_type and body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):  # a portal, or so
            return Rejected(f"{status} with a page of HTML, which no receiver of OTLP answers; check the endpoint")
        case 2:
            return results.success(body, spans, as_json="json" in content_type)
        case 3:
            return Rejected(f"{status}, a redirect{_elsewhere(response)}")
    text = results.message_of(body, content_type)
    reason = f"{status}: {text or one_line(response.reason or 'no reason given')}"
    if code in _RETRYABLE:
        return Retryable(reason, results.seconds_of_retry_after(response.headers.get("Retry-After")))
    found = results.too_large(text)
    if code == _TOO_LARGE or (found and code in _MAY_BE_TOO_LARGE):
        return TooLarge(reason, found.limit if found else None)
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
    return f"{f' to {host}' if host else ''}, which is not followed; set the endpoint to where it leads"


def _innermost(error: BaseException) -> BaseException:
    for _ in range(_LONGEST_CHAIN):
        error = error.__cause__ or error.__context__ or error
    return error
