"""What takes all there is of something meets its own limit, which the report names."""

import pytest

MAX = 8.0
LIMITS = "memory_mib = 700\nscratch_mib = 32\nopen_files = 256\n"

# Nothing here takes more than a small machine has, should no limit stop it.
MEMORY = {
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


@pytest.mark.parametrize("memory", MEMORY)
def test_too_much_memory_in_a_cell_meets_its_limit(host, attack, notes, memory):
    host.write_assignment(limits=LIMITS)
    verdict = attack(MEMORY[memory])
    assert verdict.right["score"] == MAX
    said = str(notes(verdict.right))
    assert "no limit holds" not in said
    assert "MemoryError" in said or "700 MiB" in said or "SIGKILL" in said or "OSError" in said, (
        said
    )


def test_too_much_memory_in_a_function_costs_its_exercise(host, points, messages):
    host.write_assignment(limits=LIMITS)
    greedy = "kept = [bytearray(10 << 20) for _ in range(300)]\nreturn len(kept)"
    verdict = host.grade(host.right(sigmoid=greedy), host.right(name="honest"))
    assert points(verdict["right"]) == {"square": 2.0, "sigmoid": 0.0, "gradient": 3.0}
    assert "MemoryError" in messages(verdict["right"])["sigmoid"]
    assert verdict["honest"]["score"] == MAX


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


@pytest.mark.parametrize("disk", DISK)
def test_too_much_disk_meets_its_limit(host, attack, notes, disk):
    host.write_assignment(limits=LIMITS)
    verdict = attack(DISK[disk] + "\nraise SystemError('no limit holds')")
    assert verdict.right["score"] == MAX
    said = str(notes(verdict.right))
    assert "no limit holds" not in said, said
    assert "cell 0" in said


def test_a_million_files_are_gone_afterwards(host, attack):
    """As many as its time lets it make; the scratch folder is removed all the same."""
    source = """
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
    host.write_assignment(limits=LIMITS)
    assert attack(source).right["status"] == "graded"


def test_every_descriptor_opened_is_an_error_of_the_cell(host, attack, notes):
    host.write_assignment(limits=LIMITS)
    verdict = attack("kept = []\nfor _ in range(100_000):\n    kept.append(open('/dev/null'))")
    assert verdict.right["status"] == "graded"
    assert "open files" in str(notes(verdict.right))


def test_every_descriptor_opened_in_a_function_costs_its_exercise(host, points):
    host.write_assignment(limits=LIMITS)
    greedy = "kept = [open('/dev/null') for _ in range(100_000)]\nreturn z"
    verdict = host.grade(host.right(sigmoid=greedy), host.right(name="honest"))
    assert points(verdict["right"]) == {"square": 2.0, "sigmoid": 0.0, "gradient": 3.0}
    assert verdict["honest"]["score"] == MAX


def test_processor_time_in_children_counts_as_the_cell_s(host, attack, notes):
    source = """
        import os
        for _ in range(4):
            if os.fork() == 0:
                while True: pass
        while True: pass
        """
    verdict = attack(source)
    assert "cell 0" in notes(verdict.right)["cell_timeout"]
    assert verdict.right["score"] == MAX
