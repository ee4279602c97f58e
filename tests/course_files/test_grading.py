"""A notebook runs with the course's files beside it, whatever was handed in by their names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import grader
from grader.batch import cache_key
from grader.records import Options
from grader.temporary import TemporaryFolder

from .conftest import CELLS, CHECKS, RIGHT, TABLE, TOML, notebook, write, write_course, zipped

pytestmark = pytest.mark.slow
TESTS = Path(__file__).parents[1]


@pytest.fixture
def graded(tmp_path):
    """Grade what was handed in, files by name; return its Result."""
    write_course(tmp_path)

    def run(files, **options):
        path = zipped(tmp_path / "hand-in.zip", files)
        return grader.grade([path], assignments=tmp_path / "reference", **options).results[0]

    return run


def kinds(result):
    return {note.kind for note in result.notes}


def test_a_single_notebook_runs_with_the_files(tmp_path):
    write_course(tmp_path)
    write(tmp_path, {"mine.ipynb": notebook()})
    report = grader.grade([tmp_path / "mine.ipynb"], assignments=tmp_path / "reference")
    assert (report.results[0].score, kinds(report.results[0])) == (2.0, {"wrong_name"})


@pytest.mark.parametrize("sandbox", ["auto", "none"])
def test_the_instructors_copies_are_laid_over_changed_ones_and_a_note_says_so(graded, sandbox):
    changed = {"lab_helpers.py": "rows = None", "data/table.csv": "7\n"}
    result = graded({"lab.ipynb": notebook(), **changed}, sandbox=sandbox)
    assert result.score == 2.0
    (note,) = [note for note in result.notes if note.kind == "changed_file"]
    assert note.message == ("data/table.csv, lab_helpers.py were changed: graded with the original")


def test_other_ends_of_lines_are_no_change(graded):
    given = {"data/table.csv": TABLE.replace("\n", "\r\n")}
    assert kinds(graded({"lab.ipynb": notebook(), **given})) == set()


def test_what_is_in_the_way_of_a_file_goes(graded):
    result = graded({"lab.ipynb": notebook(), "data": "x", "layers/dense.py/x.txt": "x"})
    assert result.score == 2.0


def test_the_files_lie_beside_a_notebook_in_a_folder(graded):
    result = graded({"hand-in/week 3/lab.ipynb": notebook(), "lab_helpers.py": "other"})
    assert result.score == 2.0


def test_a_students_own_modules_work_beside_the_notebook_and_in_folders(graded):
    own = {
        "mine/__init__.py": "",
        "mine/deep.py": "from .value import V\nfrom layers import scale\n",
        "mine/value.py": "V = 3.0\n",
        "loose.py": "import mine.deep as d\n\n\ndef f():\n    return d.scale(d.V)\n",
        "layers/more.py": "MORE = 1\n",
    }
    cells = "import loose\nfrom layers.more import MORE\n"
    result = graded({"lab.ipynb": notebook(cells, body="loose.f()"), **own})
    assert (result.score, kinds(result)) == (2.0, set())


def test_modules_are_found_after_the_notebook_went_to_another_folder(graded):
    later = (
        "import os\nos.makedirs('elsewhere', exist_ok=True)\nos.chdir('elsewhere')\n"
        "def mean_of_table():\n    import loose\n    return loose.f(open('../data/table.csv'))\n"
    )
    own = "def f(lines):\n    return 10 * sum(map(float, lines)) / 3\n"
    result = graded({"lab.ipynb": notebook(cells=[*CELLS, later]), "loose.py": own})
    assert result.score == 2.0


def test_the_courses_own_module_is_not_searched_for_what_is_forbidden(tmp_path):
    toml = TOML + '\n[rules]\nforbidden_calls = ["np.mean"]\ndeduction = 1.0\n'
    helpers = (
        "import numpy as np\n\n\ndef rows():\n    return ['1', '2', '6']\n\n\nmean = np.mean\n"
    )
    write_course(tmp_path, toml=toml, more={"lab_helpers.py": helpers})
    body = "10 * lab_helpers.mean([1, 2, 6])"
    hand_in = zipped(
        tmp_path / "a.zip", {"lab.ipynb": notebook(body=body), "lab_helpers.py": helpers}
    )
    result = grader.grade([hand_in], assignments=tmp_path / "reference").results[0]
    assert (result.score, kinds(result)) == (2.0, set())


SCRIPT = """\
import sys
from pathlib import Path
import grader
root = Path(sys.argv[1])
result = grader.grade([root / "a.zip"], assignments=root / "reference").results[0]
print(result.score, [note.message for note in result.notes])
"""


@pytest.mark.parametrize("ordinary", [False, True])
def test_a_large_file_is_read_through_a_link_and_cannot_be_changed(ordinary):
    """As root and as a user without rights; the file itself is for its owner's eyes alone."""
    # Not tmp_path: every pytest that starts closes its folder to other users again.
    with TemporaryFolder() as folder:
        _read_a_large_file(folder / "course", ordinary=ordinary)


def _read_a_large_file(tmp_path, *, ordinary):
    tmp_path.parent.chmod(0o755)
    large = os.urandom(1 << 20)
    folder = write_course(
        tmp_path,
        toml=TOML.replace('"layers/"', '"layers/", "large.bin"'),
        more={"large.bin": large},
    )
    attempts = (
        "import os\n"
        "islink, size = os.path.islink('large.bin'), len(open('large.bin', 'rb').read())\n"
        "real = os.path.realpath('large.bin')\n"
        "refused = 0\n"
        "for attempt in (lambda: open('large.bin', 'r+b'), lambda: os.chmod('large.bin', 0o666),\n"
        "                lambda: open(real, 'r+b'), lambda: os.chmod(real, 0o666),\n"
        "                lambda: open(os.path.dirname(real) + '/new', 'w'),\n"
        "                lambda: os.remove(real)):\n"
        "    try:\n        attempt()\n"
        "    except OSError:\n        refused += 1\n"
    )
    body = f"({RIGHT}) if (islink, size, refused) == (True, {1 << 20}, 6) else None"
    zipped(tmp_path / "a.zip", {"lab.ipynb": notebook(attempts, body=body)})
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    if ordinary:
        if os.geteuid() == 0:
            for path in [tmp_path, *tmp_path.rglob("*")]:
                os.chown(path, 54321, 54321)
        command.insert(1, str(TESTS / "ordinary_user.py"))
    (folder / "large.bin").chmod(0o600)
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout == "2.0 []\n", done.stderr
    assert (folder / "large.bin").read_bytes() == large


def test_a_changed_file_changes_what_a_kept_result_depends_on(tmp_path):
    folder = write_course(tmp_path)
    before = cache_key.key(Options(str(folder)), "here")
    write(folder, {"data/table.csv": "1\n"})
    assert cache_key.key(Options(str(folder)), "here") != before


PLACES = """
@pytest.mark.exercise("mean", points=0)
def test_place(student):
    with open({file!r}, "a") as file:
        file.write(student.place() + "\\n")
"""


def test_workers_share_one_copy_of_a_large_file(tmp_path):
    toml = TOML.replace('"layers/"', '"layers/", "large.bin"')
    places = tmp_path / "places.txt"
    checks = CHECKS + PLACES.format(file=str(places))
    more = {"large.bin": bytes(1 << 20), "test_lab.py": checks}
    write_course(tmp_path, toml=toml, more=more)
    cells = "import os\n\n\ndef place():\n    return os.path.realpath('large.bin')\n"
    (tmp_path / "class").mkdir()
    for name in "abcd":
        zipped(tmp_path / "class" / f"{name}.zip", {"lab.ipynb": notebook(cells)})
    command = [sys.executable, "-m", "grader", "class", "--jobs", "2"]
    done = subprocess.run(
        [*command, "--assignments", "reference"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = places.read_text().split()
    assert (len(told), len(set(told))) == (4, 1)
    assert not Path(told[0]).exists()
