"""docs/handlers.md: a program, and a server that one client leaves while its graph goes on."""

from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langgraph.graph import START, MessagesState, StateGraph
from starlette.testclient import TestClient

import runspan
from tests.documents.code_blocks import code_blocks

chain = RunnableLambda(lambda given: given, name="answer")
program, server = code_blocks("docs/handlers.md")

configured = []
real = runspan.configure
runspan.configure = lambda **arguments: configured.append(real(**arguments)) or configured[-1]
exec(program, globals())
assert configured[0].shutdown()
runspan.configure = real


async def answer(state: MessagesState):
    """Have the model answer."""
    model = GenericFakeChatModel(messages=iter([AIMessage("four")]))
    return {"messages": [await model.ainvoke(state["messages"])]}


graph = StateGraph(MessagesState).add_node("answer", answer).add_edge(START, "answer").compile()
exec(server, globals())
with TestClient(globals()["app"]) as client:
    assert client.post("/ask", params={"question": "What is 1 + 3?"}).text == "four"
