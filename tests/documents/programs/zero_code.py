"""docs/zero-code.md."""

from langchain_core.runnables import RunnableLambda
from langgraph.graph import START, MessagesState, StateGraph

import runspan
from tests.documents.code_blocks import code_blocks

chain = RunnableLambda(len, name="answer")
builder = StateGraph(MessagesState).add_node("node", lambda state: state).add_edge(START, "node")
instrumented, delivering, with_handler = code_blocks("docs/zero-code.md")

exec(instrumented, globals())
chain.invoke("the question")
runspan.uninstrument()
exec(with_handler, globals())
globals()["graph"].invoke({"messages": ["hello"]})
exec(delivering, globals())
