"""`grade data import`: files as people have them, and what is refused."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from grader import cli, datasets
from grader.datasets.importing import import_set
from grader.datasets.known import CONTENTS, content_hash, find_content
from grader.errors import DataError
from grader.notebook import assembled
from grader.records import Cell, Limits
from grader.session import open_session


def idx(array: np.ndarray) -> bytes:
    """Return an IDX file of uint8: 0, 0, type 8, dimensions, the sizes, the bytes."""
    sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def csv(x: np.ndarray, y: np.ndarray, header: str = "", first: bool = False) -> bytes:
    rows = np.column_stack([y, x] if first else [x, y])
    text = "\n".join(",".join(map(str, row)) for row in rows.tolist())
    return f"{header}\n{text}\n".encode() if header else f"{text}\n".encode()


@pytest.fixture(scope="module")
def fashion() -> tuple[np.ndarray, np.ndarray]:
    """A content that is known: the set that ships."""
    return datasets.load("fashion-mnist")


@pytest.fixture
def two_parts(tmp_path: Path, fashion: tuple[np.ndarray, np.ndarray]) -> Path:
    """The set in four IDX files, as the real one comes."""
    x, y = fashion
    folder = tmp_path / "idx"
    folder.mkdir()
    for part, rows in (("train", slice(0, 4000)), ("t10k", slice(4000, None))):
        images = x[rows].reshape(-1, 28, 28)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images), 1))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(y[rows]))
    return folder


def few(n: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Some images of no known content: every class, another pixel in each."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (n, 784), dtype=np.uint8), np.arange(n, dtype=np.uint8) % 10


def imported(folder: Path, name: str = "mnist") -> tuple[np.ndarray, np.ndarray]:
    with np.load(folder / f"{name}.npz") as arrays:
        return arrays["x"], arrays["y"]


# --- what is read -------------------------------------------------------------------------


def test_four_idx_files_give_the_training_images_and_then_the_others(
    two_parts: Path, tmp_path: Path, fashion: tuple[np.ndarray, np.ndarray]
) -> None:
    # Sorted by name, the test images would come first.
    done = import_set("fashion-mnist", [two_parts], tmp_path / "sets")
    assert (done.done, done.rows) == ("written", 5000)
    assert done.content is not None and "ships" in done.content.what
    x, y = imported(tmp_path / "sets", "fashion-mnist")
    assert (x == fashion[0]).all()
    assert (y == fashion[1]).all()


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_a_csv_is_read_wherever_its_labels_stand(tmp_path: Path, header: bool, first: bool) -> None:
    x, y = few()
    names = [f"pixel{i}" for i in range(784)]
    line = ",".join(["label", *names] if first else [*names, "class"]) if header else ""
    file = tmp_path / "digits.csv.gz"
    file.write_bytes(gzip.compress(csv(x, y, line, first)))
    import_set("mnist", [file], tmp_path / "sets", allow_unknown=True)
    got = imported(tmp_path / "sets")
    assert (got[0] == x).all()
    assert (got[1] == y).all()


def test_an_npz_of_train_and_test_images_is_read(tmp_path: Path) -> None:
    x, y = few()
    images = x.reshape(-1, 28, 28)
    file = tmp_path / "mnist.npz"
    np.savez(file, x_train=images[:20], y_train=y[:20], x_test=images[20:], y_test=y[20:])
    import_set("mnist", [file], tmp_path / "sets", allow_unknown=True)
    assert (imported(tmp_path / "sets")[0] == x).all()


def test_floats_that_are_whole_numbers_are_pixels(tmp_path: Path) -> None:
    x, y = few()
    np.savez(tmp_path / "a.npz", x=x.astype(float), y=y.astype(float))
    import_set("mnist", [tmp_path / "a.npz"], tmp_path / "sets", allow_unknown=True)
    assert imported(tmp_path / "sets")[0].dtype == np.uint8


def test_an_import_read_again_is_the_same_content(tmp_path: Path) -> None:
    x, y = few()
    np.savez(tmp_path / "a.npz", x=x, y=y)
    done = import_set("mnist", [tmp_path / "a.npz"], tmp_path / "sets", allow_unknown=True)
    assert done.sha256 == content_hash(*datasets.load_file(done.path))


# --- what is refused ------------------------------------------------------------------------


def write_idx(folder: Path, images: bytes, labels: bytes) -> list[Path]:
    files = [folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"]
    for file, content in zip(files, (images, labels), strict=True):
        file.write_bytes(content)
    return files


X, Y = few()
IMAGES, LABELS = idx(X.reshape(-1, 28, 28)), idx(Y)


@pytest.mark.parametrize(
    ("images", "labels", "told"),
    [
        (IMAGES[:-1], LABELS, "is cut off: its header says 23520 bytes, but it has 23519"),
        (IMAGES + b"\0", LABELS, "is damaged: its header says 23520 bytes, but it has 23521"),
        (IMAGES[:9], LABELS, "it ends within its header"),
        (gzip.compress(IMAGES)[:-20], LABELS, "is cut off or damaged"),
        (IMAGES, idx(Y[:-1]), "has 30 images, but train-labels-idx1-ubyte has 29 labels"),
        (IMAGES, idx(Y + 10), "the labels must be whole numbers from 0 to 9"),
        (idx(X.reshape(-1, 14, 56)), LABELS, "images of 14 x 56 pixels"),
        (IMAGES, b"", "is empty"),
        (b"hello", LABELS, "neither IDX nor npz, nor a CSV of 785 columns"),
        (IMAGES, IMAGES, "has no labels"),
        (LABELS, LABELS, "has labels without images"),
        (IMAGES, LABELS, r"unknown content \(30 images, where the whole of MNIST has 70000"),
    ],
)
def test_idx_files_that_are_wrong_are_refused(
    tmp_path: Path, images: bytes, labels: bytes, told: str
) -> None:
    with pytest.raises(DataError, match=told):
        import_set("mnist", write_idx(tmp_path, images, labels), tmp_path / "sets")
    assert not (tmp_path / "sets").exists()


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"images": X}, "it must contain x and y, or x_train"),
        ({"x": X, "y": Y[:-1]}, r"pixels \(30, 784\), labels \(29,\)"),
        ({"x": X[:, :-1], "y": Y}, r"they must be \(n, 784\)"),
        ({"x": X / 255, "y": Y}, "the pixels must be whole numbers from 0 to 255"),
        ({"x": X * np.nan, "y": Y}, "the pixels must be whole numbers"),
        ({"x": X, "y": Y.astype(str)}, "the labels must be whole numbers"),
        ({"x": X, "y": np.array(list(Y), dtype=object)}, "not an npz file of plain arrays"),
    ],
)
def test_an_npz_with_other_arrays_is_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], told: str
) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=told):
        import_set("mnist", [tmp_path / "a.npz"], tmp_path / "sets", allow_unknown=True)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (csv(X * 0 + 5, Y).replace(b"5,", b"x,", 1), "can't be read as whole numbers"),
        (csv(X * 0 + 5, Y).replace(b"5,", b"70000,", 1), "can't be read as whole numbers"),
        (
            csv(np.column_stack([Y, X[:, 1:]]), Y),
            "it is not clear which column contains the labels",
        ),
        (csv(X, Y)[: len(csv(X, Y)) // 2], "can't be read as whole numbers"),
        (",".join(["a"] * 785).encode(), "contains no row of an image"),
    ],
)
def test_a_csv_that_is_wrong_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError, match=told):
        import_set("mnist", [tmp_path / "a.csv"], tmp_path / "sets", allow_unknown=True)


def test_the_content_of_another_set_is_refused_by_its_hash(two_parts: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not mnist: import it as fashion-mnist"):
        import_set("mnist", [two_parts], tmp_path / "sets", allow_unknown=True)


def test_a_changed_pixel_is_no_known_content(
    tmp_path: Path, fashion: tuple[np.ndarray, np.ndarray]
) -> None:
    x, y = fashion[0].copy(), fashion[1]
    x[77, 300] ^= 1
    np.savez(tmp_path / "a.npz", x=x, y=y)
    with pytest.raises(DataError, match="unknown content"):
        import_set("fashion-mnist", [tmp_path / "a.npz"], tmp_path / "sets")


def test_a_file_named_twice_is_refused(two_parts: Path, tmp_path: Path) -> None:
    labels = two_parts / "train-labels-idx1-ubyte"
    with pytest.raises(DataError, match="named twice"):
        import_set("fashion-mnist", [two_parts, labels], tmp_path / "sets")


def test_an_empty_folder_and_an_unknown_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="contains no IDX, npz or CSV file"):
        import_set("mnist", [tmp_path], tmp_path / "sets")
    with pytest.raises(DataError, match="there are mnist, fashion-mnist"):
        import_set("cifar", [tmp_path], tmp_path / "sets")


# --- what is there already ------------------------------------------------------------------


@pytest.fixture
def other(tmp_path: Path) -> Path:
    np.savez(tmp_path / "other.npz", x=X[::-1], y=Y[::-1])
    return tmp_path / "other.npz"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """A folder that holds a set."""
    np.savez(tmp_path / "first.npz", x=X, y=Y)
    import_set("mnist", [tmp_path / "first.npz"], tmp_path / "sets", allow_unknown=True)
    return tmp_path / "sets"


def test_the_same_content_is_left_as_it_is(there: Path, tmp_path: Path) -> None:
    before = (there / "mnist.npz").stat().st_mtime_ns
    done = import_set("mnist", [tmp_path / "first.npz"], there, allow_unknown=True)
    assert done.done == "there already"
    assert (there / "mnist.npz").stat().st_mtime_ns == before


def test_another_content_is_replaced_only_when_asked(there: Path, other: Path) -> None:
    with pytest.raises(DataError, match="--replace"):
        import_set("mnist", [other], there, allow_unknown=True)
    assert (imported(there)[1] == Y).all()
    done = import_set("mnist", [other], there, allow_unknown=True, replace=True)
    assert done.done == "replaced"
    assert (imported(there)[1] == Y[::-1]).all()


def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    there: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(DataError, match="can't be written: No space left on device"):
        import_set("mnist", [other], there, allow_unknown=True, replace=True)
    assert (imported(there)[1] == Y).all()
    assert [file.name for file in there.iterdir()] == ["mnist.npz"]


def test_every_account_may_read_what_was_written(there: Path) -> None:
    assert (there / "mnist.npz").stat().st_mode & 0o777 == 0o644


# --- hashes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", datasets.NAMES)
def test_what_ships_is_known_by_its_hash(name: str) -> None:
    content = find_content(content_hash(*datasets.load(name)))
    assert content is not None
    assert content.set_name == name
    assert "ships" in content.what


def test_each_known_content_has_a_hash_of_its_own() -> None:
    assert len({content.sha256 for content in CONTENTS}) == len(CONTENTS)
    assert {content.set_name for content in CONTENTS if content.rows == 70000} == {*datasets.NAMES}


# --- the command ----------------------------------------------------------------------------


def test_an_imported_set_is_shown_with_size_classes_hash_and_licence(
    two_parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setenv("GRADE_DATA", str(tmp_path / "sets"))
    assert cli.run(["data", "import", "fashion-mnist", str(two_parts)]) == 0
    assert capsys.readouterr().out.endswith(
        "written, 5000 images, the small Fashion-MNIST that ships, "
        "SHA-256 3e4733ae8450a2837c1f62ea9946542fde2197204feb158e5b790257ac34143a\n"
    )
    assert cli.run(["data"]) == 0
    shown = capsys.readouterr().out
    for part in (
        "fashion-mnist, imported\n",
        f"file      {tmp_path / 'sets' / 'fashion-mnist.npz'}\n",
        "images    5000 x 784, uint8\n",
        "classes   10, 500 images each\n",
        "SHA-256   3e4733ae8450a2837c1f62ea9946542fde2197204feb158e5b790257ac34143a\n",
        "licence   MIT, Zalando SE\n",
        "read by   fetch_openml('Fashion-MNIST'), datasets('fashion-mnist')\n",
        "fashion-mnist, ships with grade; not served, the other one is\n",
        "mnist, ships with grade\n",
        "grade data import mnist package/data\n",
    ):
        assert part in shown, part
    assert "grade data import fashion-mnist" not in shown


def test_a_broken_set_is_shown_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    (tmp_path / "mnist.npz").write_bytes(b"PK\x03\x04 and then nothing")
    monkeypatch.setenv("GRADE_DATA", str(tmp_path))
    assert cli.run(["data"]) == 2
    assert "problem   " in capsys.readouterr().out


def test_an_import_needs_a_folder_to_go_to(
    two_parts: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.delenv("GRADE_DATA", raising=False)
    assert cli.run(["data", "import", "fashion-mnist", str(two_parts)]) == 2
    assert "set $GRADE_DATA to one" in capsys.readouterr().err


def test_a_refused_import_is_one_line(two_parts: Path, tmp_path: Path, capsys) -> None:
    arguments = ["data", "import", "mnist", str(two_parts), "--to", str(tmp_path / "sets")]
    assert cli.run(arguments) == 2
    assert capsys.readouterr().err == (
        "grade: this is the small Fashion-MNIST that ships, not mnist: import it as fashion-mnist\n"
    )


def test_a_folder_that_is_not_configured_is_named_with_what_to_do(
    two_parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.delenv("GRADE_DATA", raising=False)
    folder = tmp_path / "my sets"
    assert cli.run(["data", "import", "fashion-mnist", str(two_parts), "--to", str(folder)]) == 0
    assert f"export GRADE_DATA='{folder}'" in capsys.readouterr().err


# --- a notebook that fetches it ---------------------------------------------------------------

FETCH = """
from sklearn.datasets import fetch_openml
bunch = fetch_openml('Fashion-MNIST')
seen = [list(bunch.data.shape), str(bunch.data.dtype), sorted(set(bunch.target)),
        float(bunch['data'][69999, 783]), bunch.details['id']]
del bunch
"""


def test_a_closed_in_notebook_fetches_the_whole_imported_set(tmp_path: Path) -> None:
    x = np.zeros((70000, 784), np.uint8)
    x[-1, -1] = 7
    np.savez(tmp_path / "a.npz", x=x, y=(np.arange(70000) % 10).astype(np.uint8))
    import_set("fashion-mnist", [tmp_path / "a.npz"], tmp_path / "sets", allow_unknown=True)
    with (
        open_session(
            assembled([Cell(0, "code", FETCH)], name="fetch.ipynb", metadata={}),
            folder=None,
            limits=Limits(),
            datasets_dir=tmp_path / "sets",
        ) as session,
        session.student(limit_s=20.0) as student,
    ):
        assert [cell.error for cell in session.run.cells] == [""]
        assert student.value("seen") == [
            [70000, 784],
            "float64",
            list("0123456789"),
            7.0,
            "40996",
        ]
