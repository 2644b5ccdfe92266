"""All benchmarks, one after the other: `make bench`, `make bench-quick`.

Makes an environment for each Python and for each of the others' tools under
build/bench-envs (once), runs the benchmarks in them, and the report at the
end.  A benchmark that fails or misses its goal does not stop the rest.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
FULL = ("save_to_live", "heap", "busy", "stops", "calls", "torn", "batch",
        "watching", "idle", "counts", "peers")
VERSIONS = ("3.11", "3.13")
ALSO_CALLS = ("3.12",)
ONCE = ("counts",)  # of the first Python only


def say(text):
    print(f"== {text}", flush=True)


def find_python(version):
    """A Python of that version: on PATH, or among pyenv's."""
    name = "python" + version
    candidates = [shutil.which(name)]
    pyenv = shutil.which("pyenv")
    if pyenv:
        root = subprocess.run([pyenv, "root"], capture_output=True, text=True)
        versions = os.path.join(root.stdout.strip(), "versions")
        if root.returncode == 0 and os.path.isdir(versions):
            for folder in sorted(os.listdir(versions), reverse=True):
                if folder.startswith(version + "."):
                    candidates.append(os.path.join(versions, folder, "bin", name))
    for path in candidates:
        if path and os.path.exists(path) and version_of(path) == version:
            return path
    return None


def version_of(python):
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def run(command, **options):
    return subprocess.run(command, **options).returncode == 0


def make_env(envs, name, python, *packages, requirement=None):
    """An environment with these packages; its Python, or None."""
    folder = os.path.join(envs, name)
    inside = os.path.join(folder, "bin", "python")
    if not os.path.exists(inside):
        say(f"environment {name}")
        if not run([python, "-m", "venv", folder]):
            return None
    stamp = os.path.join(folder, ".installed")
    if packages or requirement:
        wanted = "\n".join(packages) + (requirement or "")
        try:
            with open(stamp) as file:
                if file.read() == wanted and ROOT not in packages:
                    return inside
        except OSError:
            pass
        more = ["-r", requirement] if requirement else []
        pip = [inside, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        if not run([*pip, *packages, *more], stderr=subprocess.DEVNULL):
            return None
        with open(stamp, "w") as file:
            file.write(wanted)
    return inside


def build_floor(build):
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    binary = os.path.join(build, "floor")
    source = os.path.join(HERE, "floor.c")
    if compiler and run([compiler, "-O2", "-Wall", "-o", binary, source]):
        return binary
    say("no C compiler: the floor is not measured")
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="*", default=FULL, choices=FULL)
    parser.add_argument("--python", default=None, help="only this one")
    options = parser.parse_args()
    begin = time.monotonic()
    build = os.path.join(ROOT, "build")
    envs = os.path.join(build, "bench-envs")
    results = os.path.join(build if options.quick else HERE,
                           "bench-results" if options.quick else "results")
    os.makedirs(envs, exist_ok=True)
    os.makedirs(results, exist_ok=True)

    first = options.python or os.environ.get("PYTHON") or sys.executable
    pythons = {version_of(first): first}
    if not options.quick and options.python is None:
        for version in (*VERSIONS, *ALSO_CALLS):
            found = pythons.get(version) or find_python(version)
            if found:
                pythons[version] = found
            else:
                say(f"Python {version} was not found and is left out")
    floor = build_floor(build)
    draw = make_env(envs, "report", first,
                    requirement=os.path.join(HERE, "requirements.txt"))
    hosts = {}
    for version, python in pythons.items():
        hosts[version] = make_env(envs, f"hot_reload-{version}", python, ROOT)
        if hosts[version] is None:
            say(f"hot_reload could not be built for Python {version}")
    for name in options.only:
        for version, python in hosts.items():
            if python is None or (name in ONCE and python != hosts[version_of(first)]):
                continue
            if version in ALSO_CALLS and name != "calls" and len(hosts) > 1:
                continue
            arguments = ["--results", results, "--envs", envs]
            arguments += ["--quick"] if options.quick else []
            arguments += ["--floor", floor] if floor else []
            run([python, os.path.join(HERE, name + ".py"), *arguments])
            say(f"{time.monotonic() - begin:.0f} s")
    readme = [] if options.quick else ["--readme", os.path.join(ROOT, "README.md")]
    run([draw or first, os.path.join(HERE, "report.py"), results, *readme])
    say(f"done in {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
