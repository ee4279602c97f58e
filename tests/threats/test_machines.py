"""Machines that offer less: the layers that they lack are named, and the rest grades as ever."""

import os
import shutil
import subprocess
import sys
import textwrap

import pytest

HALF = 5.0
MAX = 8.0
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("unshare") is None, reason="needs unshare(1)"
)
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0

# Before the command, in a shell: what makes the machine a poorer one.
UNPRIVILEGED = {
    "root is the only number mapped": ("unshare", "-Ur"),
    "the user's own number is the only one mapped": ("unshare", "-U", "--map-current-user"),
    "no user namespaces": (
        *("unshare", "-Ur", "sh", "-c"),
        'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"',
        "sh",
    ),
    "namespaces of no kind": (
        *("unshare", "-Ur", "sh", "-c"),
        "for kind in user mnt pid net ipc uts cgroup; do\n"
        "  echo 0 > /proc/sys/user/max_${kind}_namespaces; done\n"
        'exec "$@"',
        "sh",
    ),
    "a small /dev/shm": (
        *("unshare", "-Urm", "sh", "-c"),
        'mount -t tmpfs -o size=64m tmpfs /dev/shm && exec "$@"',
        "sh",
    ),
    "a /proc of which little is shown": (
        *("unshare", "-Urpmf", "sh", "-c"),
        'mount -t proc -o hidepid=2,subset=pid proc /proc && exec "$@"',
        "sh",
    ),
    "a filter of system calls": (
        sys.executable,
        "-c",
        "import os, sys\n"
        "from grader.in_kernel.sandbox import seccomp\n"
        "seccomp.install()\n"
        "os.execvp(sys.argv[1], sys.argv[1:])",
    ),
}
OF_ROOT = {
    "a container with 65,536 numbers": (
        sys.executable,
        "-c",
        "import os, subprocess, sys\n"
        "from grader.in_kernel.sandbox import libc\n"
        "ready, go = os.pipe(), os.pipe()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    libc.unshare(0x10000000)\n"
        "    os.write(ready[1], b'x'); os.read(go[0], 1)\n"
        "    os.setresgid(0, 0, 0); os.setresuid(0, 0, 0)\n"
        "    os.execvp(sys.argv[1], sys.argv[1:])\n"
        "os.read(ready[0], 1)\n"
        "for kind in ('uid', 'gid'):\n"
        "    open(f'/proc/{child}/{kind}_map', 'w').write('0 0 65536')\n"
        "os.write(go[1], b'x')\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))",
    ),
    "a root folder that can't be written to": (
        *("unshare", "-m", "sh", "-c"),
        "for keep in TMP HOME; do mount --bind $keep $keep; done\n"
        'mount -o remount,bind,ro / && exec "$@"',
        "sh",
    ),
}
MACHINES = UNPRIVILEGED | (OF_ROOT if ROOT else {})


def can(wrap):
    return subprocess.run([*wrap, "true"], capture_output=True).returncode == 0


@pytest.mark.parametrize("machine", MACHINES)
def test_what_a_machine_lacks_is_named_and_it_grades(host, machine):
    places = {"TMP": str(host.tmp), "HOME": str(host.root)}
    wrap = [
        " ".join(places.get(word, word) for word in part.split(" ")) if part.startswith("for keep")
        else part
        for part in MACHINES[machine]
    ]  # fmt: skip
    if not can(wrap):
        pytest.skip(f"{machine}: not to be had here")
    paths = [host.right(), host.half()]
    graded = host.run(*paths, wrap=wrap)
    assert [graded[name]["score"] for name in ("right", "half")] == [MAX, HALF], graded.report
    host.hold_clean(host.snapshot())


def test_where_root_is_the_only_number_the_missing_layer_is_said(host):
    wrap = UNPRIVILEGED["root is the only number mapped"]
    if not can(wrap):
        pytest.skip("no user namespaces here")
    graded = host.run(host.right(), wrap=wrap)
    assert "account" in graded.text


# Where scratch lies on the disk, because there are no namespaces.
ON_DISK = {
    "files that are deleted but open": """
        import os, time
        kept = []
        for n in range(20):
            kept.append(open(f"f{n}", "wb"))
            os.unlink(f"f{n}")
            kept[-1].write(bytes(10 << 20))
            kept[-1].flush()
        """,
    "files without a name": """
        import os, time
        for _ in range(20):
            os.write(os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600), bytes(10 << 20))
        """,
    "folders": "import os, time\nfor n in range(20_000): os.mkdir(f'd{n}')",
}
NESTED = """
    import os
    for _ in range(3000):
        os.mkdir("d")
        os.chdir("d")
        open("f", "x").close()
    os.chmod(".", 0)
    """


def test_without_namespaces_the_disk_has_its_limit_all_the_same(host, notes):
    wrap = UNPRIVILEGED["namespaces of no kind"]
    if not can(wrap):
        pytest.skip("no user namespaces here")
    host.write_assignment(scratch_mib=32, cell_s=20, notebook_s=60)
    wait = "\ntime.sleep(30)\nraise SystemError('no limit holds')"
    paths = {
        kind: host.half(textwrap.dedent(source) + wait, name=f"disk-{n}")
        for n, (kind, source) in enumerate(ON_DISK.items())
    }
    graded = host.run(*paths.values(), wrap=wrap)
    for kind, path in paths.items():
        assert graded[path.stem]["score"] == HALF, kind
        assert "wrote more than 32 MiB" in str(notes(graded[path.stem])), kind
    host.hold_clean(host.snapshot())


def test_without_namespaces_folders_nested_without_end_are_deleted(host):
    wrap = UNPRIVILEGED["namespaces of no kind"]
    if not can(wrap):
        pytest.skip("no user namespaces here")
    graded = host.run(host.half(NESTED), wrap=wrap)
    assert graded["half"]["status"] == "graded"
    host.hold_clean(host.snapshot())
