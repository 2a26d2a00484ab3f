"""Where a run belongs: its id, its tags, its conversation, its node of a graph."""

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson

from runspan import semconv
from runspan.attributes import PlainAttributes, is_int64
from runspan.payload.serialize import to_json
from runspan.payload.stored import stored_items
from runspan.payload.text import describe, describe_all, is_text, name_at, text_at

_CONVERSATION_KEYS: Final = ("thread_id", "session_id", "conversation_id")
_SESSION_KEYS: Final = ("session_id", "thread_id", "conversation_id")
_USER_KEYS: Final = ("user_id",)
_CONTENT_KEYS: Final = {semconv.USER_ID: _USER_KEYS, semconv.RELEASE: ("release", "revision_id")}
_MOST_BYTES: Final = 20_000  # of a value of metadata
_BELONGING_KEYS: Final = frozenset((*_SESSION_KEYS, *_USER_KEYS, "release", "revision_id"))
_ATTEMPT_TAG: Final = re.compile(r"retry:attempt:(\d{1,9})")


def origin(run_id: UUID, metadata: Mapping[str, Any] | None, tags: Sequence[str] | None) -> PlainAttributes:
    """Return the run's id, its tags, and the node, step and checkpoint namespace of the graph that it runs in."""
    attributes: PlainAttributes = {semconv.RUN_ID: _id_text(run_id)}
    if tags and (tag_list := stored_items(tags)):
        attributes[semconv.TAGS] = describe_all(tag_list)
    if isinstance(metadata, dict) and "langgraph_node" in metadata:
        if node := name_at(metadata, "langgraph_node"):
            attributes[semconv.GRAPH_NODE] = node
        if is_int64(step := metadata.get("langgraph_step")):
            attributes[semconv.GRAPH_STEP] = step
        if namespace := text_at(metadata, "langgraph_checkpoint_ns"):
            attributes[semconv.CHECKPOINT_NAMESPACE] = describe(namespace)
    return attributes


def _id_text(run_id: UUID) -> str:
    # A third of what UUID's own takes, which is Python.
    return orjson.dumps(run_id)[1:-1].decode() if type(run_id) is UUID else str(run_id)


def names_invocation(metadata: Mapping[str, Any] | None) -> bool:
    """Return whether metadata has a key that ``conversation`` or ``belonging`` reads: most have none of them."""
    return isinstance(metadata, dict) and not dict.keys(metadata).isdisjoint(_BELONGING_KEYS)


def conversation(metadata: Mapping[str, Any] | None) -> PlainAttributes:
    """Return the conversation that a run belongs to, if its metadata names it."""
    conversation_id = _first(metadata, _CONVERSATION_KEYS)
    return {semconv.CONVERSATION_ID: conversation_id} if conversation_id is not None else {}


def with_configured(
    metadata: Mapping[str, Any] | None, find_configurable: Callable[[], Mapping[str, object]]
) -> Mapping[str, Any] | None:
    """Return metadata with the ids of ``configurable`` that it lacks: LangChain once copied all there.

    LangGraph still copies the thread, which is the session of the runs within as well; so a session that the metadata
    name is not replaced.

    Args:
        metadata: the metadata of a run that nothing is around.
        find_configurable: returns what it was called with under ``configurable``.
    """
    if metadata is None:
        return metadata
    has_session = any(map(metadata.get, _SESSION_KEYS))
    if has_session and all(key in metadata for key in _USER_KEYS):
        return metadata
    configurable = find_configurable()
    keys = [key for key in _USER_KEYS if key in configurable]
    if not has_session:
        # One alone: runs within, whose metadata has none, know the session of those around them and no other id.
        keys += [key for key in _SESSION_KEYS if key in configurable][:1]
    return {**{key: configurable[key] for key in keys}, **metadata}


def belonging(metadata: Mapping[str, Any] | None, allowed: Collection[str] | None) -> PlainAttributes:
    """Return session, user and release as the metadata names them.

    Args:
        metadata: the metadata of the run.
        allowed: the keys of it that may be recorded though content may not, None if that may; a session is no content.
    """
    found = {semconv.SESSION_ID: _first(metadata, _SESSION_KEYS)}
    for name, keys in _CONTENT_KEYS.items():
        found[name] = _first(metadata, keys if allowed is None else [key for key in keys if key in allowed])
    return {name: text for name, text in found.items() if text is not None}


def selected_metadata(metadata: Mapping[str, Any] | None, keys: Iterable[str], room: int) -> PlainAttributes:
    """Return the metadata that a setting allows: text and numbers as they are, all else as JSON.

    Args:
        metadata: the metadata of the run.
        keys: those that are allowed.
        room: the bytes that the JSON of each may take.
    """
    found = {key: metadata[key] for key in keys if key in metadata} if metadata else {}
    room = max(min(room, _MOST_BYTES), 2)
    return {f"{semconv.METADATA}{key}": _plain(value, room) for key, value in found.items()}


def attempt_of(tags: Sequence[Any]) -> int:
    """Return the number of an attempt by its tag, which LangChain sets from the second on; 0 without one."""
    for tag in tags:
        if type(tag) is str and tag.startswith("retry:") and (match := _ATTEMPT_TAG.fullmatch(tag)):
            return int(match[1])
    return 0


def _first(metadata: Mapping[str, Any] | None, keys: Iterable[str]) -> str | None:
    # Ids may be numbers.
    found = map(metadata.get, keys) if isinstance(metadata, dict) else ()
    return next((text for each in found if each is not None and (text := describe(each))), None)


def _plain(value: Any, room: int) -> str | int | float | bool:
    if issubclass(type(value), float):
        value = float.__float__(value)
        return value if math.isfinite(value) else describe(value)
    if is_text(value):
        return describe(value)
    return value if type(value) is bool or is_int64(value) else to_json(value, room)
