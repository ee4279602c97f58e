"""What `files` in assignment.toml may name, and what students get of it."""

import pytest

from grader import cli
from grader.assignment import load_assignment
from grader.errors import AssignmentError

from .conftest import HELPERS, LAYERS, TABLE, TOML, notebook, write, write_course

NAMES = ["data/table.csv", *sorted(LAYERS), "lab_helpers.py"]


def load(root, files, **more):
    toml = TOML.replace('["data/*.csv", "lab_helpers.py", "layers/"]', files)
    return load_assignment(write_course(root, toml=toml, **more))


def test_globs_modules_and_folders_name_the_files(tmp_path):
    assignment = load_assignment(write_course(tmp_path))
    assert list(assignment.files) == sorted(NAMES)
    assert assignment.files["data/table.csv"].read_text() == TABLE


def test_what_programs_left_in_a_folder_is_no_file_of_it(tmp_path):
    left = {"layers/__pycache__/dense.pyc": "x", "layers/.hidden": "x", "layers/old.pyc": "x"}
    assert sorted(load(tmp_path, '["layers/"]', more=left).files) == sorted(LAYERS)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ('["data/*.txt"]', r"'data/\*.txt' matches no file in .*lab"),
        ('["lab_helper.py"]', "matches no file .* did you mean 'lab_helpers.py'"),
        ('["../other.py"]', "leaves the assignment's folder"),
        ('["/etc/hosts"]', "leaves the assignment's folder"),
        ('["data\\\\table.csv"]', "leaves the assignment's folder"),
        ('["hidden/"]', "hidden/answers.py, which is hidden, so it stays with you"),
        ('["samples/*"]', "which is a sample"),
        ('["*.py"]', "matches test_lab.py, which is a check file"),
        ('["*.ipynb"]', "matches lab.ipynb, which is a solved notebook"),
        ('["assignment.toml"]', "which is the assignment itself"),
        ('["data/out.csv"]', "a link that leaves the folder"),
        ('[""]', "must be a text that is not empty"),
    ],
)
def test_a_pattern_that_cannot_be_meant_is_told(tmp_path, files, told):
    more = {"hidden/answers.py": "X = 1", "samples/one.toml": ""}
    folder = write_course(tmp_path, more=more)
    (tmp_path / "secret.csv").write_text("1")
    (folder / "data/out.csv").symlink_to(tmp_path / "secret.csv")
    toml = TOML.replace('["data/*.csv", "lab_helpers.py", "layers/"]', files)
    (folder / "assignment.toml").write_text(toml)
    with pytest.raises(AssignmentError, match=told):
        load_assignment(folder)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GRADE_ASSIGNMENTS", raising=False)
    write_course(tmp_path)
    return tmp_path


def test_students_get_the_files_beside_the_notebook_and_in_their_checks(here, capsys):
    assert cli.run(["stubs"]) == 0
    given = here / "student_templates/lab"
    for name in NAMES:
        original = (here / "reference/lab" / name).read_bytes()
        assert (given / name).read_bytes() == (given / "checks/files" / name).read_bytes()
        assert (given / name).read_bytes() == original
    assert list(load_assignment(given / "checks").files) == sorted(NAMES)
    # Public checks import it: it stands in checks/files once.
    assert not (given / "checks/lab_helpers.py").exists()
    assert cli.run(["stubs", "--check"]) == 0


def test_a_file_that_no_longer_goes_out_is_removed_unless_somebody_changed_it(here):
    assert cli.run(["stubs"]) == 0
    write(here / "reference/lab", {"assignment.toml": TOML.replace('"data/*.csv", ', "")})
    given = here / "student_templates/lab"
    (given / "lab_helpers.py").write_text("mine")
    assert cli.run(["stubs"]) == 0
    assert not (given / "data/table.csv").exists()
    write(here / "reference/lab", {"assignment.toml": TOML.replace('"lab_helpers.py", ', "")})
    (given / "lab_helpers.py").write_text("mine")
    assert cli.run(["stubs"]) == 0
    assert (given / "lab_helpers.py").read_text() == "mine"
    assert not (given / "checks/files/lab_helpers.py").exists()


def test_a_module_with_a_solved_gap_does_not_go_out(here, capsys):
    gap = "def f():\n    ### START YOUR CODE ###\n    return 42\n    ### END YOUR CODE ###\n"
    write(here / "reference/lab", {"lab_helpers.py": HELPERS + gap})
    assert cli.run(["stubs"]) == 2
    assert "lab_helpers.py, line" in capsys.readouterr().err
    assert not (here / "student_templates").exists()


def test_a_new_assignment_takes_along_what_its_notebook_opens_and_imports(tmp_path, capsys):
    cells = "x = np.load('weights.npy')\nimport my_solutions\nopen('out.txt', 'w')\n"
    source = {"lab.ipynb": notebook(cells), "lab_helpers.py": HELPERS, "data/table.csv": TABLE}
    more = {"my_solutions.py": "A = 1", "unused.csv": "1"}
    write(tmp_path / "mine", source | LAYERS | more)
    to = tmp_path / "reference"
    command = ["new", "lab", "--from", str(tmp_path / "mine/lab.ipynb"), "--assignments", str(to)]
    assert cli.run(command) == 0
    assert sorted(load_assignment(to / "lab").files) == sorted(NAMES)
    told = capsys.readouterr().err
    assert "! lab.ipynb, cell 0: it opens weights.npy, which is not beside the notebook" in told
    assert "! lab.ipynb, cell 0: my_solutions.py may hold answers" in told
    assert "out.txt" not in told
    assert "unused" not in told


def test_a_module_that_is_called_as_a_check_file_goes_out_and_is_none(tmp_path, capsys):
    """EPFL's sheets import `test` of test_utils.py; a notebook may even be called utils.ipynb."""
    cells = "from test_utils import test\nfrom layers_todo import *\nassert scale(2.0) == 1.0\n"
    helper = "def test(f):\n    f()\n"
    solved = "def g():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION\n"
    source = {"utils.ipynb": notebook(cells), "test_utils.py": helper, "layers_todo.py": solved}
    write(tmp_path / "mine", source)
    to = tmp_path / "reference"
    command = ["new", "lab", "--from", str(tmp_path / "mine/utils.ipynb")]
    assert cli.run([*command, "--assignments", str(to)]) == 0
    loaded = load_assignment(to / "lab")
    assert (loaded.folder / "test_utils.py").read_text() == helper
    assert sorted(loaded.files) == ["layers_todo.py", "test_utils.py"]
    assert [path.name for path in loaded.check_files] == ["test_utils_checks.py"]
    told = capsys.readouterr().err
    assert "! layers_todo.py holds solutions, and students get it unchanged" in told
    assert "import *" not in told  # its names are the student's


def test_a_file_with_a_check_in_it_is_a_check_file_even_where_files_names_it(tmp_path):
    check = "import pytest\n@pytest.mark.exercise('mean', points=1)\ndef test_x(student): pass\n"
    with pytest.raises(AssignmentError, match="which is a check file"):
        load(tmp_path, '["test_more.py"]', more={"test_more.py": check})
