"""Names and messages that a spreadsheet, an XML or a JSON reader would act upon."""

import json
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.any_user

MAX = 8.0

NAMES = ["=HYPERLINK(\"http:" + "evil\",\"x\")", "+cmd", "@SUM(1)", "-1+1", "a\tb", "a,b;c\"d'",
         "<!ENTITY x>", "]]>", "&amp;", "null", "NaN", "c\nd", "--seed", "{{7*7}}", "${HOME}",
         "%s%n", "' OR 1=1", "é́ñ 🎓", "con", "." * 30]  # fmt: skip


@pytest.fixture(scope="module")
def named(toy, tmp_path_factory):
    """The verdicts on right answers with such names, by name, and the JUnit file."""
    junit = tmp_path_factory.mktemp("named") / "report.xml"
    paths = [toy.right(name=name.replace("/", "_")) for name in NAMES]
    graded = toy.grade(*(f"./{path.name}" for path in paths), options=["--junit", str(junit)])
    return dict(zip(NAMES, graded.report["submissions"], strict=True)), junit


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stays_a_name_in_json(named, name):
    submission = named[0][name]
    assert submission["score"] == MAX
    # On one line, and with nothing taken out but what moves the cursor.
    assert submission["path"].split() == f"{name}.zip".split()


def test_names_stay_names_in_xml(named):
    root = ElementTree.fromstring(named[1].read_bytes())
    assert {case.get("classname").split(".")[0] for case in root.iter("testcase")} == {"toy"}
    scores = [p.get("value") for p in root.iter("property") if p.get("name") == "score"]
    assert scores == ["8"] * len(NAMES)
    suites = [suite.get("name").split() for suite in root.iter("testsuite")]
    assert suites == [f"{name}.zip".split() for name in NAMES]


def test_control_characters_stay_out_of_json_and_xml(host, tmp_path):
    junit = tmp_path / "report.xml"
    body = "raise ValueError('\\x00\\x0b\\ud800\\ufffe\\x1b[31m]]><failure/>')"
    graded = host.grade(host.right(mean_square=body, sigmoid=body), options=["--junit", str(junit)])
    assert graded["right"]["score"] == 3.0
    root = ElementTree.fromstring(junit.read_bytes())
    failures = [e for e in root.iter() if e.tag in ("failure", "error")]
    assert len(failures) == 3
    assert json.loads(json.dumps(graded.report, allow_nan=False)) == graded.report


def test_values_that_are_no_numbers_keep_every_number_of_the_report_finite(host):
    huge = "class T(float): pass\nreturn T('nan')"
    graded = host.grade(host.right(mean_square=huge, sigmoid="return np.inf"))
    text = json.dumps(graded.report, allow_nan=False)
    assert "Infinity" not in text
