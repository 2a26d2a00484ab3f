"""docs/hosts.md: a server that ends while a run is open, a function that is called, a worker that is aborted."""

import sys

from fastapi.testclient import TestClient
from langchain_core.runnables import RunnableLambda

import runspan
from tests.documents.code_blocks import code_blocks

server, function, aborted = code_blocks("docs/hosts.md")
chain = RunnableLambda(lambda given: given, name="answer")

exec(server, globals())
with TestClient(globals()["FastAPI"](lifespan=globals()["lifespan"])):
    left = chain.stream("the question", {"callbacks": [runspan.OpenTelemetryCallbackHandler()]})
    next(left)

exec(function, globals())
assert globals()["lambda_handler"]({"question": "why"}, None) == "why"
assert globals()["handle"].stats().sent == 1

open_run = chain.stream("another question", {"callbacks": [runspan.OpenTelemetryCallbackHandler()]})
next(open_run)
sys.modules["app"] = sys.modules[__name__]
exec(aborted, globals())
globals()["worker_abort"](None)
assert globals()["handle"].stats().sent == 2
