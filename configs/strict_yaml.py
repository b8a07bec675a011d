"""YAML from files of unknown origin: the one reader of the package.

Plain values only, as PyYAML's safe loader makes them. Beyond that, a key is text and comes once in a
mapping, and what anchors, aliases and merge keys stand for is counted before any of it is built.
"""

from typing import Any, Final

import yaml
from yaml.composer import ComposerError
from yaml.error import Mark

from ssa_stream.texts import brief, unencodable

__all__ = ["MAX_BYTES", "parse_yaml"]

MAX_BYTES: Final = 2**20
"""Of a file; the largest honest configuration has a hundredth of it."""
_MAX_VALUES: Final = 100_000
_MAX_DEPTH: Final = 40
_TAGS: Final = "tag:yaml.org,2002:"
_KEY_TAGS: Final = (f"{_TAGS}str", f"{_TAGS}merge")


def parse_yaml(text: str) -> object:
    """Read YAML text strictly.

    Refused, beside what is no YAML: a key that comes twice in a mapping or is no text (`no`, `1`, `2026-01-01`), tags
    that ask for anything but plain values, more than 100,000 values or 40 levels after aliases are expanded, a value
    that contains itself, half of a surrogate pair.

    Args:
        text: One document.
    Raises:
        yaml.YAMLError: It is refused; says what is wrong with it, and where.
    """
    loader = _StrictLoader(text)
    try:
        value = loader.get_single_data()
    except (ValueError, KeyError, AttributeError, TypeError, OverflowError) as error:  # 2026-02-30, !!int x, !!bool x
        raise yaml.YAMLError(f"a value is not what it looks like or what its tag says ({brief(str(error))})") from error
    finally:
        loader.dispose()
    if (broken := unencodable(value)) is not None:
        raise yaml.YAMLError(f"it holds half of a surrogate pair, in {brief(broken)}")
    return value


class _StrictLoader(yaml.SafeLoader):
    """PyYAML's safe loader, which here counts values while it composes their nodes."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._count = 0
        self._extents: dict[yaml.Node, tuple[int, int]] = {}  # values and levels of each finished node

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node, or find the one that an alias stands for."""
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs lack its type
        is_alias = isinstance(event, yaml.AliasEvent)
        self._count += 1
        if self._depth >= _MAX_DEPTH or self._count > _MAX_VALUES:
            raise _refusal(f"it has more than {_MAX_DEPTH} levels or {_MAX_VALUES} values", event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is None:
            return None
        if not is_alias:
            self._extents[node] = _sum(node, self._extents)
        elif node not in self._extents:
            raise _refusal("a value contains itself", event.start_mark)
        values, levels = self._extents[node]
        if values > _MAX_VALUES or self._depth + levels > _MAX_DEPTH:
            raise _refusal(
                f"with its aliases expanded it has more than {_MAX_VALUES} values or {_MAX_DEPTH} levels",
                event.start_mark,
            )
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Compose a mapping whose keys are text and come once."""
        node = super().compose_mapping_node(anchor)
        keys: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _refusal("a key is a list or a mapping; expected plain text", key.start_mark)
            if key.tag not in _KEY_TAGS:
                raise _refusal(
                    f"the key {brief(key.value)} is of YAML's type {key.tag.removeprefix(_TAGS)} and no text; quote it "
                    f"where it is meant as text",
                    key.start_mark,
                )
            if (key.tag, key.value) in keys:
                raise _refusal(f"the key {brief(key.value)} comes twice in one mapping", key.start_mark)
            keys.add((key.tag, key.value))
        return node


def _sum(node: yaml.Node, extents: dict[yaml.Node, tuple[int, int]]) -> tuple[int, int]:
    """Values and levels of a node whose parts are finished."""
    if isinstance(node, yaml.MappingNode):
        parts = [extents[part] for pair in node.value for part in pair]
    else:
        parts = [extents[part] for part in node.value] if isinstance(node, yaml.SequenceNode) else []
    return 1 + sum(values for values, _ in parts), 1 + max((levels for _, levels in parts), default=0)


def _refusal(problem: str, mark: Mark) -> ComposerError:
    return ComposerError(None, None, problem, mark)
