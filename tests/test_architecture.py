"""Who may import what: the picture in the README, held to the source."""

import ast
from pathlib import Path

import pytest

import grader

ROOT = Path(grader.__file__).parent

# A module, or a whole folder, and the modules of ours that it may import.
ALLOWED = {
    "closing.py": set(),
    "errors.py": set(),
    "files.py": set(),
    "text.py": set(),
    "records.py": set(),
    "plugins.py": {"errors", "records"},
    # Of the notebook stage it needs what tells one notebook from another.
    "submission": {"errors", "records", "notebook", "submission"},
    "notebook": {"errors", "records", "notebook"},
    "toml_files.py": {"errors"},
    "assignment": {
        "errors",
        "records",
        "notebook",
        "authoring",
        "assignment",
        "datasets",
        "toml_files",
    },
    "authoring": {"errors", "records", "notebook", "assignment", "authoring"},
    "datasets": {"errors", "datasets"},
    # What becomes of results: it reads records, and grades nothing.
    "gradebook": {"errors", "records", "text", "files", "toml_files", "gradebook"},
    "score.py": {"errors", "records"},
    "evidence.py": {"records", "notebook"},
    "not_filled_in.py": {"records", "notebook"},
    # All the stages but the way in and out: what hands it submissions is the pipeline.
    "grading.py": {
        "batch",
        "building_on",
        "derivation",
        "errors",
        "evidence",
        "not_filled_in",
        "notebook",
        "records",
        "rule_checks",
        "score",
        "session",
        "submission",
        "suite",
        "temporary",
        "tracing",
    },
    # What a failing check asks is asked again, and what came back is named: no verdict in it.
    "tracing.py": {"diagnosis", "errors", "records", "session", "suite"},
    # A check runs once more, with the solved notebook's answers for another exercise's function.
    "building_on.py": {"notebook", "records", "session", "stand_ins", "suite"},
    "stand_ins.py": {"errors", "records", "session", "suite"},
    "explaining.py": {"batch", "diagnosis", "errors", "records"},
    "checks": {"errors", "checks", "diagnosis"},
    "derivation": {"records", "notebook", "derivation", "temporary"},
    "diagnosis": {"errors", "diagnosis"},
    "in_kernel": {"in_kernel"},
    "temporary.py": set(),
    # What an assignment asks for is built, found and told; what runs in it is the session's.
    "environments": {"errors", "records", "environments"},
    "session": {
        "errors",
        "records",
        "text",
        "temporary",
        "in_kernel",
        "session",
        "notebook",
        "datasets",
        "environments",
    },
    "report": {"errors", "records", "report"},
    # An assignment and this very package, in one file for another system.
    "packing": {"__init__", "assignment", "errors", "packing", "records", "report"},
    # What people judge: kept beside the results, shown with the notebooks, tried in sessions.
    "review": {
        "assignment",
        "batch",
        "datasets",
        "environments",
        "errors",
        "gradebook",
        "new_sample",
        "notebook",
        "records",
        "report",
        "review",
        "score",
        "session",
        "submission",
        "temporary",
    },
    # What is kept from one run to the next. Its program, above the pipeline, is the command's.
    "warm": {
        "__init__",
        "assignment",
        "cli",
        "datasets",
        "environments",
        "errors",
        "in_kernel",
        "records",
        "session",
        "suite",
        "warm",
    },
    # It moves submissions and results about; what becomes of them only its worker knows.
    # Of the assignment and `session` it needs the process that all kernels are forked from.
    # `diagnosis` tells what tables of known mistakes are, which it keeps.
    # `in_kernel` has what ties a process to the one that started it.
    "batch": {
        "in_kernel",
        "errors",
        "records",
        "text",
        "temporary",
        "submission",
        "assignment",
        "datasets",
        "batch",
        "session",
        "diagnosis",
        "environments",
    },
}
# They import nothing of ours, and every module may use them.
EVERYWHERE = {"closing", "text", "files"}
# What the student's process runs is all in one folder.
STANDALONE = {"in_kernel", "errors.py", "records.py", "text.py", "files.py"}
# The program of a worker process: it runs the pipeline.
ABOVE_THE_PIPELINE = {
    "__init__.py",
    "batch/worker.py",
    "grading_class.py",
    "pipeline.py",
    "warm/process.py",
}
# What runs in the student's process, and what instructors use anywhere, stays light.
THIRD_PARTY = {
    "derivation": {"mpmath", "latex2mathml"},
    "checks": {"numpy"},
    "diagnosis": {"numpy"},
    "in_kernel/agent.py": set(),
    "in_kernel/protocol.py": {"numpy"},
    "in_kernel/operations.py": {"numpy", "torch"},
    "in_kernel/printing.py": set(),
    "in_kernel/codec": {"numpy"},
}


def modules_of(place: str) -> list[Path]:
    path = ROOT / place
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def imports(path: Path, *, at_top_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if at_top_only else ast.walk(tree)
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            if node.module == "grader":
                names |= {f"grader.{alias.name}" for alias in node.names}
            else:
                names.add(node.module or "")
    return names


@pytest.mark.parametrize("place", sorted(ALLOWED))
def test_a_stage_imports_only_what_lies_before_it(place):
    for module in modules_of(place):
        if module.relative_to(ROOT).as_posix() in ABOVE_THE_PIPELINE:
            continue
        ours = {name.split(".")[1] for name in imports(module) if name.startswith("grader.")}
        ours -= EVERYWHERE if place not in STANDALONE else set()
        assert ours <= ALLOWED[place], f"{module.relative_to(ROOT)} imports {ours - ALLOWED[place]}"


@pytest.mark.parametrize("place", sorted(THIRD_PARTY))
def test_checks_and_the_agent_need_numpy_alone(place):
    import sys

    for module in modules_of(place):
        roots = {name.split(".")[0] for name in imports(module)} - {"grader", ""}
        foreign = roots - set(sys.stdlib_module_names) - THIRD_PARTY[place]
        assert not foreign, f"{module.relative_to(ROOT)} imports {foreign}"


def test_torch_is_imported_where_a_tensor_is_asked_for_and_nowhere_else():
    for module in ROOT.rglob("*.py"):
        assert "torch" not in imports(module, at_top_only=True), module.name


def test_only_the_command_and_what_stands_above_it_see_the_pipeline():
    for module in ROOT.rglob("*.py"):
        place = module.relative_to(ROOT)
        if place.parts[0] in {"cli", "verify"} or place.as_posix() in ABOVE_THE_PIPELINE:
            continue
        assert "grader.pipeline" not in imports(module), module


def test_there_is_no_drawer_for_odds_and_ends():
    names = {path.stem for path in ROOT.rglob("*.py")}
    assert not names & {"utils", "util", "helpers", "common", "misc"}
