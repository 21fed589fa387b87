"""Make the virtual environment that the Makefile's targets run in, if it is missing or stale.

Needs nothing but Python: `python3 -m venv`, then pip. A stamp inside the environment remembers what it was made
from; while that is unchanged, this script looks once and leaves (which is why it imports so little).

    python3 scripts/bootstrap.py                     what `flexsms` needs to run
    python3 scripts/bootstrap.py --dev               and what tests, lint and the benchmark need on top
    python3 scripts/bootstrap.py --cluster           what `make test-cluster` needs, with flexsms from its wheel
    python3 scripts/bootstrap.py --venv .venv-3.12   somewhere else than .venv
    python3 scripts/bootstrap.py --find 3.14 3.13    says where the first of these is, nothing if none of them runs
"""

# Whatever `python3` is on a machine has to get as far as saying that it is too old: no newer syntax up here.
import glob
import os
import shutil
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 14)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# The kinds of environment: what each is for, and the requirement files that it is made from. Every kind includes `run`.
KINDS = {
    "run": ("what it runs on", ["requirements.txt", "requirements-sandbox.txt"]),
    "dev": ("run-time and development tools", ["requirements-dev.txt", "requirements-kinesis.txt"]),
    "cluster": (
        "what a distributed Airflow runs on",
        ["requirements-cluster.txt", "requirements-celery.txt", "requirements-kinesis.txt"],
    ),
}


def fail(message):
    sys.stderr.write("flexsms: " + message + "\n")
    sys.exit(1)


def find(version):
    """An interpreter of that version which really runs: on PATH, or one that pyenv keeps. None if there is none.

    pyenv puts a python3.12 on PATH for every version it has, and it fails unless that version is also switched on.
    """
    pyenv = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    kept = glob.glob(os.path.join(pyenv, "versions", version + ".*", "bin", "python" + version))
    for path in [shutil.which("python" + version), *sorted(kept, reverse=True)]:
        if path:
            probe = [path, "-c", "import ensurepip, venv"]
            if subprocess.call(probe, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0:
                return path
    return None


def find_a_fitting_python():
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        path = find("3.%d" % minor)
        if path:
            return path
    return None


def requirements(kind):
    """The requirement files of an environment."""
    files = KINDS["run"][1]
    return files if kind == "run" else files + KINDS[kind][1]


def fingerprint(kind):
    """What the environment depends on. Tool settings in pyproject.toml are not part of it."""
    import hashlib
    import json
    import tomllib

    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        pyproject = tomllib.load(file)
    parts = [pyproject["build-system"], pyproject["project"], pyproject["tool"]["setuptools"]]
    digest = hashlib.sha256(json.dumps([sys.version, ROOT, parts], sort_keys=True).encode())
    for name in ["constraints.txt", *requirements(kind)]:
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def create(venv):
    """A fresh environment, unless there is one of this very Python already."""
    python = os.path.join(venv, "bin", "python")
    ask = [python, "-c", "import pip, sys; print(sys.version)"]
    try:
        if subprocess.check_output(ask, stderr=subprocess.DEVNULL, text=True).strip() == sys.version.strip():
            return
    except (OSError, subprocess.CalledProcessError):
        pass
    if os.path.lexists(venv):
        shutil.rmtree(venv)
    print(
        "flexsms: creating %s with Python %d.%d.%d" % ((os.path.relpath(venv, ROOT), *sys.version_info[:3]))
    )
    made = subprocess.run([sys.executable, "-m", "venv", venv], capture_output=True, text=True, check=False)
    if made.returncode:
        shutil.rmtree(venv, ignore_errors=True)
        fail(
            "python3 -m venv failed. On Debian and Ubuntu, install the package python3-venv and try again.\n"
            + made.stdout
            + made.stderr
        )


def install(venv, kind):
    """pip, with one line that moves instead of several hundred; the whole story is in pip.log."""
    command = [os.path.join(venv, "bin", "python"), "-m", "pip", "install", "--disable-pip-version-check"]
    for name in requirements(kind):
        command += ["-r", name]
    command += ["-c", "constraints.txt"]
    if kind != "cluster":
        command += ["-e", "."]
    with open(os.path.join(ROOT, "constraints.txt")) as file:
        expected = sum("==" in line for line in file)
    print("flexsms: installing %s (a minute or two)" % KINDS[kind][0])
    tty, seen = sys.stdout.isatty(), 0
    log_path = os.path.join(venv, "pip.log")
    with open(log_path, "w") as log:
        pip = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        for line in pip.stdout:
            log.write(line)
            if line.startswith(("Collecting ", "Requirement already satisfied: ")):
                seen += 1
                if tty:
                    print("\r  looked at %d of about %d packages" % (seen, expected), end="", flush=True)
                elif seen % 50 == 0:
                    print("  looked at %d of about %d packages" % (seen, expected), flush=True)
            elif line.startswith("Installing collected packages"):
                print(("\n" if tty else "") + "  unpacking", flush=True)
    if pip.wait():
        with open(log_path) as log:
            tail = "".join(log.readlines()[-15:])
        fail(
            "pip could not install the requirements; its last words (all of them: %s):\n%s" % (log_path, tail)
        )
    # The installed metadata says the same. With these beside it, on the path of an editable installation, Airflow would
    # find every entry point twice and report the plugin as registered already.
    shutil.rmtree(os.path.join(ROOT, "include", "flexsms.egg-info"), ignore_errors=True)


def install_the_wheel(venv):
    """flexsms as users get it, always anew; out of a copy, because building leaves files behind."""
    import tempfile

    skip = shutil.ignore_patterns("__pycache__", "*.egg-info")
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(os.path.join(ROOT, "include"), os.path.join(copy, "include"), ignore=skip)
        for name in [
            "pyproject.toml",
            "README.md",
            "LICENSE",
            *glob.glob("requirements*.txt", root_dir=ROOT),
        ]:
            shutil.copy(os.path.join(ROOT, name), copy)
        command = [os.path.join(venv, "bin", "python"), "-m", "pip", "install", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--force-reinstall", copy]
        if subprocess.call(command):
            fail("pip could not build and install the wheel of flexsms")


def main(arguments):
    if "--find" in arguments:
        paths = map(find, arguments[arguments.index("--find") + 1 :])
        print(next(filter(None, paths), ""))
        return
    kind = "dev" if "--dev" in arguments else "cluster" if "--cluster" in arguments else "run"
    venv = os.path.join(ROOT, arguments[arguments.index("--venv") + 1] if "--venv" in arguments else ".venv")
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        other = find_a_fitting_python()
        if other is None:
            fail(
                "this is Python %d.%d, and Python 3.11, 3.12, 3.13 or 3.14 is needed (say which with make PYTHON=…)."
                % sys.version_info[:2]
            )
        os.execv(other, [other, os.path.abspath(__file__), *arguments])

    make(venv, kind)
    if kind == "cluster":
        install_the_wheel(venv)


def make(venv, kind):
    """The environment, unless it is there and nothing has changed since."""
    stamps = {one: os.path.join(venv, ".flexsms-" + one) for one in KINDS}

    def fresh():
        # Every environment with flexsms includes the run-time one, so its stamp stands for both.
        for one in [other for other in KINDS if other != "cluster"] if kind == "run" else [kind]:
            try:
                with open(stamps[one]) as file:
                    if file.read() == fingerprint(one):
                        return True
            except OSError:
                pass
        return False

    if fresh():
        return
    import fcntl

    os.makedirs(os.path.join(ROOT, ".cache"), exist_ok=True)
    with open(os.path.join(ROOT, ".cache", "bootstrap.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two targets started at once: the second waits and finds it done
        if fresh():
            return
        create(venv)
        for stamp in stamps.values():
            if os.path.exists(stamp):
                os.remove(stamp)
        install(venv, kind)
        with open(stamps[kind], "w") as file:
            file.write(fingerprint(kind))


if __name__ == "__main__":
    main(sys.argv[1:])
