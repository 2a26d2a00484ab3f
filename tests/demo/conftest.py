"""Servers and clients that are closed after the test."""

import contextlib

import anthropic
import pytest

from devtools.anthropic_server import AnthropicServer


@pytest.fixture
def serve():
    """Start servers: `serve([Answer("3")])`."""
    with contextlib.ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(AnthropicServer(*args, **options))


@pytest.fixture
def connect():
    """Make clients of a server: `connect(server, max_retries=2)`."""
    with contextlib.ExitStack() as stack:

        def client(server, max_retries=0, **options):
            made = anthropic.Anthropic(base_url=server.url, api_key="test", max_retries=max_retries, **options)
            return stack.enter_context(made)

        yield client


@pytest.fixture
async def connect_async():
    """Make async clients of a server."""
    async with contextlib.AsyncExitStack() as stack:

        async def client(server, max_retries=0, **options):
            made = anthropic.AsyncAnthropic(base_url=server.url, api_key="test", max_retries=max_retries, **options)
            return await stack.enter_async_context(made)

        yield client
