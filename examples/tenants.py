"""Two tenants served at once, the traces of each sent to an endpoint of its own, with a key of its own.

    python examples/tenants.py [ENDPOINT_OF_ACME ENDPOINT_OF_GLOBEX]

Without endpoints it starts a receiver for each tenant and prints what comes. No tracer provider is needed: a handler
with span processors brings one. Where the application has set one, that one exports all spans as before.
"""

import asyncio
import contextlib
import gzip
import sys
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final

from langchain_core.language_models.fake_chat_models import ParrotFakeChatModel
from langchain_core.prompts import ChatPromptTemplate
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import runspan

TENANTS: Final = ("acme", "globex")

chain = ChatPromptTemplate.from_template("{tenant} asks question {number}") | ParrotFakeChatModel()


def handler_for(tenant: str, endpoint: str) -> runspan.OpenTelemetryCallbackHandler:
    """Make the handler of a tenant: once, not for each request; thousands of them share a few threads."""
    processor = runspan.OtlpSpanProcessor(endpoint, headers={"x-api-key": f"key-of-{tenant}"})
    return runspan.OpenTelemetryCallbackHandler(span_processors=[processor])


async def serve(handlers: Mapping[str, runspan.OpenTelemetryCallbackHandler]) -> None:
    """Serve requests of all tenants at once, each with the handler of its tenant."""

    async def ask(tenant: str, number: int) -> None:
        await chain.ainvoke({"tenant": tenant, "number": number}, config={"callbacks": [handlers[tenant]]})

    await asyncio.gather(*(ask(tenant, number) for number in range(3) for tenant in handlers))


def main(*endpoints: str) -> None:
    """Serve some requests, deliver their traces."""
    with contextlib.ExitStack() as stack:
        chosen = endpoints or [stack.enter_context(receiver(tenant)) for tenant in TENANTS]
        handlers = {tenant: handler_for(tenant, where) for tenant, where in zip(TENANTS, chosen, strict=True)}
        asyncio.run(serve(handlers))
        for tenant, handler in handlers.items():
            print(f"{tenant}: {'delivered' if handler.shutdown() else 'not delivered'}")


@contextlib.contextmanager
def receiver(tenant: str) -> Iterator[str]:
    """Stand in for the backend of a tenant: print the spans that come; give the address."""

    class Receive(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
            for line in lines_of(ExportTraceServiceRequest.FromString(body)):
                print(f"{tenant} got, with {self.headers['x-api-key']}: {line}")
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing of requests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receive) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def lines_of(request: ExportTraceServiceRequest) -> Iterator[str]:
    """Say of each span what it is and what was asked, if it was a model."""
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                asked = [each.value.string_value for each in span.attributes if each.key == "gen_ai.input.messages"]
                yield " ".join([span.trace_id.hex()[:8], span.name, *asked])


if __name__ == "__main__":
    main(*sys.argv[1:])
