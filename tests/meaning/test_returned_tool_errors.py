"""Tools that return an error message instead of raising."""

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import StructuredTool, ToolException

from runspan import Settings
from runspan.testing import Trace

CALL = {"name": "look", "args": {"x": 1}, "id": "call_1", "type": "tool_call"}


def failing(x: int) -> str:
    raise ToolException("no such thing")


@pytest.mark.parametrize(("setting", "tree"), [("error_status", "  look [error]"), ("error_type_only", "  look")])
def test_a_tool_that_says_it_failed(setting, tree):
    """Its span says so, as an error or by its type alone; what is above it is no failure."""
    look = StructuredTool.from_function(failing, name="look", description="Looks.", handle_tool_error=True)
    with Trace(settings=Settings(returned_tool_errors=setting)) as trace:
        result = (RunnableLambda(lambda x: x, name="first") | look).invoke(CALL)
    assert isinstance(result, ToolMessage)
    assert result.status == "error"
    assert trace.tree() == f"RunnableSequence\n  first\n{tree.replace('look', 'execute_tool look')}"
    assert trace.first("execute_tool look").attributes["error.type"] == "tool_error"
    assert trace.first("execute_tool look").attributes["gen_ai.tool.call.result"] == "no such thing"


def test_a_tool_that_did_not_fail(trace):
    """A result that is no error marks nothing."""
    look = StructuredTool.from_function(lambda x: "seen", name="look", description="Looks.")
    look.invoke(CALL)
    assert trace.tree() == "execute_tool look"
    assert "error.type" not in trace.first("execute_tool look").attributes
