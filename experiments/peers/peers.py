"""Times this engine, OpenFHE, SEAL and Lattigo in turn, on one thread, and writes one table. See README.md."""

import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import environments
import report
from turns import Worker, measure

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OURS = "spencnn"
WORKERS = {"OpenFHE": "openfhe_worker.py", "SEAL": "seal_worker.py", "Lattigo": "lattigo_worker.py"}
# One thread each, asleep while it has nothing to do.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "OPENBLAS_NUM_THREADS": "1", "GOMAXPROCS": "1"}
# Shares of the time: the larger the set, the slower its keys and primitives.
WEIGHTS = {"A": 1, "B": 2, "C": 2, "D": 4, "E": 6, "F": 7}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=pathlib.Path,
                        default=pathlib.Path(tempfile.gettempdir()) / "spencnn-peers",
                        help="folder of the virtual environments")
    parser.add_argument("--python", action="append", default=[],
                        help="a Python to make environments with (may be given several times)")
    parser.add_argument("--sets", default="A,B,C,D,E,F", help="letters of the sets")
    parser.add_argument("--minutes", type=float, default=7.0, help="time for all sets together")
    parser.add_argument("--output", type=pathlib.Path, default=HERE.parent / "results" / "peers",
                        help="the results without their endings .md and .json")
    parser.add_argument("--resume", action="store_true",
                        help="keep the sets that an earlier run of the same program, machine and versions finished")
    parser.add_argument("--only-setup", action="store_true", help="make environments and build, no more")
    return parser.parse_args()


def build():
    """Builds the program that times ours; tells its path."""
    command = ["cargo", "build", "--release", "-p", "spencnn-engine", "--example", "primitive_times",
               "--message-format", "json-render-diagnostics"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    messages = map(json.loads, done.stdout.splitlines())
    return next(m["executable"] for m in messages
                if m.get("executable") and m["target"]["name"] == "primitive_times")


def git(*words):
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def revision():
    commit = git("rev-parse", "--short=12", "HEAD") or "unknown"
    changed = git("status", "--porcelain", "--untracked-files=no", "--", "engine", "experiments/peers")
    return f"{commit}-modified" if changed else commit


def cpu():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def run_set(setting, binary, pythons, seconds):
    """All times of one set, or what went wrong."""
    # Set-up counts too: the keys of the largest sets take their time.
    deadline = time.monotonic() + seconds
    environment = {**os.environ, **ONE_THREAD}
    workers, absent = {}, {}
    try:
        # Their keys are made at the same time; nothing is timed yet.
        workers[OURS] = Worker([binary, setting["name"]], None, environment)
        for library, python in pythons.items():
            workers[library] = Worker([str(python), str(HERE / WORKERS[library])], setting, environment)
        for library, worker in list(workers.items()):
            worker.wait()
            if worker.error is not None:
                absent[library] = worker.error
                del workers[library]
        if OURS not in workers:
            sys.exit(f"the program that times ours does not start: {absent[OURS]}")
        isa = workers[OURS].description["isa"]
        times, checks, rounds = measure(workers, OURS, setting, deadline, absent)
        versions = {name: w.description["version"] for name, w in workers.items() if name != OURS}
    finally:
        for worker in workers.values():
            worker.close()
    return {"set": setting, "isa": isa, "versions": versions, "absent": absent,
            "rounds": rounds, "times": times, "checks": checks}


def main():
    args = arguments()
    pythons, unavailable = {}, {}
    for library in WORKERS:
        try:
            pythons[library] = environments.prepare(library, args.environments, args.python)
        except environments.Unavailable as reason:
            unavailable[library] = str(reason)
            print(f"{library} is left out: {reason}", file=sys.stderr)
    binary = build()
    if args.only_setup:
        return
    settings = json.loads(subprocess.run([binary], capture_output=True, text=True, check=True).stdout)
    wanted = args.sets.split(",")
    settings = [setting for setting in settings if setting["name"] in wanted]
    result = {
        "command": f"python experiments/peers/peers.py --sets {args.sets} --minutes {args.minutes:g}",
        "cpu": cpu(),
        "revision": revision(),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "unavailable": unavailable,
        "sets": {},
    }
    if args.resume:
        result["sets"] = report.kept(args.output, result)
    settings = [setting for setting in settings if setting["name"] not in result["sets"]]
    deadline = time.monotonic() + 60 * args.minutes
    while settings:
        setting = settings.pop(0)
        weight = WEIGHTS.get(setting["name"], 4)
        share = weight / (weight + sum(WEIGHTS.get(s["name"], 4) for s in settings))
        print(f"set {setting['name']}", file=sys.stderr)
        seconds = (deadline - time.monotonic()) * share
        result["sets"][setting["name"]] = run_set(setting, binary, pythons, seconds)
        # After every set, so that an interrupted run leaves what it has.
        report.write(args.output, result)
    report.write(args.output, result)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted: the sets that finished are written, --resume goes on from there")
