"""A fingerprint changes with all that a verdict depends on, and with nothing else."""

import os
from dataclasses import replace

import pytest

from grader.batch import cache_key
from grader.records import Options


def now(options):
    """The fingerprint of options here and now."""
    return cache_key.key(options, cache_key.environment())


@pytest.fixture
def folder(tmp_path):
    """A submission that is a folder."""
    made = tmp_path / "Meier_Ann"
    (made / "data").mkdir(parents=True)
    (made / "a.ipynb").write_text("{}")
    (made / "data" / "x.csv").write_text("1,2")
    return made


@pytest.fixture
def options(tmp_path):
    made = tmp_path / "reference" / "toy"
    (made / "samples").mkdir(parents=True)
    (made / "assignment.toml").write_text('id = "toy"')
    (made / "test_toy.py").write_text("pass")
    return Options(str(made))


def test_the_same_submission_in_another_place_has_the_same_fingerprint(tmp_path):
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "Meier_Ann.zip").write_bytes(b"PK")
    one, two = (cache_key.input_hash(tmp_path / place / "Meier_Ann.zip") for place in "ab")
    assert one == two != ""


def test_another_name_or_other_bytes_are_another_submission(tmp_path):
    file = tmp_path / "Meier_Ann.zip"
    file.write_bytes(b"PK1")
    before = cache_key.input_hash(file)
    file.write_bytes(b"PK2")
    other = cache_key.input_hash(file)
    named = cache_key.input_hash(file.rename(tmp_path / "Meier_Bea.zip"))
    assert len({before, other, named}) == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda f: (f / "a.ipynb").write_text("{ }"),
        lambda f: (f / "a.ipynb").rename(f / "b.ipynb"),
        lambda f: (f / "data" / "x.csv").write_text("1,3"),
        lambda f: (f / "data" / "y.csv").write_text(""),
        lambda f: (f / "data" / "x.csv").rename(f / "x.csv"),
        lambda f: (f / "data" / "x.csv").unlink(),
        lambda f: (f / "link").symlink_to("a.ipynb"),
    ],
)
def test_any_change_in_a_folder_changes_its_fingerprint(folder, change):
    before = cache_key.input_hash(folder)
    change(folder)
    assert cache_key.input_hash(folder) != before


def test_what_a_notebook_server_leaves_beside_the_work_changes_nothing(folder):
    before = cache_key.input_hash(folder)
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "a.ipynb").write_text("old")
    assert cache_key.input_hash(folder) == before


def test_what_can_not_be_read_or_is_far_too_large_has_no_fingerprint(tmp_path, monkeypatch):
    assert cache_key.input_hash(tmp_path / "missing.zip") == ""
    (tmp_path / "big.zip").write_bytes(b"x" * 100)
    monkeypatch.setattr(cache_key, "MAX_BYTES", 99)
    assert cache_key.input_hash(tmp_path / "big.zip") == ""


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(folder):
    os.mkfifo(folder / "pipe")
    os.mkfifo(folder.parent / "a.zip")
    assert cache_key.input_hash(folder) != ""
    assert cache_key.input_hash(folder.parent / "a.zip") == ""


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"only": ("a",)}, {"public": True}, {"sandbox": "none"}],
    ids=lambda change: next(iter(change)),
)
def test_options_that_change_a_verdict_change_the_circumstances(options, change):
    assert now(replace(options, **change)) != now(options)


def test_how_many_work_and_what_is_shown_changes_nothing(options):
    other = replace(options, kernels=9, evidence=False)
    assert now(other) == now(options)


@pytest.mark.parametrize("file", ["assignment.toml", "test_toy.py", "helper.py", "sub/data.npy"])
def test_every_file_of_an_assignment_counts(options, tmp_path, file):
    before = now(options)
    path = tmp_path / "reference" / "toy" / file
    path.parent.mkdir(exist_ok=True)
    path.write_text("changed")
    assert now(options) != before


def test_the_samples_of_an_assignment_do_not_count(options, tmp_path):
    before = now(options)
    (tmp_path / "reference" / "toy" / "samples" / "sum.toml").write_text("x")
    assert now(options) == before


def test_a_package_that_is_installed_or_updated_counts(options, tmp_path, monkeypatch):
    site = tmp_path / "site-packages"
    (site / "numpy-2.3.5.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(site))
    before = now(options)
    (site / "numpy-2.3.5.dist-info").rename(site / "numpy-2.3.6.dist-info")
    updated = now(options)
    (site / "seaborn-0.13.dist-info").mkdir()
    assert len({before, updated, now(options)}) == 3


def test_other_data_count(options, tmp_path, monkeypatch):
    before = now(options)
    (tmp_path / "mnist.npz").write_bytes(b"x")
    monkeypatch.setenv("GRADE_DATA", str(tmp_path))
    assert now(options) != before


def test_the_grader_s_own_code_counts_but_not_how_it_reports(options, tmp_path, monkeypatch):
    package = tmp_path / "grader"
    (package / "report").mkdir(parents=True)
    (package / "report" / "terminal.py").write_text("1")
    (package / "score.py").write_text("1")
    monkeypatch.setattr(cache_key.grader, "__file__", str(package / "__init__.py"))

    def fresh():
        cache_key.code.cache_clear()
        return now(options)

    try:
        before = fresh()
        (package / "report" / "terminal.py").write_text("2")
        assert fresh() == before
        (package / "score.py").write_text("2")
        assert fresh() != before
    finally:
        cache_key.code.cache_clear()
