"""survivors.toml: what `grade verify --write-survivors` adds to it."""

import tomllib

from grader.verify.explanations import draft_explanations
from grader.verify.mutants import Mutant
from grader.verify.verdicts import MutantVerdict


def survivor(name, notebook="toy.ipynb", explanation=""):
    mutant = Mutant(name, notebook, "f", "flipped sign", 1, 2, "def f(): ...\n")
    return MutantVerdict(mutant, "survived", explanation=explanation)


def test_each_unexplained_survivor_is_added_once_and_has_to_be_explained(tmp_path):
    found = [survivor('f: "a" -> `b\\c`'), survivor("g: + -> -", "other.ipynb")]
    assert draft_explanations(tmp_path, found) == 2
    assert draft_explanations(tmp_path, found) == 0
    assert tomllib.loads((tmp_path / "survivors.toml").read_text()) == {
        "toy.ipynb": {'f: "a" -> `b\\c`': ""},
        "other.ipynb": {"g: + -> -": ""},
    }


def test_what_somebody_wrote_stays_comments_too(tmp_path):
    path = tmp_path / "survivors.toml"
    path.write_text('# Mine.\n["toy.ipynb"]\n"f: 1" = "both layouts are right"  # so\n')
    explained = survivor("f: 1", explanation="both layouts are right")
    assert draft_explanations(tmp_path, [explained, survivor("f: 2")]) == 1
    text = path.read_text()
    assert text.startswith("# Mine.\n")
    assert '"f: 1" = "both layouts are right"  # so\n' in text
    assert tomllib.loads(text)["toy.ipynb"] == {"f: 1": "both layouts are right", "f: 2": ""}


def test_where_nothing_survives_no_file_is_written(tmp_path):
    assert draft_explanations(tmp_path, []) == 0
    assert not (tmp_path / "survivors.toml").exists()
