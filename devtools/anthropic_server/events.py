"""The events by which the Messages API streams a message: https://platform.claude.com/docs/en/build-with-claude/streaming."""

import re
from collections.abc import Iterable, Iterator

import orjson

from devtools.anthropic_server.messages import Json


def encode(event: Json) -> bytes:
    """Write an event as server-sent event."""
    return b"event: %s\ndata: %s\n\n" % (event["type"].encode(), orjson.dumps(event))


def events(message: Json) -> Iterator[Json]:
    """Give the events of a whole message, in the service's order.

    The service pings now and then; here it is after the start and before the stop of each block.
    """
    yield {"type": "message_start", "message": _begun(message)}
    for index, block in enumerate(message["content"]):
        empty, deltas = _parts(block)
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        yield {"type": "ping"}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "ping"}
        yield {"type": "content_block_stop", "index": index}
    yield _message_delta(message)
    yield {"type": "message_stop"}


def _begun(message: Json) -> Json:
    usage = {**message["usage"], "output_tokens": 1}
    usage.pop("output_tokens_details", None)
    return {**message, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}


def _message_delta(message: Json) -> Json:
    """Give the last counts, all of them: LangChain reports only these."""
    stop = {name: message[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    left_out = {"cache_creation", "service_tier", "inference_geo"}
    usage = {name: count for name, count in message["usage"].items() if name not in left_out}
    return {"type": "message_delta", "delta": stop, "usage": usage}


def _parts(block: Json) -> tuple[Json, Iterable[Json]]:
    """Split a content block into what its start shows and its deltas."""
    match block:
        case {"type": "text", "text": text}:
            return {**block, "text": ""}, [{"type": "text_delta", "text": word} for word in _words(text)]
        case {"type": "thinking", "thinking": thinking, "signature": signature}:
            words = [{"type": "thinking_delta", "thinking": word} for word in _words(thinking)]
            signed = {"type": "signature_delta", "signature": signature}
            return {**block, "thinking": "", "signature": ""}, [*words, signed]
        case _:
            pieces = _pieces(orjson.dumps(block["input"]).decode())
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]


def _words(text: str) -> list[str]:
    return re.findall(r"\s*\S+|\s+", text)


def _pieces(text: str) -> list[str]:
    """Cut in eights after an empty piece, as the service does."""
    return ["", *(text[start : start + 8] for start in range(0, len(text), 8))]
