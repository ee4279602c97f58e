"""A submission reads its own copy, Python and the data; it writes in its own scratch folder."""

import os
import textwrap
from pathlib import Path

import numpy
import pytest

HALF = 5.0
RIGHT_BUT_FOR_THAT = 6.0

# `reads(path)` and `writes(path)` say what could be done with what must not be touched.
TRY = r"""
import glob, os, shutil
done = []

def attempt(name, do):
    try:
        result = do()
    except BaseException:
        return
    if result:
        done.append(name)

def reads(path):
    attempt("read " + path, lambda: open(path, "rb").read(9) if os.path.isfile(path)
            else os.listdir(path))

def writes(folder):
    path = os.path.join(folder, "MARK")
    attempt("wrote in " + folder, lambda: open(path, "w").write("x"))
    attempt("made a folder in " + folder, lambda: os.mkdir(path + "-d") is None)
    attempt("linked in " + folder, lambda: os.symlink("/", path + "-l") is None)
    attempt("hard-linked in " + folder, lambda: os.link("toy.ipynb", path + "-h") is None)
    attempt("moved to " + folder, lambda: os.rename(shutil.copy("toy.ipynb", "x"), path) is None)

def changes(path):
    attempt("appended to " + path, lambda: open(path, "a").write("x"))
    attempt("changed the mode of " + path, lambda: os.chmod(path, 0o777) or True)
    attempt("removed " + path, lambda: os.unlink(path) or True)
    attempt("truncated " + path, lambda: os.truncate(path, 0) or True)
    attempt("moved " + path, lambda: os.rename(path, "stolen") or True)
"""
SAY = 'raise RuntimeError("done: " + ("; ".join(done) or "nothing"))'


HERE = Path(__file__).parents[2]
NUMPY = Path(numpy.__file__).parent
PASSWD = Path("/etc/passwd")


def calls(function, targets):
    return "".join(f"{function}({str(target)!r})\n" for target in targets)


def secrets_of_the_user(toy):
    home = Path.home()
    targets = [toy.home, toy.home / ".ssh", toy.home / ".ssh" / "id_ed25519",
               toy.home / "notes.txt", home, home / ".ssh", home / ".bashrc", "/root", "/home",
               "/etc/shadow", "/etc/ssh"]  # fmt: skip
    return calls("reads", targets)


def reference_and_checks(toy):
    return calls("reads", [toy.assignments, *toy.assignments.rglob("*"), HERE / "tests"])


def other_submissions(toy):
    targets = [toy.handed_in, toy.handed_in / "honest.zip"]
    # And the folders that the grader itself unpacked them into.
    return calls("reads", targets) + (
        f"for name in glob.glob({str(toy.tmp)!r} + '/*/[0-9]/*.ipynb'): reads(name)\n"
        "for name in glob.glob('/tmp/grade-*/[0-9]/*'): reads(name)\n"
    )


def other_processes(toy):
    pids = [os.getpid(), os.getppid()]
    return f"""
for pid in [os.getppid(), *{pids}]:
    if pid in (0, os.getpid()): continue
    for name in ("environ", "mem", "maps", "fd", "root", "cwd/"):
        reads(f"/proc/{{pid}}/{{name}}")
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for pid in {pids}:
    attempt(f"traced {{pid}}", lambda: libc.ptrace(16, pid, 0, 0) == 0)
    attempt(f"signalled {{pid}}", lambda: os.kill(pid, 0) is None)
    attempt(f"lowered {{pid}}", lambda: os.setpriority(os.PRIO_PROCESS, pid, 19) is None)
"""


def places_to_write(toy):
    # In a repository below /tmp, the folder would be one of the submission's own /tmp.
    ours = [] if HERE.is_relative_to("/tmp") else [HERE / "grader"]
    return calls("writes", ["/", "/etc", "/var/tmp", "/dev/shm", "/usr/lib", "/opt", toy.home,
                            toy.handed_in, toy.assignments / "toy", toy.tmp, *ours,
                            NUMPY])  # fmt: skip


def files_to_change(toy):
    return calls("changes", [toy.home / "notes.txt", toy.handed_in / "honest.zip",
                             toy.assignments / "toy" / "test_toy.py", NUMPY / "__init__.py",
                             HERE / "grader" / "in_kernel" / "agent.py"])  # fmt: skip


def links(toy):
    return f"""
targets = [{str(toy.home)!r}, {str(toy.assignments)!r}, "/proc/1/root", "/root"]
for n, target in enumerate(targets):
    try:
        os.symlink(target, f"link{{n}}")
    except OSError:
        continue
    reads(f"link{{n}}")
"""


def rights(toy):
    return r"""
import ctypes, subprocess
libc = ctypes.CDLL(None, use_errno=True)
attempt("became root", lambda: os.setuid(0) is None and os.geteuid() == 0 and
        os.access("/etc/shadow", os.R_OK))
attempt("mounted", lambda: libc.mount(b"none", b"/mnt", b"tmpfs", 0, None) == 0)
attempt("changed its root", lambda: os.chroot("/") is None)
attempt("made a device", lambda: os.mknod("disk", 0o60666, os.makedev(8, 0)) is None and
        open("disk", "rb").read(1))
attempt("set user id", lambda: "uid=0" in subprocess.run(
    ["su", "-c", "id"], capture_output=True, text=True, timeout=2).stdout)
attempt("sudo", lambda: subprocess.run(["sudo", "-n", "true"], timeout=2).returncode == 0)
attempt("keys", lambda: libc.syscall(250, 0, -4, 0) >= 0)
attempt("bpf", lambda: libc.syscall(321, 0, None, 0) >= 0)
attempt("a namespace", lambda: libc.unshare(0x10000000) == 0)
attempt("the clock", lambda: libc.settimeofday((ctypes.c_long * 2)(1, 1), None) == 0)
attempt("the host's name", lambda: libc.sethostname(b"x", 1) == 0)
attempt("reboot", lambda: libc.syscall(169, 0, 0, 0, 0) == 0)
"""


def notes_to_the_next(toy):
    """In each of the places where it may write."""
    return f"""
for place in ["/tmp", "/var/tmp", "/dev/shm", "/run", os.getcwd(), os.path.expanduser("~")]:
    if glob.glob(place + "/{toy.mark}*"):
        done.append("a note of an earlier one in " + place)
    attempt("", lambda: open(place + "/{toy.mark}", "w").close())
done = [it for it in done if it]
"""


# What each submission tries; the last two are the same twice, one after the other.
TRIED = {
    "the user's secrets": secrets_of_the_user,
    "the reference and the checks": reference_and_checks,
    "other submissions": other_submissions,
    "other processes": other_processes,
    "places to write": places_to_write,
    "files to change": files_to_change,
    "the list of accounts": lambda toy: calls("changes", [PASSWD]),
    "links of its own": links,
    "rights": rights,
    "notes to the next": notes_to_the_next,
    "notes of the last": notes_to_the_next,
}


@pytest.fixture(scope="module")
def verdicts(toy, graded_together, closed_in):
    """The verdicts on right answers that try these things; `mean_square` says what was done."""
    accounts = PASSWD.read_bytes(), PASSWD.stat().st_mode, PASSWD.stat().st_ino
    guard = "if not is_closed_in(): done.append('nothing closes this process in')\nelse:\n"
    paths = {}
    for n, (title, tried) in enumerate(TRIED.items()):
        guarded = guard + textwrap.indent(tried(toy).strip("\n"), "    ")
        code = closed_in + TRY.replace("MARK", toy.mark) + guarded
        paths[title] = toy.right(code, name=f"s{n}", mean_square=SAY)
    graded = graded_together(toy, paths)
    assert (PASSWD.read_bytes(), PASSWD.stat().st_mode, PASSWD.stat().st_ino) == accounts
    return graded


@pytest.fixture
def said_by(verdicts, messages):
    """said_by(title) -> what that submission says that it could do."""

    def said(title):
        assert verdicts[title]["score"] == RIGHT_BUT_FOR_THAT
        text = messages(verdicts[title])["square"]
        assert "done: " in text, text
        return text.partition("done: ")[2].partition("\n")[0]

    return said


def test_nothing_of_the_user_is_read(said_by):
    assert said_by("the user's secrets") == "nothing"


def test_neither_the_reference_nor_the_checks_are_read(said_by):
    assert said_by("the reference and the checks") == "nothing"


def test_no_other_submission_is_read(said_by):
    assert said_by("other submissions") == "nothing"


def test_no_other_process_is_looked_into(said_by):
    assert said_by("other processes") == "nothing"


def test_nothing_is_written_outside_its_own_folder(toy, said_by):
    # A private /tmp of its own may stand in for the machine's: what counts is the machine's.
    said = said_by("places to write").split("; ")
    harmless = ("/dev/shm", "/var/tmp", str(toy.tmp))
    assert [deed for deed in said if not deed.endswith(harmless)] in ([], ["nothing"])
    assert toy.marked_files() == []


def test_nothing_that_is_there_is_changed(said_by):
    assert said_by("files to change") == "nothing"


def test_the_system_s_accounts_are_the_same_afterwards(said_by):
    """Inside, an /etc of its own may stand in for the machine's: `verdicts` has looked at it."""
    assert "nothing closes" not in said_by("the list of accounts")


def test_links_of_its_own_lead_nowhere(said_by):
    assert said_by("links of its own") == "nothing"


def test_rights_are_not_to_be_had_back(said_by):
    assert said_by("rights") == "nothing"


def test_no_submission_leaves_a_message_to_the_next(said_by):
    assert said_by("notes to the next") == "nothing"
    assert said_by("notes of the last") == "nothing"


def test_what_is_its_own_it_reads_and_writes(host):
    """Closed in, a notebook still has a folder, a home and a temporary folder."""
    source = """
        import os, pathlib, tempfile
        assert pathlib.Path("data.csv").read_text() == "1,2\\n"
        pathlib.Path("out.txt").write_text("mine")
        pathlib.Path.home().joinpath("mine").write_text("mine")
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "mine").write_text("mine")
        """
    verdict = host.grade(host.half(source, files={"data.csv": "1,2\n"}))["half"]
    assert verdict["score"] == HALF
    assert verdict["notes"] == []
