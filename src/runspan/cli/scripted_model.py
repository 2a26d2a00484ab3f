"""A chat model that says what a script has, for demonstrations without key or network."""

import time
from collections.abc import Iterator
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable

_CHARACTERS_OF_A_TOKEN = 4
_SECONDS_TO_FIRST_CHUNK = 0.25
_SECONDS_OF_A_CHUNK = 0.01


class ScriptedModel(BaseChatModel):
    """Answer by the number of the messages that the model has written so far in the conversation.

    Args:
        script: the answers, in order; the last one also answers what comes after.
        model: the name that spans have.
    """

    script: list[AIMessage]
    model: str = "scripted-large"

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model, "temperature": 0.2, "max_tokens": 1024}

    def bind_tools(self, tools: Any, **kwargs: Any) -> Runnable[Any, AIMessage]:
        """Let requests say which tools there are, as models of providers do."""
        from langchain_core.utils.function_calling import convert_to_openai_tool  # noqa: PLC0415  it takes a while

        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002  LangChain's interface
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> ChatResult:
        answer = self._answer(messages)
        time.sleep(_SECONDS_TO_FIRST_CHUNK + _SECONDS_OF_A_CHUNK * len(answer.text.split()))
        return ChatResult(generations=[ChatGeneration(message=answer)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> Iterator[ChatGenerationChunk]:
        answer = self._answer(messages)
        time.sleep(_SECONDS_TO_FIRST_CHUNK)
        for word in answer.text.split(" ") if answer.text else ():
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=f"{word} "))
            if run_manager is not None:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            time.sleep(_SECONDS_OF_A_CHUNK)
            yield chunk
        end = AIMessageChunk(
            content="",
            tool_calls=answer.tool_calls,
            usage_metadata=answer.usage_metadata,
            response_metadata=answer.response_metadata,
            chunk_position="last",
        )
        yield ChatGenerationChunk(message=end)

    def _answer(self, messages: list[BaseMessage]) -> AIMessage:
        turn = sum(isinstance(message, AIMessage) for message in messages)
        answer = self.script[min(turn, len(self.script) - 1)]
        read = sum(len(message.text) for message in messages) // _CHARACTERS_OF_A_TOKEN + 40
        written = len(answer.text) // _CHARACTERS_OF_A_TOKEN + 20 * len(answer.tool_calls) + 5
        cached = (read // 2) if turn else 0
        return answer.model_copy(
            update={
                "usage_metadata": {
                    "input_tokens": read,
                    "output_tokens": written,
                    "total_tokens": read + written,
                    "input_token_details": {"cache_read": cached},
                },
                "response_metadata": {
                    "model_name": self.model,
                    "finish_reason": "tool_calls" if answer.tool_calls else "stop",
                },
            }
        )
