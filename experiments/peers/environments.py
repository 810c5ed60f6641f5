"""Virtual environments with the libraries, one for each: their wheels need different versions of Python."""

import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent

# Name of the distribution, and versions of Python that it has wheels for, the better one first.
DISTRIBUTIONS = {
    "OpenFHE": ("openfhe", ["3.10", "3.12"]),
    "SEAL": ("tenseal", ["3.11", "3.12", "3.13"]),
}


class Unavailable(Exception):
    """Why a library cannot be used here."""


def prepare(library, folder, extra_pythons):
    """The Python of an environment that can import the library; made if it is not there yet."""
    distribution, versions = DISTRIBUTIONS[library]
    reasons = []
    for version in versions:
        python = environment(distribution, version, folder, extra_pythons, reasons)
        if python is not None:
            return python
    raise Unavailable("; ".join(reasons))


def environment(distribution, version, folder, extra_pythons, reasons):
    home = folder / f"{distribution}-{version}"
    python = home / "bin" / "python"
    if imports(python, distribution) is None:
        return python
    base = interpreter(version, extra_pythons)
    if base is None:
        reasons.append(f"no Python {version} found (name one with --python)")
        return None
    requirements = [
        line for line in (HERE / "requirements.txt").read_text().splitlines()
        if line.startswith((distribution, "numpy"))
    ]
    steps = [
        [base, "-m", "venv", "--clear", str(home)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         "--only-binary", ":all:", *requirements],
    ]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True)
        if done.returncode != 0:
            reasons.append(f"Python {version}: {last_line(done.stderr)}")
            return None
    failure = imports(python, distribution)
    if failure is not None:
        reasons.append(f"Python {version}: {failure}")
        return None
    return python


def imports(python, module):
    """None if the module can be imported, else why not."""
    if not python.exists():
        return "no environment"
    done = subprocess.run([str(python), "-c", f"import {module}"], capture_output=True, text=True)
    return None if done.returncode == 0 else last_line(done.stderr)


def last_line(text):
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else "failed without a message"


def interpreter(version, extra):
    """A Python of the version wanted: among those named, this one, on the path, or pyenv's."""
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv"))
    candidates = [*extra, sys.executable, shutil.which(f"python{version}")]
    candidates += sorted(str(p) for p in pyenv.glob(f"versions/{version}.*/bin/python"))
    question = "import sys; print('%d.%d' % sys.version_info[:2])"
    for candidate in filter(None, candidates):
        # A shim may exist without the version behind it.
        done = subprocess.run([candidate, "-c", question], capture_output=True, text=True)
        if done.returncode == 0 and done.stdout.strip() == version:
            return candidate
    return None
