"""In a real web server: requests at once, and a user who closes the tab."""

import asyncio
import http.client
import socket
import threading

import pytest
import uvicorn
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.prompts import ChatPromptTemplate
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

from tests.context.shapes import Model


class TalkativeModel(Model):
    """A model that talks until nobody listens."""

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        self.tracing.mark("http")
        for number in range(int(messages[-1].content)):
            await asyncio.sleep(0.001)
            yield ChatGenerationChunk(message=AIMessageChunk(content=f"word{number} "))


@pytest.fixture
def port(tracing):
    """Serve a traced chain, each request under a span of the server's; return the port."""
    chain = ChatPromptTemplate.from_template("{words}") | TalkativeModel(tracing=tracing)

    async def ask(request):
        words = request.query_params["words"]

        async def answer():
            with tracing.span(f"GET {words}"):
                async for chunk in chain.astream({"words": words}, tracing.config):
                    yield chunk.content

        return StreamingResponse(answer())

    app = Starlette(routes=[Route("/", ask)])
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(10)


def get(port, words):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", f"/?words={words}")
    return connection, connection.getresponse()


def test_a_user_who_closes_the_tab(tracing, port):
    """A request left in mid-stream leaves a whole trace: cancelled, no error, with the text so far."""
    connection, response = get(port, 100_000)
    response.read(20)
    response.close()
    connection.close()
    tracing.settle()
    assert (
        "\n".join(tracing.text().splitlines()[-4:])
        == "  RunnableSequence [cancelled]\n    ChatPromptTemplate\n    chat [cancelled]\n      http"
    )
    assert "word0 word1 " in tracing.one("chat").attributes["gen_ai.output.messages"]


def test_requests_at_once(tracing, port):
    """Each of many requests at once has a trace of its own, under the server's span."""

    def ask(words):
        connection, response = get(port, words)
        assert len(response.read().split()) == words
        connection.close()

    threads = [threading.Thread(target=ask, args=(words,)) for words in range(1, 31)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    tracing.settle()
    tracing.text()
    for words in range(1, 31):
        request = tracing.one(f"GET {words}")
        inside = [span.name for span in tracing.spans if span.context.trace_id == request.context.trace_id]
        assert sorted(inside) == sorted([request.name, "RunnableSequence", "ChatPromptTemplate", "chat", "http"])
