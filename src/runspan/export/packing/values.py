"""Values of OTLP as trees, and back."""

from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from runspan.export.packing.sizes import framed, varint

_FIELDS = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value"}


def to_tree(value: AnyValue) -> Any:
    """Return a value as a tree; bytes in it become a note, since no text of theirs can be cut."""
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [to_tree(each) for each in value.array_value.values]
        case "kvlist_value":
            return {each.key: to_tree(each.value) for each in value.kvlist_value.values}
        case "bytes_value":
            return f"… [{len(value.bytes_value):,} bytes left out]"
        case kind:
            return getattr(value, kind)


def to_any_value(tree: Any) -> AnyValue:
    """Return a tree as a value."""
    if tree is None:
        return AnyValue()
    if isinstance(tree, list):
        return AnyValue(array_value=ArrayValue(values=map(to_any_value, tree)))
    if isinstance(tree, dict):
        entries = (KeyValue(key=key, value=to_any_value(each)) for key, each in tree.items())
        return AnyValue(kvlist_value=KeyValueList(values=entries))
    if isinstance(tree, str):
        return AnyValue(string_value=tree)
    return AnyValue(**{_FIELDS[type(tree)]: tree})


def size_as_any_value(tree: Any) -> int:
    """Return what a tree takes as a value, in bytes."""
    if tree is None:
        return 0
    if isinstance(tree, str):
        return framed(len(tree.encode()))
    if isinstance(tree, float):
        return 9
    if isinstance(tree, int):  # or a truth value
        return 1 + varint(tree)
    if isinstance(tree, list):
        return framed(sum(framed(size_as_any_value(each)) for each in tree))
    return framed(sum(framed(_size_of_entry(key, each)) for key, each in tree.items()))


def _size_of_entry(key: str, tree: Any) -> int:
    return framed(len(key.encode())) + framed(size_as_any_value(tree))
