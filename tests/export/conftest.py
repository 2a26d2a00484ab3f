"""Endpoints that do not answer, and processors that are shut down at the end."""

import socket
from functools import partial

import pytest
from opentelemetry.sdk.trace import TracerProvider

from runspan.export.delivery import Delivery
from runspan.export.otlp.client import make_client as client_of
from runspan.export.otlp.target import resolve_target
from runspan.export.processor import DeliveringSpanProcessor
from runspan.export.spool import SpoolFolder
from tests.export.memory import given


@pytest.fixture
def dead_endpoint():
    """An address at which nobody listens; it is bound, so nobody else gets it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def silent_endpoint():
    """An address that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def delivery():
    """Make a processor on a provider of its own; give both and a tracer."""
    providers = []

    def make(
        client=None, *, make_client=None, endpoint=None, protocol=None, spool=None, started_markers=False, **options
    ):
        if endpoint is not None:
            target = resolve_target(endpoint=endpoint, protocol=protocol)
            make_client, options["destination"] = partial(client_of, target), target.destination
        options.setdefault("destination", "the client of the test")
        options.setdefault("schedule_delay_seconds", 60)
        folder = spool and SpoolFolder(spool, options["destination"])
        processor = DeliveringSpanProcessor(
            Delivery(make_client or given(client), folder=folder, **options), started_markers=started_markers
        )
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(processor)
        providers.append(processor)
        return processor, provider.get_tracer("test")

    yield make
    for processor in providers:
        processor.shutdown(1)
