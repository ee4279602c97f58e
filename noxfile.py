"""The jobs of this project: `nox` runs what each change must pass, `nox -s NAME` one of them.

`nox --list` says what each is for. Every job makes an environment of its own.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import tomllib
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "docs", "wheel", "tests", "slow", "threats"]

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
# A test process of threads and kernels of its own keeps more than one core busy.
SIDE_BY_SIDE = ("-n", "3", "-p", "no:cacheprovider")
# As CONTRIBUTING.md names it.
FAST = (
    *("tests/notebook", "tests/assignment", "tests/checks", "tests/diagnosis", "tests/report"),
    "tests/test_score.py",
)


def install(session: nox.Session, extras: str = "dev") -> None:
    session.install("-e", f".[{extras}]")


def compile_once(session: nox.Session) -> None:
    """Grade once, and write bytecode: else hundreds of commands compile what they import."""
    with tempfile.TemporaryDirectory() as outside:
        # No bytecode of checks is left among the assignments. This one needs no environment of its
        # own, which a new machine would have to build first.
        copy = shutil.copytree("reference/pw02", Path(outside, "pw02"))
        session.run(
            *("grade", *map(str, sorted(copy.glob("*.ipynb")))),
            *("--assignments", outside, "--assignment", "pw02", "--json", os.devnull),
            env={"PYTHONDONTWRITEBYTECODE": "", "GRADE_RESULTS": "none"},
            silent=True,
        )


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types, and stubs that are up to date."""
    install(session)
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy")
    session.run("grade", "stubs", "--check")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the README's test command."""
    install(session)
    compile_once(session)
    session.run("pytest", *SIDE_BY_SIDE, *session.posargs)


@nox.session(python=PYTHONS, name="pythons")
def pythons(session: nox.Session) -> None:
    """Run the README's test command with each Python that is there."""
    install(session)
    compile_once(session)
    session.run("pytest", *SIDE_BY_SIDE, *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """Run the tests that take long: whole courses, browsers, clusters, documentation followed."""
    install(session)
    compile_once(session)
    session.run("pytest", "-m", "slow", *SIDE_BY_SIDE, *session.posargs)


@nox.session
def threats(session: nox.Session) -> None:
    """Run the hostile submissions; for root, what sandboxes them as an ordinary user as well."""
    install(session)
    compile_once(session)
    session.env["GRADE_BROWSER"] = "required"
    session.run("pytest", "tests/threats", *SIDE_BY_SIDE, *session.posargs)
    if os.getuid() == 0:
        # Without root, what sandboxes a kernel begins with a user namespace.
        session.run(
            *("python", "tests/ordinary_user.py", "-m", "pytest", *SIDE_BY_SIDE),
            *("-m", "not slow and not any_user", "tests/threats"),
            "tests/session/test_fork_server.py",
        )


@nox.session
def coverage(session: nox.Session) -> None:
    """Print which branches of the grader's own process the fast set reaches, no kernel started."""
    install(session)
    # Not in the repository; nox's own folder for such files would become everybody's $TMPDIR.
    session.env["COVERAGE_FILE"] = str(Path(session.virtualenv.location) / "coverage")
    measured = ("--cov=grader", "--cov-branch", "--cov-report=")
    session.run("pytest", *SIDE_BY_SIDE, *measured, *(session.posargs or FAST))
    session.run("coverage", "report", "--skip-covered", "--sort=cover")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error, and nothing is fetched."""
    install(session, "docs")
    session.run("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "build/docs")


@nox.session
def torch(session: nox.Session) -> None:
    """Run what needs PyTorch: its tests, and the samples of the assignment that uses it."""
    install(session, "dev,torch")
    session.run(
        "pytest", "tests/test_torch.py", "tests/courses/test_hw1.py", "-m", "slow or not slow"
    )
    session.run("grade", "verify", "hw1", "--samples-only")


@nox.session
def verify(session: nox.Session) -> None:
    """Validate every assignment, mutants and all seeds: an hour and more."""
    install(session, "dev,torch")
    session.run("grade", "verify", *session.posargs)


@nox.session
def minimums(session: nox.Session) -> None:
    """Run the tests with the oldest versions that pyproject.toml admits."""
    declared = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    oldest = [
        requirement.split(",")[0].replace(">=", "==") for requirement in declared["dependencies"]
    ]
    install(session)
    session.install(*oldest)
    compile_once(session)
    session.run("pytest", *SIDE_BY_SIDE, *session.posargs)


@nox.session
def mutants(session: nox.Session) -> None:
    """Break the grader itself, module by module, and list what its own tests don't notice."""
    install(session)
    session.run("python", "tests/mutants/run.py", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzz what reads students' bytes, for half an hour: `-- --seconds 120` for two minutes."""
    install(session)
    # Where there is no wheel of it, Hypothesis searches alone.
    session.install("-e", ".[fuzz]", success_codes=[*range(256)])
    session.run("python", "tests/fuzz/run.py", *(session.posargs or ["--seconds", "1800"]))


@nox.session
def wheel(session: nox.Session) -> None:
    """Try the wheel alone: outside of the repository, with nothing but what it brings."""
    out = Path(session.virtualenv.location) / "dist"
    shutil.rmtree(out, ignore_errors=True)
    session.install("build", "pytest")
    session.run("python", "-m", "build", "--wheel", "--outdir", str(out), ".")
    (built,) = out.glob("numgrade-*.whl")
    session.install(
        "--reinstall" if session.venv_backend == "uv" else "--force-reinstall", str(built)
    )
    session.env["GRADE_WHEEL"] = str(built.resolve())
    # Outside of the repository, whose `reference/` is found from every folder below it.
    with tempfile.TemporaryDirectory() as outside:
        session.run(
            *("pytest", "-q", "-c", os.devnull, "--noconftest", "--basetemp", f"{outside}/tests"),
            "tests/wheel",
        )
