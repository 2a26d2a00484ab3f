"""Trees of lists and dictionaries, as JSON and OTLP's values have them."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

# No object of the conventions has so many keys, so that theirs all stay.
_MANY_KEYS = 32
_GAP = "…"


class Leaf(NamedTuple):
    """A text in a list or a dictionary."""

    holder: Any
    key: Any

    @property
    def text(self) -> str:
        """The text that is there now."""
        text: str = self.holder[self.key]
        return text

    def put(self, text: str) -> None:
        """Put another text there."""
        self.holder[self.key] = text


def containers(root: Any) -> Iterator[tuple[Any, int]]:
    """Find all lists and dictionaries, and how deep each is."""
    left = [(root, 1)] if isinstance(root, list | dict) else []
    while left:
        container, depth = left.pop()
        yield container, depth
        inner = container.values() if isinstance(container, dict) else container
        left.extend((each, depth + 1) for each in inner if isinstance(each, list | dict))


def leaves(root: Any) -> list[Leaf]:
    """Find all texts."""
    found: list[Leaf] = []
    for container, _ in containers(root):
        found.extend(Leaf(container, key) for key, each in _items(container) if isinstance(each, str))
    return found


def longest(root: Any) -> int:
    """Tell how long the longest list or dictionary is."""
    return max((len(container) for container, _ in containers(root)), default=0)


def thinned(root: Any, most: int) -> Any:
    """Leave out what stands in the middle of lists longer than ``most``, and of dictionaries that long."""
    if isinstance(root, dict):
        return _thinned_dict(root, max(most, _MANY_KEYS))
    if not isinstance(root, list):
        return root
    if len(root) <= most:
        return _thinned_items(root, most)
    head, tail = _thinned_items(root[: -(-most // 2)], most), _thinned_items(root[len(root) - most // 2 :], most)
    note = f"[{len(root) - most:,} items left out]"
    if not isinstance(head[-1], dict):
        return [*head, f"{_GAP} {note}", *tail]
    if head[-1].get("type") != "blob":  # the conventions allow it no other key
        head[-1] = {**head[-1], _GAP: note}
    return [*head, *tail]


def _thinned_dict(root: dict[str, Any], most: int) -> dict[str, Any]:
    keys = list(root)
    if len(keys) > most:
        keys = [*keys[: -(-most // 2)], *keys[len(keys) - most // 2 :]]
    kept = {key: thinned(root[key], most) for key in keys}
    return kept if len(kept) == len(root) else {**kept, _GAP: f"[{len(root) - len(kept):,} entries left out]"}


def _thinned_items(items: list[Any], most: int) -> list[Any]:
    return [thinned(each, most) if isinstance(each, list | dict) else each for each in items]


def _items(container: Any) -> Iterable[tuple[Any, Any]]:
    return container.items() if isinstance(container, dict) else enumerate(container)


def to_tree(value: AnyValue) -> Any:
    """Return a value of OTLP as a tree; bytes within it become a note, for they can't be cut."""
    match value.WhichOneof("value"):
        case "array_value":
            return [to_tree(each) for each in value.array_value.values]
        case "kvlist_value":
            return {each.key: to_tree(each.value) for each in value.kvlist_value.values}
        case "bytes_value":
            return f"{_GAP} [{len(value.bytes_value):,} bytes left out]"
        case None:
            return None
        case kind:
            return getattr(value, kind)


def to_any_value(tree: Any) -> AnyValue:
    """Return a tree as a value of OTLP."""
    match tree:
        case None:
            return AnyValue()
        case bool():
            return AnyValue(bool_value=tree)
        case int():
            return AnyValue(int_value=tree)
        case float():
            return AnyValue(double_value=tree)
        case str():
            return AnyValue(string_value=tree)
        case list():
            return AnyValue(array_value=ArrayValue(values=map(to_any_value, tree)))
        case _:
            values = [KeyValue(key=key, value=to_any_value(each)) for key, each in tree.items()]
            return AnyValue(kvlist_value=KeyValueList(values=values))
