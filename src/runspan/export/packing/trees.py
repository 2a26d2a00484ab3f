"""Trees of lists and dictionaries, as JSON and OTLP's values have them."""

from typing import Any, NamedTuple

# No object of the conventions has so many keys, so that theirs all stay.
_MANY_KEYS = 32
_GAP = "…"

Container = list[Any] | dict[str, Any]


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


class Found(NamedTuple):
    """What is in a tree.

    Args:
        texts: The long texts.
        containers: All lists and dictionaries with more than two items.
        depth: How deep the deepest lies.
    """

    texts: list[Leaf]
    containers: list[Container]
    depth: int


def explore(root: Container, shortest: int) -> Found:
    """Find all texts that have at least so many characters, and all lists and dictionaries."""
    texts: list[Leaf] = []
    containers: list[Container] = []
    level: list[Container] = [root]
    depth = 0
    while level:
        depth += 1
        below: list[Container] = []
        for container in level:
            if len(container) > 2:  # noqa: PLR2004  the first and the last stay
                containers.append(container)
            for key, each in container.items() if isinstance(container, dict) else enumerate(container):
                if isinstance(each, str):
                    if len(each) >= shortest:
                        texts.append(Leaf(container, key))
                elif isinstance(each, list | dict):
                    below.append(each)
        level = below
    return Found(texts, containers, depth)


class Thinning:
    """Leaves out what stands in the middle of long lists and dictionaries, and notes how much."""

    def __init__(self, containers: list[Container]) -> None:
        self._wholes = [(container, _copied(container)) for container in containers]

    @property
    def longest(self) -> int:
        """How many items the longest had."""
        return max((len(whole) for _, whole in self._wholes), default=0)

    def thin(self, most: int) -> None:
        """Leave no more than so many items of each, and more keys than those of the conventions' objects."""
        for container, whole in self._wholes:
            if isinstance(container, list) and len(whole) > most:
                container[:] = _thinned_list(whole, most)
            elif isinstance(container, dict) and len(whole) > max(most, _MANY_KEYS):
                thinned = _thinned_dict(whole, max(most, _MANY_KEYS))
                container.clear()
                container.update(thinned)


def _copied(container: Container) -> Any:
    return container.copy()


def _thinned_list(items: list[Any], most: int) -> list[Any]:
    head, tail = _ends(items, most)
    note = f"[{len(items) - most:,} items left out]"
    last = head[-1]
    if not isinstance(last, dict):
        return [*head, f"{_GAP} {note}", *tail]
    if last.get("type") == "blob":  # the conventions allow it no other key
        return [*head, *tail]
    return [*head[:-1], {**last, _GAP: note}, *tail]


def _thinned_dict(entries: dict[str, Any], most: int) -> dict[str, Any]:
    head, tail = _ends([*entries.items()], most)
    return dict([*head, (_GAP, f"[{len(entries) - most:,} entries left out]"), *tail])


def _ends(items: list[Any], most: int) -> tuple[list[Any], list[Any]]:
    """Return the first and the last items, ``most`` together."""
    return items[: most - most // 2], items[len(items) - most // 2 :]
