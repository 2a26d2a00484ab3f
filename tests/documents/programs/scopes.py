"""docs/scopes.md: listeners, a block of another library, a recording, attributes of a call, tenants."""

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace

import anthropic  # noqa: F401  for the page
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableLambda
from langgraph.graph import START, MessagesState, StateGraph

import runspan
from devtools.anthropic_server import AnthropicServer
from tests.documents.code_blocks import run_blocks
from tests.recorders import Processor

RECORDING = """
{"resourceSpans":[{"scopeSpans":[{"scope":{"name":"any"},"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c",
"spanId":"b7ad6b7169203331","name":"chat","kind":3,"startTimeUnixNano":"1","endTimeUnixNano":"2","status":{},
"attributes":[{"key":"gen_ai.operation.name","value":{"stringValue":"chat"}}]}]}]}]}
"""
heard = []


class LoggingHandler(BaseCallbackHandler):
    """Notes what it hears."""

    def on_chain_start(self, serialized, inputs, **kwargs):
        heard.append("chain")

    def on_chat_model_start(self, serialized, messages, **kwargs):
        heard.append("chat")


Path("spans.json").write_text(RECORDING.replace("\n", ""))
processor, question = Processor(), "the question"
chain = RunnableLambda(lambda given: given, name="answer")
graph = StateGraph(MessagesState).add_node("node", lambda state: state).add_edge(START, "node").compile()
tenants = [SimpleNamespace(name="acme", endpoint=os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"], key="secret")]

with runspan.configure(), AnthropicServer() as server:
    os.environ |= {"ANTHROPIC_BASE_URL": server.url, "ANTHROPIC_API_KEY": "none needed"}
    run_blocks("docs/scopes.md", globals())
    chain.invoke(question, {"callbacks": [globals()["handler"]]})
    asyncio.run(globals()["answer"](SimpleNamespace(tenant="acme"), {"messages": ["hello"]}))
    assert globals()["handlers"]["acme"].force_flush()
assert heard == ["chain", "chat", "chat"], heard
