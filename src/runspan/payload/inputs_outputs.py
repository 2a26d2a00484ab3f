"""Inputs and outputs of tools, retrievers and chains."""

import numbers
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeGuard, TypeVar

import orjson
from langchain_core.documents import Document
from langchain_core.messages import ToolMessage

from runspan import semconv
from runspan._guard import attempt
from runspan.attributes import PlainAttributes
from runspan.payload.commands import MOST_ITEMS, first_items, is_command
from runspan.payload.items import Items
from runspan.payload.serialize import without_media
from runspan.payload.stored import stored_items, stored_length, stored_pairs
from runspan.payload.text import Excerpt, is_text, unprintable
from runspan.payload.writer import UNLIMITED, Writer

_T = TypeVar("_T")
# The limit of a document keeps the list readable, that of the list keeps the span below what receivers accept (4 MiB is
# gRPC's usual limit).
_MOST_DOCUMENTS: Final = 100
_LONGEST_DOCUMENT: Final = 10_000  # characters
# Where vector stores and rerankers put a score. No distances: of those the smaller one is the better.
_SCORES: Final = ("score", "relevance_score", "similarity_score", "_score")
_LONGEST_ARGUMENTS: Final = 1_000_000  # characters
_TOOL_ERROR: Final = "tool_error"


def tool_arguments(inputs: Mapping[str, Any] | None, input_str: str, write: Writer = UNLIMITED) -> PlainAttributes:
    """Return a tool's arguments as a JSON object; a text that is none becomes ``{"input": text}``."""
    if inputs is None and (found := _json_object(input_str)) is not None:
        return write.json_text(semconv.TOOL_ARGUMENTS, input_str, found)
    return write.json(semconv.TOOL_ARGUMENTS, inputs if inputs is not None else {"input": input_str})


def tool_result(output: object, write: Writer = UNLIMITED) -> PlainAttributes:
    """Return a tool's result: text as it is, also the text of a ``ToolMessage``; all else as JSON."""
    result = output.content if _is(output, ToolMessage) else output
    return write.text(semconv.TOOL_RESULT, result)


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
        if _is(each, ToolMessage):
            yield each
        elif is_command(each):
            for channel in _channels(getattr(each, "update", None)):
                yield from (message for message in first_items(channel) if _is(message, ToolMessage))


def _channels(update: object) -> Iterator[object]:
    """Yield what an update writes, which is a dictionary or a list of pairs."""
    if (pairs := stored_pairs(update, MOST_ITEMS)) is not None:
        yield from (channel for _, channel in pairs)
    else:
        yield from (pair[-1] for pair in first_items(update) if type(pair) is tuple and pair)


def inputs(value: object, write: Writer = UNLIMITED) -> PlainAttributes:
    """Return the inputs of a chain, prompt, parser, graph or node."""
    return _typed(semconv.INPUTS, semconv.INPUTS_TYPE, value, write)


def outputs(value: object, write: Writer = UNLIMITED) -> PlainAttributes:
    """Return the outputs of a chain, prompt, parser, graph or node."""
    return _typed(semconv.OUTPUTS, semconv.OUTPUTS_TYPE, value, write)


def _typed(name: str, type_name: str, value: object, write: Writer) -> PlainAttributes:
    media_type = "text/plain" if is_text(value) else "application/json"
    written = write.text(name, value) if media_type == "text/plain" else write.json(name, value)
    if written:
        written[type_name] = media_type
    return written


def _is(value: object, kind: type[_T]) -> TypeGuard[_T]:
    """Return whether a value is of a class by its type: it may have another ``__class__``, or one that raises."""
    return issubclass(type(value), kind)


def query(text: str, write: Writer = UNLIMITED) -> PlainAttributes:
    """Return the query of a retriever."""
    return write.text(semconv.QUERY, text)


def documents(documents: Sequence[Document], write: Writer = UNLIMITED) -> PlainAttributes:
    """Return what a retriever found, with a score where there is one, also as pairs of a document and its score.

    At most 100 documents of at most 10,000 characters each; what is shortened has ``"truncated": true``, and so has a
    last entry that stands for documents left out.
    """
    found = stored_items(documents, _MOST_DOCUMENTS) or []
    entries = [attempt(_document, each, default=unprintable(each)) for each in found]
    if (left_out := (stored_length(documents) or 0) - _MOST_DOCUMENTS) > 0:
        entries.append({"truncated": True, "left_out": left_out})
    return write.json(semconv.DOCUMENTS, Items(entries, note=_note))


def _note(text: str) -> dict[str, object]:
    return {"content": text, "truncated": True}


def _document(found: object) -> object:
    document, score = found if _is(found, tuple) and len(found) == 2 else (found, None)  # noqa: PLR2004  a pair
    if not _is(document, Document):
        return found
    content = without_media(document.page_content)
    entry: dict[str, object] = {"content": Excerpt(content, _LONGEST_DOCUMENT), "metadata": document.metadata}
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


def _json_object(text: object) -> dict[str, Any] | None:
    """Return the object that a text is as JSON; None if it is none, or too long to find out."""
    if not is_text(text) or len(text) > _LONGEST_ARGUMENTS or not text[:20].lstrip().startswith("{"):
        return None
    try:
        found: dict[str, Any] = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found
