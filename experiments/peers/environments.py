"""Virtual environments with the libraries, one for each: their wheels need different versions of Python."""

import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent

# Name of the distribution, what shows that it works, and versions of Python that it has wheels for, the better one first.
# Of Orion only the shared library is used: its Python part would need PyTorch.
DISTRIBUTIONS = {
    "OpenFHE": ("openfhe", "import openfhe", ["3.10", "3.12"]),
    "SEAL": ("tenseal", "import tenseal.sealapi", ["3.11", "3.12", "3.13"]),
    "Lattigo": ("orion-fhe", "import lattigo; lattigo.load()", ["3.11", "3.12", "3.10"]),
}


class Unavailable(Exception):
    """Why a library cannot be used here."""


def prepare(library, folder, extra_pythons):
    """The Python of an environment that can import the library; made if it is not there yet."""
    distribution, trial, versions = DISTRIBUTIONS[library]
    reasons = []
    for version in versions:
        python = environment(distribution, trial, version, folder, extra_pythons, reasons)
        if python is not None:
            return python
    raise Unavailable("; ".join(reasons))


def environment(distribution, trial, version, folder, extra_pythons, reasons):
    home = folder / f"{distribution}-{version}"
    python = home / "bin" / "python"
    if failure_of(python, trial) is None:
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
         "--no-deps", "--only-binary", ":all:", *requirements],
    ]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True)
        if done.returncode != 0:
            reasons.append(f"Python {version}: {last_line(done.stderr)}")
            return None
    failure = failure_of(python, trial)
    if failure is not None:
        reasons.append(f"Python {version}: {failure}")
        return None
    return python


def failure_of(python, trial):
    """None if the code runs, else why not."""
    if not python.exists():
        return "no environment"
    done = subprocess.run([str(python), "-c", trial], cwd=HERE, capture_output=True, text=True)
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
