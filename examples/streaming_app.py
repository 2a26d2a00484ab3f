"""A FastAPI app that streams a graph; a client that leaves early has an ended trace with the text so far.

    pip install 'runspan[langgraph]' fastapi uvicorn
    uvicorn --app-dir examples streaming_app:app
    curl -N 'http://127.0.0.1:8000/ask?question=Why'

Spans go to OTEL_EXPORTER_OTLP_ENDPOINT; what is left is delivered when the server ends.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langgraph.graph import START, MessagesState, StateGraph

import runspan

WORDS = "Because it is so. " * 20
handler = runspan.OpenTelemetryCallbackHandler()  # one is enough for the whole process


async def answer(state: MessagesState) -> dict[str, Any]:
    """Have the model speak, slowly."""
    model = GenericFakeChatModel(messages=iter([AIMessage(WORDS)]))
    whole = AIMessageChunk("")
    async for chunk in model.astream(state["messages"]):
        whole += chunk
        await asyncio.sleep(0.02)
    return {"messages": [whole]}


graph = StateGraph(MessagesState).add_node("answer", answer).add_edge(START, "answer").compile(name="why")


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """End and deliver what is open when the server ends, also what still executes for clients that have left."""
    async with runspan.configure(service_name="streaming-app"):
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/ask")
async def ask(question: str) -> StreamingResponse:
    """Stream the answer as it comes."""
    given: Any = {"messages": [("user", question)]}
    parts = graph.astream(given, {"callbacks": [handler]}, stream_mode="messages")
    return StreamingResponse((message.text async for message, _ in parts), media_type="text/plain")
