"""What is printed without end is cut, and what moves a terminal's cursor is shown as harmless text:
in the terminal, in JSON, JUnit and HTML."""

import json
import os
import pty
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.any_user

MAX = 8.0
HALF = 5.0
KIB = 2**10

# In a cell; `output_mib` is 1.
FLOODS = {
    "1 GiB": "for _ in range(1024): print('x' * 2**20, end='')",
    "1 GiB at once": "print('x' * 2**30)",
    "ten million lines": "for _ in range(10**7): print()",
    "ten million lines at once": "print('\\n' * 10**7)",
    "without end": "while True: print('x' * 10**6)",
    "without end, to errors": "import sys\nwhile True: print('x' * 10**6, file=sys.stderr)",
    "past Python": "import os\nblock = b'x' * 2**20\nfor _ in range(1024): os.write(1, block)",
    "from a child": "import os\nos.system('yes | head -c 1000000000')",
    "from a child, by the kernel": "!yes | head -c 1000000000",
    "a hundred thousand pictures": (
        "from IPython.display import display, HTML\n"
        "for n in range(10**5): display(HTML(f'<p>{n}</p>'))"
    ),
    "one picture of 200 MiB": (
        "from IPython.display import display\n"
        "display({'image/png': 'A' * (200 << 20), 'text/plain': ''}, raw=True)"
    ),
    "a value of 100 MiB": "'x' * (100 << 20)",
    "an error of 100 MiB": "raise ValueError('x' * (100 << 20))",
    "an error of a million lines": "raise ValueError('x\\n' * 10**6)",
    "warnings": "import warnings\nfor n in range(10**5): warnings.warn(f'{n}' * 100)",
    "messages of widgets": (
        "k = get_ipython().kernel\n"
        "for n in range(2000): k.session.send(k.iopub_socket, 'comm_msg', {'data': 'x' * 10**5})"
    ),
    "outputs that are cleared": (
        "from IPython.display import clear_output\n"
        "for n in range(10**4): print('x' * 10**4); clear_output()"
    ),
}
# In a function that is right for the rest.
PRINTING = {
    "1 GiB": "for _ in range(1024): print('x' * 2**20)\nreturn np.mean(x**2)",
    "past Python": (
        "import os\nfor _ in range(1024): os.write(1, b'x' * 2**20)\nreturn np.mean(x**2)"
    ),
    "a million lines": "print('\\n' * 10**6)\nreturn np.mean(x**2)",
    "warnings": (
        "import warnings\nfor n in range(10**4): warnings.warn(f'{n}' * 100)\nreturn np.mean(x**2)"
    ),
}

# Notes on the grader's own peak of memory, in KiB, when it ends.
MEASURED = """
import atexit, pathlib, re, runpy, sys
def tell(peak=sys.argv[1]):
    status = pathlib.Path("/proc/self/status").read_text()
    pathlib.Path(peak).write_text(re.search(r"VmHWM:\\s+(\\d+)", status)[1])
atexit.register(tell)
sys.argv = sys.argv[4:]
runpy.run_module("grader", run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="module")
def flooded(toy, tmp_path_factory):
    """One run over all floods: the verdicts, its pages, its JUnit file, its peak in KiB."""
    folder = tmp_path_factory.mktemp("flooded")
    paths = {f: toy.half(cell, name=f"c{n}") for n, (f, cell) in enumerate(FLOODS.items())}
    paths |= {
        f"in a function: {f}": toy.right(name=f"f{n}", mean_square=body)
        for n, (f, body) in enumerate(PRINTING.items())
    }
    graded = toy.grade(
        *paths.values(),
        toy.right(name="honest"),
        options=["--html", str(folder / "html"), "--junit", str(folder / "junit.xml")],
        wrap=[sys.executable, "-c", MEASURED, str(folder / "peak")],
    )
    assert graded["honest"]["score"] == MAX
    return graded, {title: graded[path.stem] for title, path in paths.items()}, folder


@pytest.mark.parametrize("flood", FLOODS)
def test_a_cell_that_floods_its_output_costs_nothing_else(flooded, flood):
    verdict = flooded[1][flood]
    assert verdict["score"] == HALF, json.dumps(verdict, indent=1)


@pytest.mark.parametrize("flood", PRINTING)
def test_a_function_that_prints_too_much_is_scored_on_its_value(flooded, flood):
    verdict = flooded[1][f"in a function: {flood}"]
    assert verdict["score"] == MAX, json.dumps(verdict, indent=1)


def test_no_flood_reaches_a_report(flooded):
    graded, verdicts, folder = flooded
    assert len(graded.text) < 40 * KIB * len(verdicts)
    for title, verdict in verdicts.items():
        assert len(json.dumps(verdict)) < 40 * KIB, title
    assert (folder / "junit.xml").stat().st_size < 40 * KIB * len(verdicts)
    for page in (folder / "html").iterdir():
        assert page.stat().st_size < 500 * KIB, page.name


def test_no_flood_reaches_the_grader_s_memory(flooded):
    assert int((flooded[2] / "peak").read_text()) < 250 * KIB


# --- what moves the cursor ------------------------------------------------------------------------

HOSTILE = {
    "hidden text": "\x1b[8mhidden\x1b[0m\x1b[30;40m",
    "a title": "\x1b]0;TITLE\x07\x1b]2;TITLE\x1b\\",
    "a title in eight bits": "\x9d0;TITLE\x9c\x9b31m",
    "an empty screen": "\x1b[2J\x1b[3J\x1b[H\x1bc",
    "a cursor that moves": "\x1b[99A\x1b[1;1Hpassed\x1b[K",
    "a link": "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "the clipboard": "\x1b]52;c;ZXZpbA==\x07",
    "a question to the terminal": '\x1b[6n\x1b[c\x1bP$q"p\x1b\\\x05',
    "backspaces": "failed" + "\b" * 6 + "passed",
    "carriage returns": "failed\rpassed",
    "bidi overrides": "\u202e8/8\u202c \u20660\u2069\u200f\u061c",
    "other line breaks": "\u2028\u2029\x85\x0b\x0c",
    "characters of no width": "\ufeff\u200b\u2060\U000e0041",
    "a bell and a NUL": "\a\0\x7f",
    "a pile of accents": "a" + "\u0301" * 500,
    "half a character": "\ud800",
    "no character": "\ufffe\uffff",
    "an opening without an end": "\x1b]" * 50,
}
# Nothing of these may be in any report, a line feed apart.
MOVES = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069"
    "\ufeff\ufffe\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)
# What rich writes itself, to colour and to clear its line of progress.
OF_OURS = re.compile(r"\x1b\[(?:[0-9;]*m|\?25[lh]|\d*[AK])|\r(?:\n|(?=\x1b))")


def texts_of(document):
    """Every string of a JSON document."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for key, value in document.items():
            yield key
            yield from texts_of(value)
    elif isinstance(document, list):
        for value in document:
            yield from texts_of(value)


def telling(host, hostile, name):
    """A submission that says something hostile wherever it can."""
    said = ascii(hostile)
    return host.half(
        f"print({said})\nimport sys\nprint({said}, file=sys.stderr)",
        f"import warnings\nwarnings.warn({said})\nraise ValueError({said})",
        f"raise type({said.replace(chr(92) + 'x00', '')}, (Exception,), {{}})()",
        name=name,
        files={f"{n}{text}.ipynb": "no notebook" for n, text in enumerate(file_names(hostile))},
        mean_square=f"raise KeyError({said})",
        sigmoid=f"print({said})\nreturn {said}",
        cost=f"return type({said.replace(chr(92) + 'x00', '')}, (), {{}})()",
    )


def file_names(hostile):
    """The same as the name of a file in a zip, where it can be one."""
    name = hostile.replace("\0", "").replace("/", "")
    try:
        name.encode()
    except UnicodeEncodeError:
        return []
    return [name[:60]] if name else []


@pytest.fixture(scope="module")
def told(toy, tmp_path_factory):
    """One run over all that is hostile: what it wrote, and its folder."""
    folder = tmp_path_factory.mktemp("told")
    paths = {h: telling(toy, text, f"s{n}") for n, (h, text) in enumerate(HOSTILE.items())}
    named = toy.right(name="evil \x1b]0;TITLE\x07\x1b[8m\u202e\x9b31m\r passed")
    graded = toy.grade(
        *paths.values(),
        named,
        toy.right(name="honest"),
        options=["--html", str(folder / "html"), "--junit", str(folder / "junit.xml")],
    )
    assert graded["honest"]["score"] == MAX
    return graded, {title: graded[path.stem] for title, path in paths.items()}, folder


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_in_json_moves_a_cursor(told, hostile):
    verdict = told[1][hostile]
    assert verdict["status"] == "graded"
    assert [text for text in texts_of(verdict) if MOVES.search(text)] == []


def test_nothing_in_the_terminal_s_report_moves_a_cursor(told):
    assert MOVES.findall(told[0].text) == []


def test_nothing_in_junit_moves_a_cursor(told):
    text = (told[2] / "junit.xml").read_text()
    assert MOVES.findall(text) == []
    root = ElementTree.fromstring(text)
    inside = [part for e in root.iter() for part in (e.text or "", *e.attrib.values())]
    assert [part for part in inside if MOVES.search(part)] == []


def test_nothing_in_html_moves_a_cursor(told):
    pages = [*(told[2] / "html").iterdir()]
    assert len(pages) > len(HOSTILE)
    for page in pages:
        assert MOVES.findall(page.read_text()) == [], page.name
        assert not re.search(r"&#(?:x?0*(?:1b|27|202e|8238));", page.read_text(), re.IGNORECASE)


def test_what_it_says_is_still_told(told, messages, notes):
    """Made harmless, not made away with."""
    verdict = told[1]["bidi overrides"]
    assert "KeyError" in messages(verdict)["square"]
    assert r"\u202e8/8" in messages(verdict)["square"]
    assert r"ValueError: " in notes(verdict)["cell_error"]


def test_a_real_terminal_gets_colours_of_ours_alone(host):
    """All of it at once, on a terminal, with its colours and its line of progress."""
    everything = "".join(HOSTILE.values())
    path = telling(host, everything, "evil \x1b]0;TITLE\x07")
    main, side = pty.openpty()
    process = subprocess.Popen(
        [*(word for word in host.command(path) if word not in ("--json", "-"))],
        cwd=host.handed_in,
        env=host.environment(TERM="xterm-256color", COLUMNS="100", PYTHONIOENCODING="utf-8"),
        stdin=side,
        stdout=side,
        stderr=side,
    )
    os.close(side)
    written = b""
    while True:
        try:
            part = os.read(main, 1 << 16)
        except OSError:  # Linux says so at the end
            break
        if not part:
            break
        written += part
    os.close(main)
    assert process.wait(timeout=60) == 0
    text = written.decode()
    assert "\x1b[" in text  # it did take it for a terminal
    assert "\x1b[8m" not in text
    assert MOVES.findall(OF_OURS.sub("", text)) == []
