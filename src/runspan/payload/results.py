"""What tools are given and return, what retrievers are asked and find, what goes through chains."""

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from langchain_core.documents import Document
from langchain_core.messages import ToolMessage

from runspan import semconv
from runspan.payload.content import Attributes, to_json
from runspan.payload.text import clean


def tool_arguments(inputs: Mapping[str, Any] | None, input_str: str) -> Attributes:
    """Return a tool's arguments as a JSON object; a text that is none is told as ``{"input": text}``."""
    if inputs is not None:
        arguments = to_json(inputs)
    elif isinstance(input_str, str) and _is_json_object(input_str):
        arguments = input_str
    else:
        arguments = to_json({"input": input_str})
    return {semconv.TOOL_ARGUMENTS: arguments}


def tool_result(output: object) -> Attributes:
    """Return a tool's result: text as it is, also the text of a ``ToolMessage``; all else as JSON."""
    result = output.content if isinstance(output, ToolMessage) else output
    return {semconv.TOOL_RESULT: clean(result) if isinstance(result, str) else to_json(result)}


def inputs(value: object) -> Attributes:
    """Return what a chain, prompt, parser, graph or node is given."""
    return {semconv.INPUTS: to_json(value)}


def outputs(value: object) -> Attributes:
    """Return what a chain, prompt, parser, graph or node gives."""
    return {semconv.OUTPUTS: to_json(value)}


def query(text: str) -> Attributes:
    """Return what a retriever is asked."""
    return {semconv.QUERY: clean(text) if isinstance(text, str) else to_json(text)}


def documents(documents: Sequence[Document]) -> Attributes:
    """Return what a retriever found, with its score where the metadata holds one."""
    return {semconv.DOCUMENTS: to_json([_document(document) for document in documents])}


def _document(document: Document) -> object:
    if not isinstance(document, Document):
        return document
    found: dict[str, object] = {"content": document.page_content, "metadata": document.metadata}
    if document.id is not None:
        found["id"] = document.id
    if (score := _score(document.metadata)) is not None:
        found["score"] = score
    return found


def _score(metadata: Mapping[str, Any]) -> object:
    for name in ("score", "relevance_score"):
        # numbers.Real, not float: vector stores give NumPy's.
        if isinstance(score := metadata.get(name), numbers.Real) and not isinstance(score, bool):
            return score
    return None


def _is_json_object(text: str) -> bool:
    if not text.lstrip().startswith("{"):
        return False
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
