"""What takes all there is of something meets its own limit, which the report names."""

import pytest

HALF = 5.0
RIGHT_BUT_FOR_THAT = 6.0
# On a busy machine too, each is to meet its own limit before that of its time.
LIMITS = {"memory_mib": 700, "scratch_mib": 32, "open_files": 256, "cell_s": 4}

LIBC = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(name, kind, *types):
    function = getattr(libc, name)
    function.restype, function.argtypes = kind, types
    def called(*args):
        result = function(*args)
        if result in (-1, 2**64 - 1): raise OSError(ctypes.get_errno(), name)
        return result
    return called
mmap = call("mmap", ctypes.c_size_t, *[ctypes.c_size_t] * 2, *[ctypes.c_int] * 3, ctypes.c_long)
munmap = call("munmap", ctypes.c_int, *[ctypes.c_size_t] * 2)
madvise = call("madvise", ctypes.c_int, *[ctypes.c_size_t] * 2, ctypes.c_int)
vmsplice = call("vmsplice", ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t,
                ctypes.c_uint)
"""
# Memory that counts for no process, or for less than it takes.
UNCOUNTED = {
    "all but a page of it unmapped": LIBC + "for _ in range(10):\n"
    "    at = mmap(0, 100 << 20, 3, 0x21, -1, 0)\n"
    "    ctypes.memset(at, 1, 100 << 20)\n"
    "    munmap(at + 4096, (100 << 20) - 4096)\n"
    "raise RuntimeError('no limit holds')",
    "all but a page of a device unmapped": LIBC + "import os\n"
    "device = os.open('/dev/zero', os.O_RDWR)\n"
    "for _ in range(10):\n"
    "    at = mmap(0, 100 << 20, 3, 1, device, 0)\n"
    "    ctypes.memset(at, 1, 100 << 20)\n"
    "    munmap(at + 4096, (100 << 20) - 4096)\n"
    "raise RuntimeError('no limit holds')",
    "huge pages of which a part lies in a pipe": LIBC + "import os\n"
    "for _ in range(40):\n"
    "    out = os.pipe()[1]\n"
    "    for _ in range(14):\n"
    "        at = mmap(0, 4 << 20, 3, 0x22, -1, 0)\n"
    "        page = at + (-at % (2 << 20))\n"
    "        madvise(page, 2 << 20, 14)\n"
    "        ctypes.memset(page, 1, 2 << 20)\n"
    "        part = (ctypes.c_uint64 * 2)(page, 4096)\n"
    "        vmsplice(out, ctypes.addressof(part), 1, 0)\n"
    "        munmap(at, 4 << 20)\n"
    "raise RuntimeError('no limit holds')",
    "in children with a name that is no text": r"""
        import ctypes, os, time
        ctypes.CDLL(None).prctl(15, b"\xff\xfe)\n", 0, 0, 0)
        for _ in range(9):
            if os.fork() == 0:
                kept = bytearray(b"x") * (110 << 20)
                time.sleep(60)
                os._exit(0)
        time.sleep(20)
        raise RuntimeError("no limit holds")
        """,
    "what waits in the sockets of children": """
        import os, socket, time
        kept = []
        def fill():
            try:
                while True:
                    kept.append(socket.socketpair())
                    kept[-1][0].setblocking(False)
                    kept[-1][0].send(bytes(65536))
            finally:
                time.sleep(60)
        for _ in range(20):
            if os.fork() == 0:
                try: fill()
                finally: os._exit(0)
        time.sleep(2)
        raise RuntimeError("no limit holds")
        """,
}
# Nothing here takes more than a small machine has, should no limit stop it.
MEMORY = UNCOUNTED | {
    "at once": "kept = bytearray(3 << 30)",
    "at once, by numpy": "import numpy as np\nkept = np.ones(3 << 27)",
    "slowly": "kept = []\nfor _ in range(300):\n    kept.append(bytearray(10 << 20))",
    "by a string that doubles": "s = 'x' * (1 << 20)\nfor _ in range(12): s += s",
    "in children": """
        import os
        for _ in range(4):
            if os.fork() == 0:
                kept = bytearray(600 << 20)
                import time
                time.sleep(60)
                os._exit(0)
        kept = bytearray(600 << 20)
        raise RuntimeError("no limit holds")
        """,
    "in shared memory": (
        "import mmap\nkept = mmap.mmap(-1, 2 << 30)\n"
        "for n in range(0, 2 << 30, 4096): kept[n] = 1\nraise RuntimeError('no limit holds')"
    ),
    "in a file of no disk": (
        "import os\nfd = os.memfd_create('x')\n"
        "for _ in range(200): os.write(fd, bytes(10 << 20))\nraise RuntimeError('no limit holds')"
    ),
}


DISK = {
    "one file": "f = open('big', 'wb')\nfor _ in range(20): f.write(bytes(10 << 20)); f.flush()",
    "many files": (
        "for n in range(4000):\n    with open(f'f{n}', 'wb') as f: f.write(bytes(1 << 16))"
    ),
    "the temporary folder": (
        "import tempfile\nkept = []\n"
        "for _ in range(20):\n"
        "    kept.append(tempfile.NamedTemporaryFile())\n"
        "    kept[-1].write(bytes(10 << 20)); kept[-1].flush()"
    ),
    "a file with a hole": "f = open('big', 'wb')\nf.truncate(1 << 40)",
    "a file that is mapped": (
        "import mmap, os\nf = open('big', 'w+b')\nf.truncate(300 << 20)\n"
        "m = mmap.mmap(f.fileno(), 0)\nfor n in range(0, 300 << 20, 4096): m[n] = 1"
    ),
    "shared memory": (
        "f = open('/dev/shm/' + str(__import__('os').getpid()), 'wb')\n"
        "for _ in range(20): f.write(bytes(10 << 20)); f.flush()"
    ),
}


# As many files as its time lets it make, and folders that nobody may enter.
LITTER = """
    import os
    for n in range(20000):
        try:
            open(f"n{n}", "x").close()
        except OSError:
            break
    deep = "d"
    for _ in range(300):
        try:
            os.mkdir(deep)
            os.chdir(deep)
        except OSError:
            break
    os.chmod(".", 0)
    """
DESCRIPTORS = "kept = []\nfor _ in range(100_000):\n    kept.append(open('/dev/null'))"
BUSY_CHILDREN = """
    import os
    for _ in range(4):
        if os.fork() == 0:
            while True: pass
    while True: pass
    """


@pytest.fixture(scope="module")
def in_cells(attacks):
    """The verdicts on half-right answers in which a cell takes all there is."""
    disk = {d: f"{source}\nraise SystemError('no limit holds')" for d, source in DISK.items()}
    return attacks(
        MEMORY
        | disk
        | {"litter": LITTER, "descriptors": DESCRIPTORS, "busy children": BUSY_CHILDREN},
        **LIMITS,
    )


@pytest.mark.parametrize("memory", MEMORY)
def test_too_much_memory_in_a_cell_meets_its_limit(in_cells, notes, memory):
    assert in_cells[memory]["score"] == HALF
    said = str(notes(in_cells[memory]))
    assert "no limit holds" not in said
    words = ("MemoryError", "700 MiB", "SIGKILL", "OSError", "NotFoundError", "PermissionError",
             "sockets")  # fmt: skip
    assert any(word in said for word in words), said


@pytest.mark.parametrize("disk", DISK)
def test_too_much_disk_meets_its_limit(in_cells, notes, disk):
    assert in_cells[disk]["score"] == HALF
    said = str(notes(in_cells[disk]))
    assert "no limit holds" not in said, said
    assert "cell 0" in said


def test_files_without_number_are_gone_afterwards(in_cells):
    """The scratch folder is removed, whatever was made of it."""
    assert in_cells["litter"]["status"] == "graded"


def test_every_descriptor_opened_is_an_error_of_the_cell(in_cells, notes):
    assert in_cells["descriptors"]["status"] == "graded"
    assert "open files" in str(notes(in_cells["descriptors"]))


def test_processor_time_in_children_counts_as_the_cell_s(in_cells, notes):
    assert "cell 0" in notes(in_cells["busy children"])["cell_timeout"]
    assert in_cells["busy children"]["score"] == HALF


GREEDY = {
    "memory": ("kept = [bytearray(10 << 20) for _ in range(300)]\nreturn len(kept)", "MemoryError"),
    "descriptors": ("kept = [open('/dev/null') for _ in range(100_000)]\nreturn 0.0", "open"),
    "disk": ("open('big', 'wb').write(bytes(100 << 20))\nreturn 0.0", "32 MiB"),
}


@pytest.fixture(scope="module")
def in_functions(inside):
    return inside({greedy: body for greedy, (body, _) in GREEDY.items()}, **LIMITS)


@pytest.mark.parametrize("greedy", GREEDY)
def test_a_function_that_takes_too_much_costs_its_exercise(in_functions, messages, greedy):
    assert in_functions[greedy]["score"] == RIGHT_BUT_FOR_THAT
    assert GREEDY[greedy][1] in messages(in_functions[greedy])["square"]
