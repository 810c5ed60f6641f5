"""Writing files that are either complete or not there."""

import os
from contextlib import contextmanager


@contextmanager
def replacing(path):
    """Yields the temporary path to write to, this process's own; it takes the place of `path` if nothing failed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    yield partial
    partial.replace(path)
