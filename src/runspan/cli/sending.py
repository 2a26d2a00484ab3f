"""Recorded spans sent to an endpoint, each request until it is taken or refused."""

import time
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from runspan.export.delivery import MAX_REQUEST_BYTES
from runspan.export.encoding.requests import Request, split
from runspan.export.otlp.client import Client, make_client
from runspan.export.otlp.result import Retryable, Success
from runspan.export.otlp.target import OtlpProtocol, resolve_target
from runspan.recording.otlp_json import otlp_request
from runspan.recording.recorded_span import RecordedSpan

_SPANS_OF_A_REQUEST: Final = 256
_ATTEMPTS: Final = 4


def send(
    spans: Sequence[RecordedSpan], endpoint: str, console: Console, *, protocol: OtlpProtocol | None = None
) -> None:
    """Send spans to an OTLP endpoint, in requests that are small enough, with a bar of how many are there.

    Raises:
        ValueError: if the endpoint is none, or does not take a request; it says what the endpoint answered.
    """
    target = resolve_target(endpoint=endpoint, protocol=protocol)
    client = make_client(target)
    sent = 0
    try:
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task(escape(f"to {target.destination}"), total=len(spans))
            for start in range(0, len(spans), _SPANS_OF_A_REQUEST):
                some = spans[start : start + _SPANS_OF_A_REQUEST]
                body = otlp_request(some).SerializeToString()
                for request in split(Request(body, len(some)), MAX_REQUEST_BYTES):
                    sent += _deliver(client, request, target.destination)
                    progress.update(task, completed=sent)
    finally:
        client.close()
    console.print(f"{sent} of {len(spans)} spans were taken by {target.destination}.")


def _deliver(client: Client, request: Request, destination: str) -> int:
    """Return how many spans of a request were taken."""
    for attempt in range(_ATTEMPTS):
        result = client.send(request)
        if isinstance(result, Success):
            return request.spans - result.rejected
        if not isinstance(result, Retryable) or attempt == _ATTEMPTS - 1:
            break
        time.sleep(2**attempt if result.after is None else min(result.after, 30))
    raise ValueError(f"{destination} did not take the spans: {result.reason} (runspan doctor says what to do)")
