"""Takes turns between the libraries: each answers a few runs of a primitive, then the next library, and so on.

Before its first turn at a primitive, a library's result is decrypted and compared with what it should be; a wrong one is not
timed.
"""

import json
import statistics
import subprocess
import tempfile
import time

from tolerance import tolerance

# One turn of a library lasts about this long, or one run.
TURN_MS = 80.0
MAXIMUM_RUNS = 50
MAXIMUM_ROUNDS = 12


class Lost(Exception):
    """A worker ended before its time."""


class Worker:
    """A process that times on request. It waits without work between its turns."""

    def __init__(self, command, setting, environment):
        # A file, because nobody reads along: a full pipe would stop the worker.
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors, env=environment, text=True, bufsize=1)
        if setting:
            print(json.dumps(setting), file=self.process.stdin, flush=True)

    def wait(self):
        """Waits until the keys are there, or for the reason why not."""
        line = self.process.stdout.readline()
        self.description = json.loads(line) if line else {"error": self.last_words()}
        self.error = self.description.get("error")
        if self.error is not None:
            self.close()

    def ask(self, runs, primitive):
        """Milliseconds of each run of each part and how to report them, or with "check" for runs, errors of results."""
        try:
            print(f"{runs}\t{primitive}", file=self.process.stdin, flush=True)
            return json.loads(self.process.stdout.readline())
        except (OSError, ValueError) as error:
            raise Lost(f"ended at '{primitive}': {self.last_words()}") from error

    def last_words(self):
        self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().strip().splitlines()
        return lines[-1] if lines else f"no message, status {self.process.returncode}"

    def close(self):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            try:
                stream.close()
            except OSError:  # What was not sent yet has no reader any more.
                pass


def measure(workers, ours, setting, deadline, absent):
    """Times and checks by primitive and library, and the number of rounds.

    A library whose worker ends goes from `workers` to `absent`, with the reason.

    Every library takes its turn at a primitive before the next primitive comes, so that all see the same noise. There
    are at least two rounds; more while there is time.
    """
    peers = {name: set(w.description["primitives"]) for name, w in workers.items() if name != ours}
    wanted = set().union(*peers.values())
    # Ours names what it measures by several parts once, the parts as the others name them.
    requests = [p for p in workers[ours].description["primitives"]
                if any(name == p or name.startswith(f"{p}, ") for name in wanted)]
    answers, runs, checks, wrong = {}, {}, {}, set()
    rounds = 0
    slowest = 0.0
    while rounds < 2 or (rounds < MAXIMUM_ROUNDS and time.monotonic() + slowest < deadline):
        start = time.monotonic()
        for primitive in ["transform", *requests]:
            for library in list(workers):
                try:
                    for name in names(primitive, library, ours, peers):
                        if rounds == 0 and not right(workers[library], library, name, setting, checks):
                            wrong.add((library, name))
                        if (library, name) not in wrong:
                            take_turn(workers[library], (library, name), answers, runs)
                except Lost as reason:
                    if library == ours:
                        raise
                    workers.pop(library).close()
                    absent[library] = str(reason)
        rounds += 1
        if rounds > 1:
            slowest = max(slowest, time.monotonic() - start)
    result = {}
    for (library, _), answer in answers.items():
        for name, least, median, count in reported(answer):
            result.setdefault(name, {})[library] = {"min_ms": least, "median_ms": median, "runs": count}
    return result, checks, rounds


def right(worker, library, name, setting, checks):
    """Whether a library's result is what it should be; what was found goes to `checks`."""
    if name == "transform":
        return True
    good = True
    for found in worker.ask("check", name)["checks"]:
        allowed = tolerance(setting, found["name"], worker.description["log_scale"], found["log_scale"],
                            worker.description.get("rounding", 0.0))
        # What is not a number is not at most anything, and reaches us as nothing.
        error = found["error"]
        passed = error is not None and error <= allowed
        entry = {"error": error, "allowed": allowed, "passed": passed}
        if "why" in found:
            entry["why"] = found["why"]
        checks.setdefault(found["name"], {})[library] = entry
        good = good and passed
    return good


def take_turn(worker, key, answers, runs):
    """Asks for some runs of the primitive that `key` names, and adds them to its answers."""
    # How many fill a turn is unknown at first: one run tells.
    answer = worker.ask(runs.get(key, 1), key[1])
    turn = sum(statistics.median(times) for times in answer["times"])
    runs[key] = max(1, min(MAXIMUM_RUNS, int(TURN_MS / max(turn, 1e-6))))
    so_far = answers.setdefault(key, {**answer, "times": [[] for _ in answer["times"]]})
    for times, more in zip(so_far["times"], answer["times"]):
        times.extend(more)


def names(primitive, library, ours, peers):
    """What to ask a library for in the turn of a primitive of ours."""
    if library == ours:
        return [primitive]
    return sorted(n for n in peers[library] if n == primitive or (
        n.startswith(f"{primitive}, ") and n.endswith((", once", ", each"))))


def reported(answer):
    """Name, least, median, and number of runs of everything that an answer tells."""
    least = [min(times) for times in answer["times"]]
    median = [statistics.median(times) for times in answer["times"]]
    count = len(answer["times"][0])
    if "marginal" in answer:
        least, median = (split(pair, answer["marginal"]) for pair in (least, median))
    else:
        least, median = ([value / answer["share"] for value in values] for values in (least, median))
    return [(*parts, count) for parts in zip(answer["names"], least, median)]


def split(pair, count):
    """From the times of one and of `count` results: what is done once, and each further result."""
    first, everything = pair
    each = (everything - first) / (count - 1)
    return [first - each, each]
