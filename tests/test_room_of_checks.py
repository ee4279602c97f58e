"""A check may take memory, but only so much; afterwards the process is as free as before."""

import resource
import subprocess
import sys

import numpy as np
import pytest

from grader.suite.room import LEAST_MIB, limited_memory, room_of_check

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limit counts only on Linux")


def test_a_check_takes_its_room_and_no_more():
    with limited_memory(100):
        assert np.zeros(50 << 17).sum() == 0
        with pytest.raises(MemoryError):
            np.zeros(150 << 17)
    assert np.zeros(150 << 17).sum() == 0


def test_the_limit_is_what_it_was_afterwards():
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(ValueError), limited_memory(100):
        raise ValueError
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_a_lower_limit_of_the_user_s_stays():
    code = (
        "import resource\n"
        "from grader.suite.room import limited_memory\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 31))\n"
        "with limited_memory(4096):\n"
        "    print(resource.getrlimit(resource.RLIMIT_DATA)[0] == 1 << 30)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr


def test_a_process_that_a_check_starts_may_take_memory():
    code = (
        "from grader.in_kernel.system import lift_memory_limit as lift\nlift(); bytearray(1 << 29)"
    )
    with limited_memory(100):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_assignment_with_large_notebooks_or_replies_gives_its_checks_room():
    assert room_of_check(512, 8) == LEAST_MIB
    assert room_of_check(8192, 64) == 8192
    assert room_of_check(2048, 4096) == 65536
