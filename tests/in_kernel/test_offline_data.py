"""fetch_openml in a process of its own, as a notebook calls it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SOURCES = str(Path(__file__).parents[2])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny mnist.npz; image i holds the value i everywhere and is of class i."""
    folder = tmp_path_factory.mktemp("sets")
    x = np.repeat(np.arange(4, dtype=np.uint8)[:, None], 784, axis=1)
    np.savez(folder / "mnist.npz", x=x, y=np.arange(4, dtype=np.uint8))
    return folder


def run(folder: Path, code: str) -> str:
    """Return what code prints after install(folder), in a fresh interpreter with no network use."""
    program = (
        f"import sys; sys.path.insert(0, {SOURCES!r})\n"
        "from grader.in_kernel import offline_data\n"
        f"FOLDER = {str(folder)!r}\n"
        "offline_data.install(FOLDER)\n" + code
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_install_imports_no_scikit_learn(folder: Path) -> None:
    assert run(folder, "print('sklearn' in sys.modules)") == "False"


def test_a_notebook_gets_floats_and_classes_as_text(folder: Path) -> None:
    code = """
from sklearn.datasets import fetch_openml
x, y = fetch_openml('mnist_784', data_home='data', return_X_y=True, version=1)
print(x.dtype, x.shape, x[2, 0], y.tolist(), y.dtype)
"""
    assert run(folder, code) == "float64 (4, 784) 2.0 ['0', '1', '2', '3'] object"


def test_every_way_to_name_it_gives_the_same(folder: Path) -> None:
    code = """
import sklearn.datasets._openml
ways = [
    sklearn.datasets.fetch_openml('MNIST_784'),
    sklearn.datasets.fetch_openml(data_id=554),
    sklearn.datasets.fetch_openml(name='mnist_784', as_frame=False, parser='liac-arff'),
    sklearn.datasets._openml.fetch_openml('mnist_784', cache=False),
]
print([bool(way.data.sum() == 784 * 6) for way in ways])
"""
    assert run(folder, code) == "[True, True, True, True]"


def test_a_function_imported_before_the_installation_is_replaced_in_its_module(
    folder: Path,
) -> None:
    code = """
sys.meta_path.pop(0)
import sklearn.datasets
offline_data.install(FOLDER)
from sklearn.datasets import fetch_openml
print(len(fetch_openml('mnist_784').data))
"""
    assert run(folder, code) == "4"


def test_every_call_gives_arrays_of_its_own(folder: Path) -> None:
    code = """
from sklearn.datasets import fetch_openml
first = fetch_openml('mnist_784').data
first /= 255
print(fetch_openml('mnist_784').data.max())
"""
    assert run(folder, code) == "3.0"


def test_the_whole_bunch_is_there_by_key_and_by_attribute(folder: Path) -> None:
    code = """
from sklearn.datasets import fetch_openml
b = fetch_openml('mnist_784')
print(sorted(b), b.feature_names[783], b['target_names'], b.details['id'], b.frame, b.url)
"""
    assert run(folder, code) == (
        "['DESCR', 'categories', 'data', 'details', 'feature_names', 'frame', 'target',"
        " 'target_names', 'url'] pixel784 ['class'] 554 None https://www.openml.org/d/554"
    )


def test_frames_come_where_they_are_asked_for(folder: Path) -> None:
    pytest.importorskip("pandas")
    code = """
from sklearn.datasets import fetch_openml
b = fetch_openml('mnist_784', as_frame=True)
print(b.data.shape, b.frame.shape, b.target.name, b.target.dtype, b.frame['class'][3])
"""
    assert run(folder, code) == "(4, 784) (4, 785) class category 3"


def test_a_set_that_the_folder_lacks_comes_from_those_that_ship(folder: Path) -> None:
    code = """
from sklearn.datasets import fetch_openml
print(fetch_openml('Fashion-MNIST').data.shape, fetch_openml(data_id='40996').target.shape)
"""
    assert run(folder, code) == "(5000, 784) (5000,)"


def test_the_old_name_gives_numbers(folder: Path) -> None:
    code = """
from sklearn.datasets import fetch_mldata
b = fetch_mldata('MNIST original', data_home='.')
print(b.data.dtype, b['target'].tolist())
"""
    assert run(folder, code) == "uint8 [0.0, 1.0, 2.0, 3.0]"


def test_what_needs_the_network_says_what_is_served(folder: Path) -> None:
    code = """
import sklearn.datasets as d
for fetch in (lambda: d.fetch_openml('titanic'), lambda: d.fetch_california_housing()):
    try:
        fetch()
    except OSError as error:
        print("serves 'mnist_784' (data_id 554) and 'Fashion-MNIST'" in str(error))
"""
    assert run(folder, code).split() == ["True", "True"]


def test_the_sets_of_scikit_learn_itself_load_as_ever(folder: Path) -> None:
    code = "from sklearn.datasets import load_digits\nprint(load_digits().data.shape)"
    assert run(folder, code) == "(1797, 64)"


def test_a_second_installation_changes_the_folder(folder: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "mnist.npz", x=np.zeros((9, 784), np.uint8), y=np.zeros(9, np.uint8))
    code = f"""
finders = len(sys.meta_path)
offline_data.install({str(tmp_path)!r})
print(len(sys.meta_path) - finders)
from sklearn.datasets import fetch_openml
print(len(fetch_openml('mnist_784').data))
offline_data.install(FOLDER)
from sklearn.datasets import fetch_openml
print(len(fetch_openml('mnist_784').data))
"""
    assert run(folder, code).split() == ["0", "9", "4"]
