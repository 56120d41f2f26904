"""Whether what the cache holds of a data set is whole."""

from __future__ import annotations

from kcompile.errors import DataError
from kcompile.tasks.data.images import IMAGE_SETS, load_images
from kcompile.tasks.data.sources import Source
from kcompile.tasks.data.tables import load_table


def damage(source: Source) -> str | None:
    """What is wrong with a set that is in the cache, which is read as a task reads it; or None.

    Raises:
        StorageError: a file cannot be read.
    """
    try:
        if source.name in IMAGE_SETS:
            load_images(source.name)
        else:
            load_table(source.name)
    except DataError as error:
        return f"{error.where}: {error.message}"
    return None
