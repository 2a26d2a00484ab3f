"""Attempts that LangChain's middlewares make: numbered, and linked to the one that failed before."""

import contextlib
import sys

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    ModelFallbackMiddleware,
    ModelRetryMiddleware,
    ToolRetryMiddleware,
)
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import StructuredTool, ToolException

from tests.fakes import ASKED, AgentModel, Model
from tests.meaning.failing import NONE, THREE, THREE_FROM_TWO, WAYS, Failures, Spare, attempts, call, numbered, shaky

QUICK = {"initial_delay": 0.001, "jitter": False}
# LangSmith, which wraps async middlewares, makes a task for each; on Python 3.14 it does not see that it can.
IN_ONE_TASK = sys.version_info >= (3, 14)


@WAYS
async def test_model_retry_middleware(tracing, way):
    """The middleware's attempts are numbered from the first on; the next call of the model begins anew."""
    model = shaky(tracing, 2)
    agent = create_agent(model, middleware=[ModelRetryMiddleware(**QUICK)])
    await call(way, agent, ASKED, tracing.config)
    await call(way, agent, ASKED, tracing.config)
    assert attempts(tracing, "chat") == [*THREE, (1, None, [])]


@WAYS
async def test_model_fallback_middleware(tracing, way):
    """The middleware's other models are fallbacks, linked to the model that failed before."""
    models = [shaky(tracing, times) for times in (1, 1, 0)]
    agent = create_agent(models[0], middleware=[ModelFallbackMiddleware(*models[1:])])
    await call(way, agent, ASKED, tracing.config)
    assert attempts(tracing, "chat") == [NONE, (None, 1, [0]), (None, 2, [1])]


@WAYS
async def test_retries_of_each_fallback(tracing, way):
    """Around retries, a fallback is linked to the last attempt at the model before, and counts its own attempts."""
    retry = ModelRetryMiddleware(max_retries=1, on_failure="error", **QUICK)
    fallback = ModelFallbackMiddleware(shaky(tracing, 1, Spare))
    agent = create_agent(shaky(tracing, 2), middleware=[fallback, retry])
    await call(way, agent, ASKED, tracing.config)
    assert attempts(tracing, "chat") == [(1, None, []), (2, None, [0]), (1, 1, [1]), (2, 1, [2])]


@WAYS
async def test_retries_of_all_fallbacks(tracing, way):
    """Within retries, the fallbacks are part of an attempt, and the next attempt begins with the first model."""
    retry = ModelRetryMiddleware(max_retries=1, **QUICK)
    fallback = ModelFallbackMiddleware(shaky(tracing, 1, Spare))
    agent = create_agent(shaky(tracing, 2), middleware=[retry, fallback])
    await call(way, agent, ASKED, tracing.config)
    first = 1 if way == "sync" or IN_ONE_TASK else None
    assert attempts(tracing, "chat") == [(first, None, []), (first, 1, [0]), (2, None, [1]), (2, 1, [2])]


class Passing(AgentMiddleware):
    """Does nothing but stand between."""

    def wrap_model_call(self, request, handler):
        return handler(request)

    async def awrap_model_call(self, request, handler):
        return await handler(request)


class Insisting(Passing):
    """An application's own middleware that tries again."""

    async def awrap_model_call(self, request, handler):
        while True:
            with contextlib.suppress(ValueError):
                return await handler(request)


@pytest.mark.parametrize(
    "retry", [ModelRetryMiddleware(**QUICK), Insisting()], ids=["LangChain's", "the application's"]
)
async def test_retries_around_another_middleware(tracing, retry):
    """Whoever tries an agent's model again with the same messages, by whatever way, is known by that."""
    await create_agent(shaky(tracing, 2), middleware=[retry, Passing()]).ainvoke(ASKED, tracing.config)
    is_on_the_stack = IN_ONE_TASK and isinstance(retry, ModelRetryMiddleware)
    assert attempts(tracing, "chat") == (THREE if is_on_the_stack else THREE_FROM_TWO)


async def test_other_questions_of_a_middleware_are_no_attempts(tracing):
    """A middleware that asks a model of its own something else, and fails, is not followed by an attempt."""
    judge = shaky(tracing, 1)

    class Judging(Passing):
        async def awrap_model_call(self, request, handler):
            with contextlib.suppress(ValueError):
                await judge.ainvoke("is it sound?")
            return await handler(request)

    await create_agent(shaky(tracing, 0), middleware=[Judging()]).ainvoke(ASKED, tracing.config)
    assert attempts(tracing, "chat") == [NONE] * 2


def look_thrice(messages):
    """Call the tool for two things at once, then once more, then answer."""
    seen = sum(isinstance(message, ToolMessage) for message in messages)
    asked = {0: [1, 2], 2: [1]}.get(seen, [])
    calls = [{"name": "look", "args": {"x": x}, "id": f"call_{seen}_{x}"} for x in asked]
    return AIMessage("" if calls else "three", tool_calls=calls)


@pytest.mark.parametrize("is_async_tool", [True, False])
@WAYS
async def test_tool_retry_middleware(tracing, way, is_async_tool):
    """A tool's attempts are told apart by its call: of calls at once, and of one with the same arguments later."""
    fail = Failures(1)

    def look(x: int) -> str:
        """Look."""
        return str(fail(x))

    async def alook(x: int) -> str:
        return str(await fail.later(x))

    tool = StructuredTool.from_function(look, coroutine=alook if is_async_tool else None)
    middleware = [ToolRetryMiddleware(**QUICK)]
    agent = create_agent(Model(tracing=tracing, answer=look_thrice), [tool], middleware=middleware)
    await call(way, agent, ASKED, tracing.config)
    by_call: dict[str, list] = {}
    for span in sorted(tracing.named("execute_tool look"), key=lambda each: each.start_time):
        by_call.setdefault(span.attributes["gen_ai.tool.call.id"], []).append(span)
    # A sync tool of an async agent runs in a thread, where nothing tells that it would be tried again.
    first = None if way == "async" and not is_async_tool else 1
    assert {key: list(numbered(spans)) for key, spans in by_call.items()} == {
        "call_0_1": [(first, None, []), (2, None, [0])],
        "call_0_2": [(first, None, []), (2, None, [0])],
        "call_2_1": [(first, None, [])],
    }


def test_a_call_of_a_tool_that_failed_softly(tracing):
    """A tool whose answer says that it failed, called again for the same call, is tried again as well."""
    fail = Failures(1)

    def look(x: int) -> str:
        """Look."""
        try:
            return str(fail(x))
        except ValueError as error:
            raise ToolException("no") from error

    class AskingAgain(AgentMiddleware):
        def wrap_tool_call(self, request, handler):
            answer = handler(request)
            return handler(request) if answer.status == "error" else answer

    tool = StructuredTool.from_function(look, handle_tool_error=True)
    create_agent(AgentModel(tracing=tracing), [tool], middleware=[AskingAgain()]).invoke(ASKED, tracing.config)
    assert attempts(tracing, "execute_tool look") == THREE_FROM_TWO[:2]
