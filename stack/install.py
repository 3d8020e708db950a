"""Makes `.venv` with the pinned dependencies and the package itself; a second run with nothing changed is instant.

It runs before anything is installed, on whatever Python the machine has, so it uses the standard library and
old syntax only: an old Python must be able to read this file in order to be told that it is too old.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".erpflow-installed"
CANDIDATES = ("python3.11", "python3.12", "python3.13", "python3.14", "python3")
PIP_TO_UV = (("index-url", "UV_DEFAULT_INDEX"), ("cert", "SSL_CERT_FILE"))
NOTHING = {}  # type: dict[str, str]
INPUTS = ("requirements.txt", "requirements.in", "pyproject.toml", "hatch_build.py", "stack/install.py")


def main() -> int:
    """Install what is missing; a status for the shell."""
    if sys.version_info < OLDEST:
        return _continue_with_a_newer_python()
    wanted = f"{ROOT}\n{fingerprint(ROOT)}\n"
    if VENV_PYTHON.exists() and _stamp() == wanted:
        return 0
    started = time.monotonic()
    try:
        uv = _venv_with_uv()
        _say("Installing the pinned dependencies into .venv ...")
        told = mirror_settings(dict(os.environ), _pip_configuration())
        _run([*uv, "pip", "install", "--quiet", "--compile-bytecode", "-r", "requirements.txt"], told=told)
        _run([*uv, "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--editable", "."], told=told)
    except InstallFailed as failure:
        _say(str(failure))
        return 1
    STAMP.write_text(wanted)
    _say(f"Installed in {time.monotonic() - started:.0f} s.")
    return 0


class InstallFailed(Exception):
    """The environment could not be made; the message says why and what to do."""


def fingerprint(root: Path) -> str:
    """A hash of everything the environment is made from."""
    digest = hashlib.sha256()
    for name in INPUTS:
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def _continue_with_a_newer_python() -> int:
    for name in CANDIDATES:
        path = shutil.which(name)
        if path and path != sys.executable and _is_new_enough(path):
            return subprocess.call([path, str(Path(__file__).resolve())])
    found = ".".join(str(part) for part in sys.version_info[:3])
    _say(
        f"erpflow needs Python 3.11 or newer; {sys.executable} is {found}, and no newer one is on PATH. "
        "Install one, or name it: make install PYTHON=/path/to/python3.11"
    )
    return 1


def _is_new_enough(python: str) -> bool:
    # A name on PATH proves nothing: version managers put names there that only print an error.
    code = f"import sys; sys.exit(sys.version_info < {OLDEST!r})"
    return subprocess.call([python, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0


def _venv_with_uv() -> "list[str]":
    """Make the virtual environment when needed and answer how to call the pinned uv for it."""
    if not _venv_works():
        _make_venv()
    pin = next(
        line.split()[0] for line in (ROOT / "requirements.txt").read_text().splitlines() if line.startswith("uv==")
    )
    if not _has_uv(pin):
        pip = [str(VENV_PYTHON), "-m", "pip"]
        if subprocess.call([*pip, "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) != 0:
            pip = [sys.executable, "-m", "pip", "--python", str(VENV_PYTHON)]
        _run([*pip, "install", "--quiet", "--disable-pip-version-check", pin])
    return [str(VENV_PYTHON), "-m", "uv"]


def _venv_works() -> bool:
    # The scripts of an environment name the folder it was made in, so a moved one has to be made again.
    moved = _stamp() and _stamp().split("\n")[0] != str(ROOT)
    return not moved and VENV_PYTHON.exists() and _is_new_enough(str(VENV_PYTHON))


def _stamp() -> str:
    return STAMP.read_text() if STAMP.is_file() else ""


def _make_venv() -> None:
    command = [sys.executable, "-m", "venv", "--clear"]
    if importlib.util.find_spec("ensurepip") is None:
        if importlib.util.find_spec("pip") is None:
            raise InstallFailed(
                f"{sys.executable} has neither pip nor ensurepip, so no virtual environment can be made. "
                "On Debian or Ubuntu: apt install python3-venv. Then run the same command again."
            )
        command.append("--without-pip")
    _run([*command, str(VENV)])


def _has_uv(pin: str) -> bool:
    try:
        answer = subprocess.run(
            [str(VENV_PYTHON), "-m", "uv", "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except OSError:
        return False
    return answer.returncode == 0 and answer.stdout.decode().split()[1] == pin.split("==")[1]


def mirror_settings(environment: "dict[str, str]", configured: "dict[str, str]") -> "dict[str, str]":
    """What uv must be told so that it asks the package index that pip asks; uv does not read pip's settings.

    `configured` is pip's configuration by key ("index-url").
    """
    told = {}
    for key, variable in PIP_TO_UV:
        value = environment.get("PIP_" + key.upper().replace("-", "_")) or configured.get(key)
        if value and variable not in environment:
            told[variable] = value
    return told


def _pip_configuration() -> "dict[str, str]":
    """What pip's configuration files say, by key without its section; nothing when pip cannot be asked."""
    asked = [str(VENV_PYTHON), "-m", "pip", "config", "list"]
    answer = subprocess.run(asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    lines = answer.stdout.decode(errors="replace").splitlines() if answer.returncode == 0 else []
    pairs = (line.partition("=") for line in lines if line.startswith(("global.", "install.")))
    return {key.split(".", 1)[1]: value.strip("'\"") for key, _, value in pairs}


def _run(command: "list[str]", *, told: "dict[str, str]" = NOTHING) -> None:
    environment = {**os.environ, **told, "VIRTUAL_ENV": str(VENV)}
    environment.pop("PYTHONHOME", None)
    status = subprocess.call(command, cwd=str(ROOT), env=environment)
    if status != 0:
        shown = " ".join(part.replace(str(ROOT) + os.sep, "") for part in command)
        raise InstallFailed(
            f"This step of the installation ended with status {status}: {shown}\n"
            "Its own message stands above. Check the network and the disk, then run the same command again; "
            "what is installed already is kept. To start over: rm -rf .venv"
        )


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
