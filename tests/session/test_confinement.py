"""Each layer that closes the student's process in, with real processes, as root and as a user.

The source that a test hands to `closed` runs inside; `attempt(...)` there prints what came of it.
"""

import json
import os
import platform
import shutil
import socket
import struct
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from grader.errors import SandboxError
from grader.in_kernel.sandbox import landlock, seccomp
from grader.session import sandbox_check
from grader.session.sandbox_check import Probe

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the layers are Linux's")

TESTS = Path(__file__).resolve().parent.parent
ALONE = (sys.executable, str(TESTS / "session" / "closed.py"))
WHO = ["root", "ordinary"] if hasattr(os, "geteuid") and os.geteuid() == 0 else ["ordinary"]

PRELUDE = """
import ctypes, errno, json, os, signal, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)

def attempt(f, *args):
    try:
        print("done:", f(*args), flush=True)
    except (OSError, MemoryError, RuntimeError) as error:
        print(type(error).__name__, getattr(error, "strerror", "") or "", flush=True)

def call(number, *args):
    if libc.syscall(number, *map(ctypes.c_long, args)) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "through"
"""


@dataclass(frozen=True)
class Closed:
    """What became of a source: its lines, its exit code, and the layers that held."""

    lines: list[str]
    code: int
    applied: list[str]
    missing: dict[str, str]


@pytest.fixture(params=WHO)
def closed(request):
    """closed(source, "landlock", ..., limits={...}) -> Closed; all layers where none is named."""

    def run(source, *layers, **told):
        told["source"] = PRELUDE + textwrap.dedent(source)
        if layers:
            told["layers"] = layers
        command = [*ALONE, json.dumps(told)]
        if request.param == "ordinary" and WHO[0] == "root":
            command.insert(1, str(TESTS / "ordinary_user.py"))
        # Returns when all that holds its standard output is gone: nothing may stay behind.
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd="/")
        *lines, last = done.stdout.splitlines() or [""]
        if not last.startswith("{"):
            raise AssertionError(done.stdout + done.stderr)
        end = json.loads(last)
        if layers:
            for layer, why in end["missing"].items():
                pytest.skip(f"this machine has no {layer}: {why}")
        return Closed(lines, end["code"], end["applied"], end["missing"])

    run.root = request.param == "root"
    return run


# --- all together ---------------------------------------------------------------------------


def test_all_layers_hold_here_or_say_why_not(closed):
    end = closed("print('inside')")
    assert end.lines == ["inside"]
    wanted = {layer for layer in sandbox_check.layers_here() if closed.root or layer != "account"}
    assert {*end.applied} | {*end.missing} == wanted


def test_a_strict_policy_runs_nothing_where_a_layer_is_missing(closed):
    # Without namespaces there is no place for a root folder.
    end = closed("print('inside')", strict=True, layers=["files", "seccomp"])
    assert end.lines == []
    assert end.code == 78
    assert end.missing == {"files": "no namespace to hold them"}


def test_the_launcher_ends_as_the_student_did(closed):
    assert closed("os._exit(5)").code == 5
    assert closed("os.kill(os.getpid(), signal.SIGKILL)").code == -signal_number("SIGKILL")
    assert closed("ctypes.string_at(0)").code == -signal_number("SIGSEGV")


def signal_number(name):
    import signal

    return int(getattr(signal, name))


@pytest.mark.parametrize("layers", [(), ("limits",)], ids=["all", "no namespaces"])
def test_nothing_outlives_the_student_in_a_session_of_its_own(closed, layers):
    end = closed(
        """
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                time.sleep(1000)
            os._exit(0)
        os.wait()
        print("left one behind")
        """,
        *layers,
    )
    assert end.lines == ["left one behind"]


@pytest.mark.parametrize("layers", [(), ("limits",)], ids=["all", "no namespaces"])
def test_all_end_when_the_grader_lets_go(closed, layers):
    end = closed("os.write(said, b'x'); time.sleep(1000)", *layers, let_go=True)
    assert end.code == -9


def test_student_code_can_not_end_what_waits_for_it(closed):
    end = closed(
        """
        for pid in (1, os.getppid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        print("still here")
        """
    )
    assert end.lines == ["still here"]
    assert end.code == 0


# --- limits ---------------------------------------------------------------------------------


def test_memory_ends_with_an_error(closed):
    end = closed("attempt(bytearray, 200 * 2**20)", "limits", limits={"memory_mib": 128})
    assert end.lines == ["MemoryError "]


def test_processes_and_threads_are_counted_together(closed):
    end = closed(
        """
        import threading
        started = 0
        try:
            while started < 200:
                threading.Thread(target=time.sleep, args=(1,), daemon=True).start()
                started += 1
        except RuntimeError:
            pass
        print(5 < started < 20, flush=True)
        attempt(os.fork)
        """,
        *("limits", "namespaces", "files"),
        *(("account",) if closed.root else ()),  # root itself has no limit
        limits={"processes": 20},
    )
    assert end.lines == ["True", "BlockingIOError Resource temporarily unavailable"]


def test_open_files_are_limited(closed):
    end = closed(
        """
        files = []
        try:
            while True:
                files.append(os.open("/dev/null", os.O_RDONLY))
        except OSError as error:
            count = len(files)
            [os.close(file) for file in files]
            print(error.strerror, 50 < count < 64)
        """,
        "limits",
        limits={"open_files": 64},
    )
    assert end.lines == ["Too many open files True"]


def test_a_file_is_no_longer_than_the_limit(closed):
    end = closed(
        """
        with open("long", "wb") as file:
            attempt(lambda: [file.write(bytes(2**20)) and file.flush() for _ in range(9)])
        print(os.path.getsize("long") // 2**20)
        """,
        "limits",
        limits={"scratch_mib": 4},
    )
    assert end.lines == ["OSError File too large", "4"]


def test_processor_time_is_limited(closed):
    assert closed("while True: pass", "limits", cpu_s=1).code == -signal_number("SIGKILL")


def test_a_crash_leaves_no_core_file(closed):
    end = closed(
        """
        if os.fork() == 0:
            os.abort()
        print(os.WCOREDUMP(os.wait()[1]), os.listdir("."))
        """,
        "limits",
    )
    assert end.lines == ["False ['data.csv']"]


def test_limits_can_not_be_raised(closed):
    end = closed(
        """
        import resource
        try:
            resource.setrlimit(resource.RLIMIT_DATA, (2**40, 2**40))
            print("raised")
        except ValueError as error:
            print(error)
        """
    )
    assert end.lines == ["not allowed to raise maximum limit"]


# --- privileges, account --------------------------------------------------------------------


def test_no_capability_and_no_way_to_one_is_left(closed):
    end = closed(
        """
        fields = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
        print(int(fields["CapEff"], 16), int(fields["CapPrm"], 16), fields["NoNewPrivs"].strip())
        attempt(os.chroot, ".")
        attempt(os.setuid, 0)
        """
    )
    assert end.lines[0] == "0 0 1"
    # A user namespace has no number 0 at all: "Invalid argument".
    assert not any(line.startswith("done") for line in end.lines[1:])


def test_root_becomes_a_user_that_owns_nothing(closed):
    if not closed.root:
        pytest.skip("an ordinary user has no other account to change to")
    end = closed(
        """
        print(os.getuid() == os.geteuid() == plan["user"] != 0, os.getgroups())
        attempt(open, plan["calls"] + "/private")
        """,
        "namespaces",
        "files",
        "account",
    )
    assert end.lines == ["True []", "PermissionError Permission denied"]


# --- namespaces -----------------------------------------------------------------------------


def test_other_processes_have_no_number_here(closed):
    end = closed("print(os.getpid()); attempt(os.kill, grader, 0)", "namespaces")
    assert end.lines == ["2", "ProcessLookupError No such process"]


def test_there_is_no_network(closed):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        end = closed(
            f"""
            print([name for _, name in socket.if_nameindex()])
            attempt(socket.create_connection, ("127.0.0.1", {listener.getsockname()[1]}), 2)
            """,
            "namespaces",
        )
    assert end.lines == ["['lo']", "OSError Network is unreachable"]


def test_no_abstract_socket_of_others_is_there(closed):
    name = f"\0grade-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(name)
        listener.listen()
        end = closed(
            f"attempt(socket.socket(socket.AF_UNIX).connect, {name!r})",
            "namespaces",
        )
    assert end.lines == ["ConnectionRefusedError Connection refused"]


# --- files ----------------------------------------------------------------------------------

FILES = ("namespaces", "files")


def test_nothing_of_the_host_is_seen_but_python_and_the_system(closed):
    end = closed(
        f"""
        homes = {[str(Path.home()), str(TESTS), str(TESTS.parent / "reference"), "/etc/shadow"]!r}
        shown = [os.path.exists(home) and os.listdir(home) for home in homes if home != "/root"]
        print(not any(shown), sorted(os.listdir("/etc"))[:3] != [], os.listdir("."))
        import numpy
        print(numpy.ones(3).sum())
        """,
        *FILES,
    )
    assert end.lines == ["True True ['data.csv']", "3.0"]


def test_the_system_can_not_be_written_to(closed):
    end = closed(
        f"""
        for place in ("/usr", {sys.prefix + "/lib"!r}, plan["calls"]):
            attempt(open, place + "/written", "w")
        """,
        *FILES,
    )
    assert end.lines == ["OSError Read-only file system"] * 3


def test_the_temporary_folder_is_a_private_one(closed):
    with open("/tmp/grade-test-public", "w") as public:  # noqa: PTH123
        try:
            os.chmod(public.name, 0o644)  # noqa: PTH101
            end = closed(
                """
                print(os.path.exists("/tmp/grade-test-public"))
                attempt(open("/tmp/mine", "w").write, "x")
                import tempfile
                attempt(tempfile.TemporaryFile().write, b"x")
                """
            )
        finally:
            os.unlink(public.name)  # noqa: PTH108
    assert end.lines == ["False", "done: 1", "done: 1"]
    assert not Path("/tmp/mine").exists()


def test_all_that_is_written_shares_one_size(closed):
    end = closed(
        """
        def fill(folder):
            for n in range(30):
                with open(f"{folder}/{n}", "wb") as file:
                    file.write(bytes(2**20))
        attempt(fill, ".")
        attempt(fill, "/dev/shm")
        attempt(fill, "/tmp")
        """,
        *FILES,
        limits={"scratch_mib": 16},
    )
    assert end.lines == ["OSError No space left on device"] * 3


# --- landlock -------------------------------------------------------------------------------

needs_abi = {
    version: pytest.mark.skipif(
        sys.platform == "linux" and landlock.abi() < version,
        reason=f"Landlock here is older than ABI {version}",
    )
    for version in (1, 4, 6)
}


@needs_abi[1]
def test_landlock_alone_closes_the_files_of_the_host(closed):
    end = closed(
        f"""
        attempt(os.listdir, "/")
        attempt(open, {str(TESTS / "test_docs.py")!r})
        attempt(open, "/tmp/written", "w")
        attempt(open, "/etc/hostname")
        attempt(open, f"/proc/{{grader}}/cmdline")
        """,
        "landlock",
    )
    assert end.lines == ["PermissionError Permission denied"] * 5


@needs_abi[1]
def test_landlock_alone_leaves_python_and_its_own_folders(closed):
    end = closed(
        """
        import decimal, numpy
        for folder in (plan["work"], plan["home"], plan["tmp"]):
            attempt(open(folder + "/written", "w").write, "text")
            os.rename(folder + "/written", folder + "/moved")
            os.remove(folder + "/moved")
        print(open("data.csv").read().split())
        """,
        "landlock",
    )
    assert end.lines == ["done: 4"] * 3 + ["['a,b', '1,2']"]


@needs_abi[4]
def test_landlock_alone_closes_tcp(closed):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        end = closed(
            f"""
            attempt(socket.create_connection, ("127.0.0.1", {listener.getsockname()[1]}))
            attempt(socket.socket().bind, ("127.0.0.1", 0))
            """,
            "landlock",
        )
    assert end.lines == ["PermissionError Permission denied"] * 2


@needs_abi[6]
def test_landlock_alone_keeps_signals_and_abstract_sockets_inside(closed):
    name = f"\0grade-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(name)
        listener.listen()
        end = closed(
            f"""
            attempt(os.kill, grader, 0)
            attempt(socket.socket(socket.AF_UNIX).connect, {name!r})
            """,
            "landlock",
        )
    assert end.lines == ["PermissionError Operation not permitted"] * 2


MOUNTED_BELOW = """
import os, sys
from grader.in_kernel.sandbox import libc, namespaces
seen, box, work = sys.argv[1:]
libc.mount("tmpfs", seen + "/a file system", "tmpfs", 0, "mode=1777")
namespaces.separate()
if os.fork() == 0:
    shown = [seen, "/usr", "/lib", "/lib64"]
    owner = (os.geteuid(), os.getegid())
    namespaces.set_up_root(box, seen=shown, copied={work: work}, owner=owner, size_mib=10)
    try:
        open(seen + "/a file system/file", "w").close()
        print("written")
    except OSError as error:
        print(error.strerror)
    sys.stdout.flush()
    os._exit(0)
os.wait()
"""


def test_a_file_system_below_a_readable_folder_is_read_only_too(tmp_path):
    wrap = ["unshare", "-Urm"]
    if shutil.which("unshare") is None or subprocess.run([*wrap, "true"]).returncode:
        pytest.skip("no user namespaces here")
    folders = [tmp_path / name for name in ("seen", "box", "work")]
    for folder in folders:
        folder.mkdir()
    (tmp_path / "seen" / "a file system").mkdir()
    code = [sys.executable, "-c", MOUNTED_BELOW, *map(str, folders)]
    done = subprocess.run([*wrap, *code], capture_output=True, text=True)
    assert done.stdout == "Read-only file system\n", done.stderr


# --- seccomp --------------------------------------------------------------------------------


def test_every_refused_call_is_refused(closed):
    column = seccomp.MACHINES[platform.machine()].column
    numbers = {name: both[column] for name, both in seccomp.REFUSED.items() if both[column]}
    end = closed(
        f"""
        for name, number in {numbers!r}.items():
            try:
                call(number, 0, 0, 0, 0, 0)
                print(name)
            except OSError as error:
                if error.errno != errno.EPERM:
                    print(name, error)
        """,
        "seccomp",
    )
    assert end.lines == []


def test_calls_that_do_not_exist_here_say_so(closed):
    column = seccomp.MACHINES[platform.machine()].column
    numbers = [both[column] for both in seccomp.ABSENT.values()] + [480, 600, 0x40000000]
    end = closed(f"[attempt(call, number) for number in {numbers!r}]", "seccomp")
    assert end.lines == ["OSError Function not implemented"] * len(numbers)


def test_only_unix_sockets_are_to_be_had(closed):
    end = closed(
        """
        attempt(socket.socket, socket.AF_INET)
        attempt(socket.socket, socket.AF_INET6, socket.SOCK_DGRAM)
        attempt(socket.socket, socket.AF_PACKET, socket.SOCK_RAW)
        attempt(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW)
        attempt(lambda: [end.close() for end in socket.socketpair()])
        attempt(lambda: socket.socket(socket.AF_UNIX).close())
        """,
        "seccomp",
    )
    refused = "PermissionError Operation not permitted"
    assert end.lines[:3] == [refused] * 3
    assert end.lines[3:] == ["OSError Operation not supported", "done: [None, None]", "done: None"]


@pytest.mark.parametrize("flag", [1 << 17, 1 << 26, 1 << 28, 1 << 29, 1 << 30])
def test_no_new_namespace_by_clone(closed, flag):
    number = seccomp.MACHINES[platform.machine()].clone
    end = closed(f"attempt(call, {number}, {flag} | signal.SIGCHLD, 0, 0, 0, 0)", "seccomp")
    assert end.lines == ["PermissionError Operation not permitted"]


def test_nobody_is_signalled_all_at_once(closed):
    # Signal 0 reaches nobody, whatever lets it through.
    end = closed("attempt(os.kill, -1, 0)", "seccomp")
    assert end.lines == ["PermissionError Operation not permitted"]


def test_the_filter_stays_with_children(closed):
    end = closed(
        """
        import subprocess
        code = "import socket; socket.socket()"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        print(done.stderr.splitlines()[-1])
        """,
        "seccomp",
    )
    assert end.lines == ["PermissionError: [Errno 1] Operation not permitted"]


def judge(machine, number, *arguments, arch=None):
    """What the filter says of a call: the kernel's own rules for its instructions, by hand."""
    data = struct.pack("=iIQ6Q", number, machine.audit if arch is None else arch, 0,
                       *arguments, *[0] * (6 - len(arguments)))  # fmt: skip
    code = [struct.unpack("=HBBI", part) for part in split(seccomp.program(machine), 8)]
    at = value = 0
    while True:
        kind, if_true, if_false, operand = code[at]
        at += 1
        if kind == 0x20:  # load a word
            (value,) = struct.unpack_from("=I", data, operand)
        elif kind == 0x06:  # return
            return operand
        elif kind == 0x54:  # and
            value &= operand
        else:
            holds = {0x15: value == operand, 0x35: value >= operand, 0x45: value & operand}[kind]
            at += if_true if holds else if_false


def split(text, size):
    return [text[n : n + size] for n in range(0, len(text), size)]


ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000


# name: x86_64, aarch64, from the kernel's own tables
@pytest.mark.parametrize(
    ("numbers", "arguments", "verdict"),
    [
        ((101, 117), (), EPERM),  # ptrace
        ((165, 40), (), EPERM),  # mount
        ((321, 280), (), EPERM),  # bpf
        ((425, 425), (), EPERM),  # io_uring_setup
        ((435, 435), (), ENOSYS),  # clone3
        ((319, 279), (), ENOSYS),  # memfd_create
        ((0, 63), (), ALLOW),  # read
        ((59, 221), (), ALLOW),  # execve
        ((41, 198), (1, 1), ALLOW),  # socket(AF_UNIX, SOCK_STREAM)
        ((41, 198), (2, 1), EPERM),  # socket(AF_INET, SOCK_STREAM)
        ((56, 220), (17,), ALLOW),  # clone(SIGCHLD)
        ((56, 220), (0x10000011,), EPERM),  # clone(CLONE_NEWUSER | SIGCHLD)
        ((16, 29), (0, 0x5412), EPERM),  # ioctl(TIOCSTI)
        ((16, 29), (0, 0x5401), ALLOW),  # ioctl(TCGETS)
        ((135, 92), (0xFFFFFFFF,), ALLOW),  # personality: ask
        ((135, 92), (0x0040000,), EPERM),  # personality(ADDR_NO_RANDOMIZE)
        ((62, 129), (123, 9), ALLOW),  # kill one
        ((62, 129), (0xFFFFFFFFFFFFFFFF, 9), EPERM),  # kill all
        ((9, 222), (0, 4096, 3, 0x22), ALLOW),  # mmap(MAP_PRIVATE | MAP_ANONYMOUS)
        ((9, 222), (0, 4096, 3, 0x01), ALLOW),  # mmap(MAP_SHARED)
        ((9, 222), (0, 4096, 3, 0x8021), EPERM),  # mmap(MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE)
        ((9, 222), (0, 4096, 3, 0x23), EPERM),  # mmap(MAP_SHARED_VALIDATE | MAP_ANONYMOUS)
        ((600, 600), (), ENOSYS),
    ],
)
def test_the_filter_judges_calls_on_both_machines(numbers, arguments, verdict):
    for name, number in zip(("x86_64", "aarch64"), numbers, strict=True):
        assert judge(seccomp.MACHINES[name], number, *arguments) == verdict


def test_calls_of_another_kind_of_machine_end_the_process():
    # int 0x80 on x86_64: AUDIT_ARCH_I386; its write(2) has the number of x86_64's stat(2)
    assert judge(seccomp.MACHINES["x86_64"], 4, arch=0x40000003) == KILL


# --- what a strict policy asks for ----------------------------------------------------------


def test_a_strict_policy_names_the_layer_that_is_missing(monkeypatch):
    lacking = [Probe("landlock", missing="no Landlock in this kernel"), Probe("limits", "", "no")]
    monkeypatch.setattr(sandbox_check, "_probe", lambda layers, attempts: lacking)
    with pytest.raises(SandboxError, match=r"landlock \(no Landlock in this kernel\)"):
        sandbox_check.require_sandbox("strict")
    sandbox_check.require_sandbox("auto")
    sandbox_check.require_sandbox("none")


def test_a_strict_policy_does_not_trust_a_layer_that_refuses_nothing(monkeypatch):
    monkeypatch.setattr(sandbox_check, "_probe", lambda layers, attempts: [Probe("seccomp")])
    with pytest.raises(SandboxError, match="what seccomp forbids was possible"):
        sandbox_check.require_sandbox("strict")


@pytest.mark.parametrize("layer", sandbox_check.layers_here() if sys.platform == "linux" else ())
def test_each_layer_alone_refuses_what_it_is_for(layer):
    probe = sandbox_check.probe_alone(layer)
    if probe.missing:
        pytest.skip(f"this machine has no {layer}: {probe.missing}")
    assert probe.holds
