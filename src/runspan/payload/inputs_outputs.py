"""Inputs and outputs of tools, retrievers and chains."""

import numbers
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson
from langchain_core.documents import Document
from langchain_core.messages import ToolMessage

from runspan import semconv
from runspan._guard import attempt
from runspan.attributes import PlainAttributes
from runspan.payload.commands import MOST_ITEMS, first_items, is_command
from runspan.payload.serialize import recorded_text, to_json
from runspan.payload.stored import stored_items, stored_pairs
from runspan.payload.text import is_text, unprintable

# The limit of a document keeps the list readable, that of the list keeps the span below what receivers accept (4 MiB is
# gRPC's usual limit).
_MOST_DOCUMENTS: Final = 100
_LONGEST_DOCUMENT: Final = 10_000  # characters
# Where vector stores and rerankers put a score. No distances: of those the smaller one is the better.
_SCORES: Final = ("score", "relevance_score", "similarity_score", "_score")
_TOOL_ERROR: Final = "tool_error"


def tool_arguments(inputs: Mapping[str, Any] | None, input_str: str) -> PlainAttributes:
    """Return a tool's arguments as a JSON object; a text that is none becomes ``{"input": text}``."""
    if inputs is not None:
        arguments = to_json(inputs)
    elif is_text(input_str) and _is_json_object(input_str):
        arguments = recorded_text(input_str)
    else:
        arguments = to_json({"input": input_str})
    return {semconv.TOOL_ARGUMENTS: arguments}


def tool_result(output: object) -> PlainAttributes:
    """Return a tool's result: text as it is, also the text of a ``ToolMessage``; all else as JSON."""
    result = output.content if isinstance(output, ToolMessage) else output
    return {semconv.TOOL_RESULT: recorded_text(result) if is_text(result) else to_json(result)}


def returned_tool_error(output: object) -> str | None:
    """Return ``tool_error`` if a tool returned an error message, else None.

    That is a ``ToolMessage(status="error")``, also one among the first hundred items of a list, or in the update of a
    ``Command``. What was raised is not known then, only the text for the model, which is no type; so the type of these
    errors is always the same.
    """
    return _TOOL_ERROR if any(message.status == "error" for message in _tool_messages(output)) else None


def _tool_messages(output: object) -> Iterator[ToolMessage]:
    """Yield a tool's messages: the output itself, those of a list, those in the update of a ``Command``."""
    for each in first_items(output):
        if isinstance(each, ToolMessage):
            yield each
        elif is_command(each):
            for channel in _channels(getattr(each, "update", None)):
                yield from (message for message in first_items(channel) if isinstance(message, ToolMessage))


def _channels(update: object) -> Iterator[object]:
    """Yield what an update writes, which is a dictionary or a list of pairs."""
    if (pairs := stored_pairs(update, MOST_ITEMS)) is not None:
        yield from (channel for _, channel in pairs)
    else:
        yield from (pair[-1] for pair in first_items(update) if type(pair) is tuple and pair)


def inputs(value: object) -> PlainAttributes:
    """Return the inputs of a chain, prompt, parser, graph or node."""
    text, kind = _text_and_type(value)
    return {semconv.INPUTS: text, semconv.INPUTS_TYPE: kind}


def outputs(value: object) -> PlainAttributes:
    """Return the outputs of a chain, prompt, parser, graph or node."""
    text, kind = _text_and_type(value)
    return {semconv.OUTPUTS: text, semconv.OUTPUTS_TYPE: kind}


def _text_and_type(value: object) -> tuple[str, str]:
    return (recorded_text(value), "text/plain") if is_text(value) else (to_json(value), "application/json")


def query(text: str) -> PlainAttributes:
    """Return the query of a retriever."""
    return {semconv.QUERY: recorded_text(text) if is_text(text) else to_json(text)}


def documents(documents: Sequence[Document]) -> PlainAttributes:
    """Return what a retriever found, with a score where there is one, also as pairs of a document and its score.

    At most 100 documents of at most 10,000 characters each; what is shortened has ``"truncated": true``, and so has a
    last entry that stands for documents left out.
    """
    found = stored_items(documents) or []
    entries = [attempt(_document, each, default=unprintable(each)) for each in found[:_MOST_DOCUMENTS]]
    if (left_out := len(found) - _MOST_DOCUMENTS) > 0:
        entries.append({"truncated": True, "left_out": left_out})
    return {semconv.DOCUMENTS: to_json(entries)}


def _document(found: object) -> object:
    document, score = found if isinstance(found, tuple) and len(found) == 2 else (found, None)  # noqa: PLR2004  a pair
    if not isinstance(document, Document):
        return found
    content = recorded_text(document.page_content)
    entry: dict[str, object] = {"content": content[:_LONGEST_DOCUMENT], "metadata": document.metadata}
    if len(content) > _LONGEST_DOCUMENT:
        entry["truncated"] = True
    if document.id is not None:
        entry["id"] = document.id
    # Classes derived from Document may have a score of their own.
    if (score := _score((score, getattr(document, "score", None)), document.metadata)) is not None:
        entry["score"] = score
    return entry


def _score(scores: Iterable[object], metadata: Mapping[str, Any]) -> object:
    for found in (*scores, *map(metadata.get, _SCORES)):
        # numbers.Real, not float: vector stores have NumPy's.
        if isinstance(found, numbers.Real) and not isinstance(found, bool):
            return found
    return None


def _is_json_object(text: str) -> bool:
    if not text.lstrip().startswith("{"):
        return False
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
