"""The data that ships, and the folder that wins over it."""

from pathlib import Path

import numpy as np
import pytest

from grader import datasets
from grader.errors import AssignmentError


@pytest.mark.parametrize("name", datasets.NAMES)
def test_every_class_ships_equally_often(name: str) -> None:
    x, y = datasets.load(name)
    assert x.shape == (5000, 784)
    assert x.dtype == np.uint8
    assert np.bincount(y).tolist() == [500] * 10


@pytest.mark.parametrize("name", datasets.NAMES)
def test_the_first_rows_mix_the_classes(name: str) -> None:
    _, y = datasets.load(name)
    assert len(np.unique(y[:100])) == 10


@pytest.mark.parametrize("name", datasets.NAMES)
def test_the_pixels_are_images(name: str) -> None:
    x, _ = datasets.load(name)
    assert x.max() == 255
    assert x.min() == 0
    images = x.reshape(-1, 28, 28).astype(float)
    neighbours = np.abs(np.diff(images, axis=2)).mean()
    strangers = np.abs(images - images[::-1]).mean()
    assert neighbours < strangers  # a wrong width or order would lose the images' smoothness


def test_what_ships_stays_under_four_megabytes() -> None:
    assert sum(file.stat().st_size for file in datasets.SHIPPED.iterdir() if file.is_file()) < 4e6


@pytest.mark.parametrize("name", datasets.NAMES)
def test_a_licence_lies_beside_each_set(name: str) -> None:
    assert "Copyright" in (datasets.SHIPPED / f"{name}.LICENSE").read_text()


def test_a_configured_set_wins_and_the_other_still_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(
        tmp_path / "mnist.npz", x=np.full((3, 784), 7, np.uint8), y=np.arange(3, dtype=np.uint8)
    )
    monkeypatch.setenv("GRADE_DATA", str(tmp_path))
    assert datasets.datasets_dir() == tmp_path.resolve()
    assert datasets.load("mnist")[0].shape == (3, 784)
    assert datasets.load("fashion-mnist")[0].shape == (5000, 784)


def test_a_file_is_unpacked_once_and_again_after_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = []
    load_file = datasets.load_file
    monkeypatch.setattr(datasets, "load_file", lambda p: unpacked.append(p) or load_file(p))
    monkeypatch.setenv("GRADE_DATA", str(tmp_path))
    for count in (3, 4):
        np.savez(tmp_path / "mnist.npz", x=np.zeros((count, 784), np.uint8), y=np.zeros(count))
        datasets.load("mnist")[0][:] = 9  # a check may write into its arrays
        x, y = datasets.load("mnist")
        assert (x.shape, x.max(), len(y)) == ((count, 784), 0, count)
    assert len(unpacked) == 2


def test_a_configured_file_with_other_arrays_is_the_instructors_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "mnist.npz", images=np.zeros(3))
    monkeypatch.setenv("GRADE_DATA", str(tmp_path))
    with pytest.raises(AssignmentError, match="holds no arrays x and y"):
        datasets.load("mnist")


def test_a_configured_set_of_another_size_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "mnist.npz", x=np.zeros((3, 100), np.uint8), y=np.zeros(3, np.uint8))
    monkeypatch.setenv("GRADE_DATA", str(tmp_path))
    with pytest.raises(AssignmentError, match=r"expected uint8 \(n, 784\)"):
        datasets.load("mnist")


def test_an_unknown_set_names_those_that_there_are() -> None:
    with pytest.raises(AssignmentError, match="mnist, fashion-mnist"):
        datasets.load("cifar")
