"""A YAML file as plain values: constructs nothing, and stays as small as its text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from kcompile.errors import ConfigError
from kcompile.files import read_bytes
from kcompile.frontend.fields import Field

if TYPE_CHECKING:
    import yaml

_SIZE_LIMIT = 1 << 20


def read_yaml(path: Path) -> Field:
    """The document in ``path``; numbers may be written as text in it.

    Raises:
        ConfigError: it is no YAML, too large, or would construct objects.
        UsageError, StorageError: it is not there or cannot be read.
    """
    import yaml

    content = read_bytes(path)
    if len(content) > _SIZE_LIMIT:
        raise ConfigError(f"{len(content)} bytes are too many for a config", where=path)
    try:
        loader = cast(Any, yaml.SafeLoader(content.decode()))
        try:
            node = loader.get_single_node()
            _refuse_merges(node)
            value = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        place = "" if error.problem_mark is None else f" in line {error.problem_mark.line + 1}"
        raise ConfigError(
            f"{error.problem or error.context}{place}", where=path, hint="a config is plain YAML"
        ) from error
    except ConfigError as error:
        error.where = error.where or str(path)
        raise
    except (
        yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError,
        RecursionError,
    ) as error:  # fmt: skip
        # PyYAML lets Python's own errors out of wrong dates, numbers and tags.
        raise ConfigError("is not YAML", where=path, hint="a config is plain YAML") from error
    return Field(value, "", ConfigError, numbers_as_text=True)


def _refuse_merges(root: yaml.Node | None) -> None:
    """Refuses ``<<`` keys: each may double what it merges, so that a page fills the memory.

    Plain aliases are harmless: they name one object again.
    """
    import yaml

    seen: set[int] = set()
    waiting: list[Any] = [] if root is None else [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            if node.tag == "tag:yaml.org,2002:merge":
                raise ConfigError("it merges mappings with <<", hint="write their keys out")
        elif isinstance(node, yaml.MappingNode):
            waiting += [part for pair in cast(list[tuple[Any, Any]], node.value) for part in pair]
        else:
            waiting += cast(list[Any], node.value)
