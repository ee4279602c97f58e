"""A submission reads its own copy, Python and the data; it writes in its own scratch folder."""

import os
import textwrap
from pathlib import Path

import pytest

MAX = 8.0

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


@pytest.fixture
def said_by(host, messages, closed_in):
    """said_by(source) -> what a right answer that tries these things says that it could do."""

    def run(source):
        guard = "if not is_closed_in(): done.append('nothing closes this process in')\nelse:\n"
        guarded = guard + textwrap.indent(source.strip("\n"), "    ")
        code = closed_in + TRY.replace("MARK", host.mark) + guarded
        graded = host.grade(host.right(code, mean_square=SAY), host.right(name="honest"))
        assert graded["honest"]["score"] == MAX
        text = messages(graded["right"])["square"]
        assert "done: " in text, text
        return text.partition("done: ")[2].partition("\n")[0]

    return run


def test_nothing_of_the_user_is_read(host, said_by):
    (host.home / ".bash_history").write_text("secret")
    home = Path.home()
    targets = [host.home, host.home / ".ssh", host.home / ".ssh" / "id_ed25519",
               host.home / "notes.txt", home, home / ".ssh", home / ".bashrc", "/root", "/home",
               "/etc/shadow", "/etc/ssh"]  # fmt: skip
    said = said_by("".join(f"reads({str(t)!r})\n" for t in targets))
    assert said == "nothing"


def test_neither_the_reference_nor_the_checks_are_read(host, said_by):
    targets = [host.assignments, *host.assignments.rglob("*"), Path(__file__).parents[2] / "tests"]
    said = said_by("".join(f"reads({str(t)!r})\n" for t in targets))
    assert said == "nothing"


def test_no_other_submission_is_read(host, said_by):
    targets = [host.handed_in, host.handed_in / "honest.zip", host.handed_in / "right.zip"]
    source = "".join(f"reads({str(t)!r})\n" for t in targets)
    # The folders that the grader itself unpacked them into.
    source += (
        f"for name in glob.glob({str(host.tmp)!r} + '/*/[0-9]/*.ipynb'): reads(name)\n"
        "for name in glob.glob('/tmp/grade-*/[0-9]/*'): reads(name)\n"
    )
    assert said_by(source) == "nothing"


def test_no_other_process_is_looked_into(host, said_by):
    pids = [os.getpid(), os.getppid()]
    source = f"""
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
    assert said_by(source) == "nothing"


def test_nothing_is_written_outside_its_own_folder(host, said_by):
    folders = ["/", "/etc", "/var/tmp", "/dev/shm", "/usr/lib", "/opt", host.home, host.handed_in,
               host.assignments / "toy", host.tmp, Path(__file__).parents[2] / "grader",
               Path(np_folder())]  # fmt: skip
    # A private /tmp of its own may stand in for the machine's: what counts is the machine's.
    said = said_by("".join(f"writes({str(f)!r})\n" for f in folders))
    harmless = ("/dev/shm", "/var/tmp", str(host.tmp))
    assert [s for s in said.split("; ") if not s.endswith(harmless)] == ["nothing"] or all(
        s.endswith(harmless) for s in said.split("; ")
    )
    assert host.marked_files() == []


def np_folder():
    import numpy

    return str(Path(numpy.__file__).parent)


def test_nothing_that_is_there_is_changed(host, said_by):
    files = [host.home / "notes.txt", host.handed_in / "honest.zip",
             host.assignments / "toy" / "test_toy.py", Path(np_folder()) / "__init__.py",
             Path(__file__).parents[2] / "grader" / "in_kernel" / "agent.py"]  # fmt: skip
    source = "".join(f"changes({str(f)!r})\n" for f in files)
    assert said_by(source) == "nothing"


def test_the_system_s_files_are_the_same_afterwards(said_by):
    """Inside, an /etc of its own may stand in for the machine's."""
    path = Path("/etc/passwd")
    before = path.read_bytes(), path.stat().st_mode, path.stat().st_ino
    said_by(f"changes({str(path)!r})\n")
    assert (path.read_bytes(), path.stat().st_mode, path.stat().st_ino) == before


def test_links_of_its_own_lead_nowhere(host, said_by):
    source = f"""
targets = [{str(host.home)!r}, {str(host.assignments)!r}, "/proc/1/root", "/root"]
for n, target in enumerate(targets):
    try:
        os.symlink(target, f"link{{n}}")
    except OSError:
        continue
    reads(f"link{{n}}")
"""
    assert said_by(source) == "nothing"


def test_rights_are_not_to_be_had_back(said_by):
    source = r"""
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
    assert said_by(source) == "nothing"


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
    verdict = host.grade(host.right(source, files={"data.csv": "1,2\n"}))["right"]
    assert verdict["score"] == MAX
    assert verdict["notes"] == []


def test_no_submission_leaves_a_message_to_the_next(host, messages, closed_in):
    """In none of the places where it may write."""
    source = f"""
for place in ["/tmp", "/var/tmp", "/dev/shm", "/run", os.getcwd(), os.path.expanduser("~")]:
    if glob.glob(place + "/{host.mark}*"):
        done.append("a note of an earlier one in " + place)
    attempt("", lambda: open(place + "/{host.mark}", "w").close())
"""
    guarded = "if is_closed_in():" + textwrap.indent(source, "    ")
    code = closed_in + TRY.replace("MARK", host.mark) + guarded
    paths = [host.right(code, name=name, mean_square=SAY) for name in ("first", "second")]
    graded = host.grade(*paths)
    assert "done: nothing" in messages(graded["second"])["square"]
