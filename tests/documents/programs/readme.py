"""README.md."""

from langchain_core.runnables import RunnableLambda

from tests.documents.code_blocks import run_blocks

chain = RunnableLambda(lambda given: given, name="answer")
run_blocks("README.md", globals())
chain.invoke("the question", {"callbacks": [globals()["handler"]]})
