"""The side of a library: sets itself up for one parameter set, then times primitives on request.

Reads the set as a line of JSON and answers with a line when the keys are there. Then it answers each line
`runs<TAB>primitive` with the milliseconds of every run, and each line `check<TAB>primitive` with the largest error of
a result once decrypted.
"""

import dataclasses
import json
import math
import sys
import time
import traceback
from typing import Any, Callable, Optional

import numpy

# Primitives that take longer are not run for nothing before each turn.
SLOW_MS = 80.0


class Unsupported(Exception):
    """Why a library cannot do a set."""


@dataclasses.dataclass
class Primitive:
    """Something to time, and how its result is checked."""

    # One run; takes what `prepare` made, if there is such a function.
    run: Callable[..., Any]
    # The numbers in a result.
    values: Callable[[Any], Any]
    # What the numbers should be.
    expected: Any
    # Base-2 logarithm of the scale of the result.
    log_scale: float
    # Makes what a run uses up. Not timed.
    prepare: Optional[Callable[[], Any]] = None

    def once(self):
        """Milliseconds of one run, and its result."""
        operands = () if self.prepare is None else (self.prepare(),)
        start = time.perf_counter_ns()
        result = self.run(*operands)
        return (time.perf_counter_ns() - start) / 1e6, result

    def error(self, result):
        """The largest error of a result."""
        found = numpy.asarray(self.values(result), dtype=float)[: len(self.expected)]
        return float(numpy.max(numpy.abs(found - self.expected)))


def values(setting):
    """A number for each slot, the same for all libraries."""
    return numpy.sin(0.7 * numpy.arange(1 << (setting["log_n"] - 1)))


def layer(numbers, count=9):
    """Expected result of a layer: each of `count` rotations (the first by none) times the same numbers, summed."""
    return numbers * sum(numpy.roll(numbers, -shift) for shift in range(count))


def serve(make):
    """Runs a worker; `make(set)` tells a description and a dictionary of primitives."""
    # Whatever a library prints must not end up among the answers.
    answers, sys.stdout = sys.stdout, sys.stderr

    def answer(value):
        print(json.dumps(value), file=answers, flush=True)

    try:
        description, primitives = make(json.loads(sys.stdin.readline()))
    except Unsupported as reason:
        answer({"error": str(reason)})
        return
    except Exception as error:  # Told to the other side, which goes on without this library.
        traceback.print_exc()
        answer({"error": f"{type(error).__name__}: {error}"})
        return
    answer({**description, "primitives": list(primitives)})
    latest = {}
    for line in sys.stdin:
        runs, name = line.rstrip("\n").split("\t")
        primitive = primitives[name]
        if runs == "check":
            latest[name], check = checked(name, primitive)
            answer({"checks": [check]})
            continue
        # What is slow does not stay in the caches from one run to the next anyway.
        if latest.get(name, 0.0) < SLOW_MS:
            primitive.once()
        # The result is freed after its time is taken.
        times = [primitive.once()[0] for _ in range(int(runs))]
        latest[name] = times[-1]
        answer({"names": [name], "times": [times], "share": 1})


def checked(name, primitive):
    """Milliseconds of a run, and the error of its result; a library that refuses has none, and says why."""
    check = {"name": name, "error": None, "log_scale": primitive.log_scale}
    try:
        milliseconds, result = primitive.once()
        error = primitive.error(result)
    except Exception as error:
        traceback.print_exc()
        return 0.0, {**check, "why": f"{error}".strip()}
    return milliseconds, {**check, "error": error if math.isfinite(error) else None}
