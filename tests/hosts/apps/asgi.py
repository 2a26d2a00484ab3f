"""An ASGI application: each request is a span, and ``/slow`` one that ends late, after its answer has begun."""

import asyncio
import os
import threading
import time
from contextlib import AsyncExitStack

from opentelemetry import trace

from runspan import configure

CONFIGURE = os.environ.get("CONFIGURE", "import")  # where: at the import, in a thread, in the lifespan, or elsewhere
SLOW_SECONDS = float(os.environ.get("SLOW_SECONDS", "1"))

if CONFIGURE == "import":
    configure(sigterm=os.environ.get("SIGTERM") != "off")
if CONFIGURE == "thread":
    thread = threading.Thread(target=configure)
    thread.start()
    thread.join()


async def app(scope, receive, send):
    """Serve the lifespan or a request."""
    if scope["type"] == "lifespan":
        await live(receive, send)
    else:
        await answer(scope["path"] == "/slow", send)


async def live(receive, send):
    await receive()
    if CONFIGURE == "lifespan":
        configure()
    async with AsyncExitStack() as stack:
        if CONFIGURE == "with":
            stack.enter_context(configure(sigterm=False))
        if CONFIGURE == "async with":
            await stack.enter_async_context(configure(sigterm=False))
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def answer(slow, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    if os.environ.get("SPANS") == "in threads":
        await asyncio.to_thread(work, slow)
    else:
        with span(slow):
            await wait(SLOW_SECONDS if slow else 0)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def wait(seconds):
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        await asyncio.sleep(0.05)  # as one that gives back what it has taken
        raise


def work(slow):
    with span(slow):
        time.sleep(SLOW_SECONDS if slow else 0)


def span(slow):
    return trace.get_tracer("host").start_as_current_span("slow" if slow else "run")


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, port=int(os.environ["PORT"]), log_config=None)
