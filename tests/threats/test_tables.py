"""Names and messages that a spreadsheet, an XML or a JSON reader would act upon."""

import json
from xml.etree import ElementTree

import pytest

MAX = 8.0

NAMES = ["=HYPERLINK(\"http:" + "evil\",\"x\")", "+cmd", "@SUM(1)", "-1+1", "a\tb", "a,b;c\"d'",
         "<!ENTITY x>", "]]>", "&amp;", "null", "NaN", "a\nb", "--seed", "{{7*7}}", "${HOME}",
         "%s%n", "' OR 1=1", "é́ñ 🎓", "con", "." * 30]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stays_a_name_in_json_and_xml(host, tmp_path, name):
    junit = tmp_path / "report.xml"
    path = host.right(name=name.replace("/", "_"))
    graded = host.grade(f"./{path.name}", options=["--junit", str(junit)])
    (submission,) = graded.report["submissions"]
    assert submission["score"] == MAX
    root = ElementTree.fromstring(junit.read_bytes())
    assert {case.get("classname").split(".")[0] for case in root.iter("testcase")} == {"toy"}
    assert [p.get("value") for p in root.iter("property") if p.get("name") == "score"] == ["8"]


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
