"""In a real web server: requests at once, and a user who closes the tab."""

import asyncio
import http.client
import socket
import threading
import time

import pytest
import uvicorn
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.prompts import ChatPromptTemplate
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

from tests.fakes import Model, straight_graph
from tests.waiting import wait_until


class TalkativeModel(Model):
    """A model that talks until nobody listens, or it is enough."""

    enough: threading.Event

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        self.tracing.mark("http")
        for number in range(int(messages[-1].content)):
            if self.enough.is_set():
                break
            await asyncio.sleep(0.001)
            yield ChatGenerationChunk(message=AIMessageChunk(content=f"word{number} "))

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        self.tracing.mark("http")
        for number in range(int(messages[-1].content)):
            time.sleep(0.001)
            yield ChatGenerationChunk(message=AIMessageChunk(content=f"word{number} "))


@pytest.fixture
def enough():
    """Stop the models that still talk to nobody."""
    enough = threading.Event()
    yield enough
    enough.set()


@pytest.fixture
def port(tracing, enough):
    """Serve a traced chain and a graph; return the port."""
    model = TalkativeModel(tracing=tracing, enough=enough)
    chain = ChatPromptTemplate.from_template("{words}") | model

    async def ask(request):
        words = request.query_params["words"]

        async def answer():
            with tracing.span(f"GET {words}"):
                async for chunk in chain.astream({"words": words}, tracing.config):
                    yield chunk.content

        return StreamingResponse(answer())

    async def talk(state):
        await model.ainvoke(state["values"][0])
        return {"values": []}

    graph = straight_graph(talk=talk)

    async def ask_graph(request):
        given = {"values": [request.query_params["words"]]}
        answer = graph.astream(given, tracing.config, stream_mode="messages")
        return StreamingResponse(chunk.text async for chunk, _ in answer)

    async def ask_sync(request):
        answer = chain.stream({"words": request.query_params["words"]}, tracing.config)
        return StreamingResponse(chunk.text for chunk in answer)

    app = Starlette(routes=[Route("/", ask), Route("/graph", ask_graph), Route("/sync", ask_sync)])
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(10)


def get(port, words, path="/"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", f"{path}?words={words}")
    return connection, connection.getresponse()


def leave(port, path):
    """Close the tab while the answer comes."""
    connection, response = get(port, 100_000, path)
    response.read(20)
    response.close()
    connection.close()


def test_a_user_who_closes_the_tab(tracing, port):
    """A request left in mid-stream leaves a whole trace: cancelled, no error, with the text so far."""
    leave(port, "/")
    tracing.settle()
    assert (
        "\n".join(tracing.text().splitlines()[-4:])
        == "  RunnableSequence [cancelled]\n    ChatPromptTemplate\n    chat [cancelled]\n      http"
    )
    assert "word0 word1 " in tracing.one("chat").attributes["gen_ai.output.messages"]


def test_a_user_who_closes_the_tab_of_a_graph(tracing, port, enough):
    """A graph that is streamed to a user who leaves is cancelled; a node that LangGraph lets go on has its own end."""
    leave(port, "/graph")
    wait_until(lambda: tracing.named("invoke_workflow"))
    assert tracing.one("invoke_workflow").attributes["langchain.run.outcome"] == "cancelled"
    enough.set()
    tracing.settle()
    assert "word0 word1 " in tracing.one("chat").attributes["gen_ai.output.messages"]
    assert all(span.status.is_ok for span in tracing.spans)


def test_a_user_who_closes_the_tab_of_a_sync_stream(tracing, port):
    """A sync stream can't be cancelled: the server stops reading, and it is abandoned."""
    leave(port, "/sync")
    tracing.settle()
    assert tracing.text() == "RunnableSequence [abandoned]\n  ChatPromptTemplate\n  chat [abandoned]\n    http"


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
