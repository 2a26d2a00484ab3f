"""docs/content.md; its redactor that needs Presidio is run by tests/presidio."""

from langchain_core.runnables import RunnableLambda

import runspan
from tests.documents.code_blocks import code_blocks

masking, _with_presidio = code_blocks("docs/content.md")
exec(masking, globals())
with runspan.configure():
    RunnableLambda(len, name="answer").invoke("a@example.com", {"callbacks": [globals()["handler"]]})
