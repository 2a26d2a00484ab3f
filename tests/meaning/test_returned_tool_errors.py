"""Tools that return an error message instead of raising."""

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.tools import StructuredTool, ToolException

from runspan import Settings
from tests.fakes import body
from tests.tracing import Tracing

CALL = {"name": "look", "args": {"x": 1}, "id": "call_1", "type": "tool_call"}


def failing(x: int) -> str:
    raise ToolException("no such thing")


@pytest.mark.parametrize(("setting", "is_ok"), [("error_status", False), ("error_type_only", True)])
def test_a_tool_that_says_it_failed(setting, is_ok):
    """Its span says so, as an error or by its type alone; what is above it is no failure."""
    tracing = Tracing(Settings(returned_tool_errors=setting))
    look = StructuredTool.from_function(failing, name="look", description="Looks.", handle_tool_error=True)
    result = (body(tracing, "first") | look).invoke(CALL, tracing.config)
    assert isinstance(result, ToolMessage)
    assert result.status == "error"
    span = tracing.one("execute_tool look")
    assert span.attributes["error.type"] == "tool_error"
    assert span.attributes["gen_ai.tool.call.result"] == "no such thing"
    assert span.status.is_ok is is_ok
    assert tracing.one("RunnableSequence").status.is_ok


def test_a_tool_that_did_not_fail(tracing):
    """A result that is no error marks nothing."""
    look = StructuredTool.from_function(lambda x: "seen", name="look", description="Looks.")
    look.invoke(CALL, tracing.config)
    span = tracing.one("execute_tool look")
    assert "error.type" not in span.attributes
    assert span.status.is_ok
