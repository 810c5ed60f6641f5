"""Runs task.sh as a job array on HyperQueue, and waits for it.

    python on_hyperqueue.py --tasks 4 search journals/ 4 --network hefnet          on the server that `hq server start` began
    python on_hyperqueue.py --tasks 4 --local 2 search journals/ 4 ...              on a server and two workers of its own

Needs `pip install hyperqueue==0.27.0`. Threads of each task: --cores.
"""

import argparse
import os
import sys
from pathlib import Path

from hyperqueue import Client, Job, LocalCluster
from hyperqueue.cluster import WorkerConfig
from hyperqueue.task.task import ResourceRequest

TASK = Path(__file__).resolve().parent / "task.sh"


def run(client, args):
    """Submits the tasks, and says whether all of them succeeded."""
    job = Job()
    logs = Path(args.logs).resolve()
    logs.mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SPENCNN", "SPENCNN_HOME", "SPENCNN_DATA", "PYTHON") if name in os.environ}
    for number in range(1, args.tasks + 1):
        job.program(
            [str(TASK), *args.arguments],
            env={**kept, "TASK": str(number)},
            cwd=str(Path.cwd()),
            stdout=str(logs / f"task-{number}.out"),
            stderr=str(logs / f"task-{number}.err"),
            resources=ResourceRequest(cpus=args.cores),
        )
    return client.wait_for_jobs([client.submit(job)], raise_on_error=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, required=True, help="how many tasks")
    parser.add_argument("--cores", type=int, default=1, help="cores of each task")
    parser.add_argument("--local", type=int, metavar="WORKERS", help="start a server here, with so many workers of --cores cores")
    parser.add_argument("--logs", default="logs", help="folder for what tasks print")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="arguments of task.sh")
    args = parser.parse_args()
    if args.local is None:
        done = run(Client(), args)
    else:
        with LocalCluster() as cluster:
            for _ in range(args.local):
                cluster.start_worker(WorkerConfig(cores=args.cores))
            done = run(cluster.client(), args)
    if not done:
        sys.exit(f"some tasks failed: see {args.logs}/task-*.err; run this again to go on")


if __name__ == "__main__":
    main()
