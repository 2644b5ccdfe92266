"""Has cases run in a worker process; a crash is the fault of the case it ran.

After a crash, or a case that does not end, the rest runs in a new worker.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
#: seconds for all cases of one worker; each case has its own limit there
LIMIT = 280


def environment():
    """This process's module search path, for the worker as well."""
    path = [str(HERE.parent), *(entry for entry in sys.path if entry)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


def run(jobs):
    """What went wrong with each (case, way): a text, or None."""
    problems, rest = {}, list(jobs)
    while rest:
        done, crashed = run_worker(rest)
        problems.update(done)
        if crashed:
            job, text = crashed
            problems[job] = text
        rest = [job for job in rest if job not in problems]
    return problems


def run_worker(jobs):
    """({job: problem}, None or (job, how the worker ended in it))"""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        worker = subprocess.Popen(
            [sys.executable, "-m", "edits.worker"],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=err,
            env=environment(),
            text=True,
        )
        text = "".join(json.dumps(job) + "\n" for job in jobs)
        try:
            worker.communicate(text, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
        out.seek(0)
        err.seek(0)
        lines = [json.loads(line) for line in out if line.endswith("\n")]
        done = {jobs[n["end"]]: n["problem"] for n in lines if "end" in n}
        started = [jobs[n["start"]] for n in lines if "start" in n]
        if len(done) == len(jobs):
            return done, None
        # It ended before its first case, or between two: blame the next one.
        job = next((j for j in started if j not in done), None)
        job = job or next(j for j in jobs if j not in done)
        tail = err.read()[-6000:]
        return done, (job, f"the worker ended with {worker.returncode}:\n{tail}")
