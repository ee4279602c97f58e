"""Whoever searches the student's process finds no check, no reference and no score in it."""

SEARCH = r"""
import gc, os, re, sys
from pathlib import Path

# Patterns that do not match themselves: this source is in the process too.
WORD = re.compile("KEEP-secre[t]-OUT")
IN_MEMORY = re.compile(b"test_to[y][.]py|KEEP-secre[t]-OUT")
found = []

def note(where):
    if where not in found:
        found.append(where)

def texts_of(thing, depth=0):
    if isinstance(thing, (str, bytes)):
        yield thing
    elif depth < 4:
        if isinstance(thing, dict):
            parts = [*thing.keys(), *thing.values()]
        elif isinstance(thing, (list, tuple, set, frozenset)):
            parts = list(thing)
        else:
            parts = [getattr(thing, "__dict__", None), getattr(thing, "__doc__", None)]
        for part in parts[:200]:
            yield from texts_of(part, depth + 1)

def holds(text):
    text = text.decode("latin-1") if isinstance(text, bytes) else text
    return WORD.search(text) is not None

def search():
    frame = sys._getframe()
    while frame is not None:
        if any(holds(t) for t in texts_of(dict(frame.f_locals))):
            note("a frame")
        name = frame.f_code.co_filename
        if "test_t" "oy" in name or "pytest" in name:
            note("the frame of " + name)
        frame = frame.f_back
    for thing in gc.get_objects():
        if type(thing).__name__ in ("Outcome", "Assignment", "Exercise", "CheckJob", "Item"):
            note("an object " + type(thing).__name__)
    for name in sys.modules:
        if name.startswith(("test_t" "oy", "_pytest", "grader.checks", "grader.pipeline",
                            "grader.score", "grader.records")):
            note("the module " + name)
    for text in [*sys.argv, *sys.orig_argv]:
        if "reference" in text:
            note("argv " + text)
    for name, value in os.environ.items():
        if "reference" in value or holds(value) or name.startswith(("GRADE", "PYTEST", "AWS")):
            note("environment " + name)
    for fd in range(1024):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue
        if "reference" in target or "toy" in target or "handed in" in target or "home" in target:
            note("descriptor on " + target)
        if re.match("(cgroup|ipc|mnt|net|pid|user|uts):", target):
            note("descriptor of a namespace, " + target)
    # Memory, whole: what was freed but not overwritten is still there.
    try:
        maps = Path("/proc/self/maps").read_text().splitlines()
        with open("/proc/self/mem", "rb") as memory:
            for line in maps:
                span, rights, *_ = line.split()
                start, end = (int(x, 16) for x in span.split("-"))
                if "r" not in rights or end - start > 1 << 28 or "[v" in line:
                    continue
                try:
                    memory.seek(start)
                    if IN_MEMORY.search(memory.read(end - start)):
                        note("memory")
                except (OSError, ValueError, OverflowError):
                    continue
    except OSError:
        pass
    return found

search()
"""
REPORT = """
search()
raise RuntimeError("search ended: " + ("; ".join(found) or "nothing"))
"""


def test_a_search_of_the_process_finds_nothing(host, messages):
    bodies = dict.fromkeys(("mean_square", "sigmoid", "cost", "grad"), REPORT)
    graded = host.grade(
        host.wrong(SEARCH, name="searcher", **bodies),
        environment={"GRADE_TOKEN": "KEEP-secret-OUT", "AWS_SECRET_ACCESS_KEY": "KEEP-secret-OUT"},
    )
    said = messages(graded["searcher"])
    assert "search ended: nothing" in said["square"]
    assert "search ended: nothing" in said["sigmoid"]
    assert "search ended: nothing" in said["gradient"]
    assert graded["searcher"]["score"] == 0.0


def test_what_a_hidden_check_sends_and_expects_is_in_no_report(host):
    """The student's own text may come back; the input of a hidden check may not."""
    tell = "raise ValueError(repr(z))"
    graded = host.grade(host.right(name="teller", sigmoid=tell), options=["--seed", "3"])
    sigmoid = next(e for e in graded["teller"]["exercises"] if e["id"] == "sigmoid")
    hidden = next(c for c in sigmoid["checks"] if c["hidden"])
    assert hidden["outcome"] == "error"
    assert "array(" not in hidden["message"]


def test_the_words_of_the_reference_reach_no_report(host):
    graded = host.grade(host.wrong(), host.right())
    assert "KEEP" not in graded.text
    assert "KEEP" not in str(graded.report)
