"""The side of a library: sets itself up for one parameter set, then times primitives on request.

Reads the set as a line of JSON, answers with a line when the keys are there, and then answers each line
`runs<TAB>primitive` with the milliseconds of every run.
"""

import json
import sys
import time
import traceback


class Unsupported(Exception):
    """Why a library cannot do a set."""


def serve(make):
    """Runs a worker; `make(set)` tells a description and a dictionary of primitives without arguments."""
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
    for line in sys.stdin:
        runs, name = line.rstrip("\n").split("\t")
        run = primitives[name]
        run()
        times = []
        for _ in range(int(runs)):
            start = time.perf_counter_ns()
            result = run()
            times.append((time.perf_counter_ns() - start) / 1e6)
            # Freeing the result is not timed.
            del result
        answer({"names": [name], "times": [times], "share": 1})
