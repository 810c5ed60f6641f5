"""The text of a record: what was trained, by what, and what came of it."""

import json
import math
import subprocess
from pathlib import Path


def git_revision():
    """The current commit, with "-modified" if tracked files differ, or "none"."""
    here = Path(__file__).resolve().parent
    run = lambda *words: subprocess.run(["git", *words], cwd=here, capture_output=True, text=True)
    done = run("rev-parse", "HEAD")
    if done.returncode:
        return "none"
    changed = run("status", "--porcelain", "--untracked-files=no").stdout.strip()
    return done.stdout.strip() + ("-modified" if changed else "")


def toml_value(value):
    """A scalar, list or flat table as TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {toml_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, float) and math.isinf(value):
        return "inf"
    return json.dumps(value)


def toml_text(record):
    return "".join(f"{key} = {toml_value(value)}\n" for key, value in record.items())
