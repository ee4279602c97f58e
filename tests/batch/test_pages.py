"""The pages about batches and clusters, followed to the letter."""

import copy
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest

from grader.notebook import replace_region

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
BATCHES, CLUSTERS = (
    (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("batches.md", "clusters.md")
)
WRONG = "    return sigmoid(z) * (2 - sigmoid(z))\n"
PAIR = "Mueller_Anna- Rossi_Luca.zip"


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


@pytest.fixture
def collector(tmp_path):
    """The folder that the page speaks of: submissions/, and what comes late."""
    (tmp_path / "reference").symlink_to(ROOT / "reference")
    right = nbformat.read(ROOT / "reference" / "pw02" / "sigmoid.ipynb", as_version=4)
    wrong = copy.deepcopy(right)
    for n, cell in enumerate(wrong.cells):
        if cell.cell_type == "code":
            changed = replace_region(cell.source, "sigmoid_prime", WRONG, cell=n)
            cell.source = changed or cell.source
    submissions, late = tmp_path / "submissions", tmp_path / "late"
    for file, made in (
        (submissions / "Curie_Marie- Noether_Emmy.zip", right),
        (submissions / PAIR, wrong),
        (late / PAIR, right),
    ):
        file.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("sigmoid.ipynb", nbformat.writes(made))
    whole = (late / PAIR).read_bytes()
    (submissions / "Turing_Alan.zip").write_bytes(whole[: len(whole) // 2])
    return tmp_path


def run(command, collector):
    """What it prints; progress, on standard error, has no order."""
    environment = dict(
        os.environ,
        PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        GRADE_RESULTS=str(collector / "results.sqlite"),
        COLUMNS="100",
        NO_COLOR="1",
        LC_ALL="C.UTF-8",
    )
    environment.pop("GRADE_ASSIGNMENTS", None)
    done = subprocess.run(
        ["bash", "-c", command], cwd=collector, env=environment, capture_output=True, text=True,
        timeout=400,
    )  # fmt: skip
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "2026-11-21 16:58", done.stdout)


def test_the_page_about_batches_leads_through_two_runs_of_a_class(collector):
    followed = 0
    for block in blocks(BATCHES, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            assert run(command, collector).strip("\n") == output.strip("\n"), command
            followed += 1
    assert followed == 9


def test_the_manifest_is_a_cluster_whose_service_finds_its_scheduler():
    yaml = pytest.importorskip("yaml")
    (text,) = blocks(CLUSTERS, "yaml")
    made = yaml.safe_load(text)
    assert (made["apiVersion"], made["kind"]) == ("kubernetes.dask.org/v1", "DaskCluster")
    scheduler = made["spec"]["scheduler"]
    ports = {port["name"] for port in scheduler["spec"]["containers"][0]["ports"]}
    assert {port["targetPort"] for port in scheduler["service"]["ports"]} <= ports
    assert scheduler["service"]["selector"]["dask.org/cluster-name"] == made["metadata"]["name"]


def test_the_script_for_slurm_is_python():
    (script,) = blocks(CLUSTERS, "python")
    compile(script, "docs/clusters.md", "exec")


@pytest.mark.parametrize(
    "said",
    [
        "no dask scheduler answers at",
        "no dask worker is at",
        "has another version of grade: install this one for all",
        "can't grade (",
        "has ended, or gave the work up",
        "are done and kept; the same command goes on",
    ],
)
def test_the_messages_that_the_page_quotes_are_the_command_s(said):
    assert said in CLUSTERS
    sources = [
        (ROOT / "grader" / "batch" / f"{name}.py").read_text() for name in ("cluster", "collector")
    ]
    assert said in "".join(sources)


def test_the_commands_of_dask_that_the_page_shows_have_these_options():
    pytest.importorskip("distributed")
    named = set(re.findall(r"dask (scheduler|worker) (.*)", CLUSTERS))
    for kind in ("scheduler", "worker"):
        options = {o for k, rest in named if k == kind for o in re.findall(r"--[a-z-]+", rest)}
        help_text = subprocess.run(
            [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--help"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert {o for o in options - {"--dask"} if o not in help_text} == set()
