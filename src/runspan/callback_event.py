"""Callback events: what a handler of LangChain's is called with."""

from typing import Any, Final, NamedTuple


class Event(NamedTuple):
    """One call of a callback handler: the method and its arguments, ids of runs among the keywords."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


IGNORED_BY: Final[dict[str, str | None]] = {
    "on_chain_start": "ignore_chain",
    "on_chain_end": "ignore_chain",
    "on_chain_error": "ignore_chain",
    "on_agent_action": "ignore_agent",
    "on_agent_finish": "ignore_agent",
    "on_chat_model_start": "ignore_chat_model",
    "on_llm_start": "ignore_llm",
    "on_llm_new_token": "ignore_llm",
    "on_stream_event": "ignore_llm",
    "on_llm_end": "ignore_llm",
    "on_llm_error": "ignore_llm",
    "on_tool_start": "ignore_agent",
    "on_tool_end": "ignore_agent",
    "on_tool_error": "ignore_agent",
    "on_retriever_start": "ignore_retriever",
    "on_retriever_end": "ignore_retriever",
    "on_retriever_error": "ignore_retriever",
    "on_text": None,
    "on_retry": "ignore_retry",
    "on_custom_event": "ignore_custom_event",
    # LangGraph's.
    "on_interrupt": None,
    "on_resume": None,
}
"""The property of a handler by which it says that it does not want an event, as LangChain's managers have it."""
