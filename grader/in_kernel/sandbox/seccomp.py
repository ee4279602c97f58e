"""The system calls that a student's process may not make, as a seccomp filter.

Calls that numerical Python never needs fail with EPERM: sockets except Unix ones, access to other
processes, mounts, new namespaces, keys, BPF, io_uring (which bypasses this filter), kernel modules,
clocks. Calls for memory that counts for no process (SysV segments, memfd) fail with ENOSYS, so that
libraries use their alternative. Shared memory without a file stays allocated while one page of it
is mapped, and pages in a pipe (vmsplice) count for no process either: both fail with EPERM.
Calls that are newer than this list fail with ENOSYS too.

Source: seccomp(2), bpf(4); numbers from arch/x86/entry/syscalls/syscall_64.tbl and
include/uapi/asm-generic/unistd.h of Linux 6.18.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from dataclasses import dataclass
from functools import cache

from grader.in_kernel.sandbox import libc

# name: (x86_64, aarch64); None where the machine has no such call.
REFUSED: dict[str, tuple[int | None, int | None]] = {
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    # mounts and namespaces
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "unshare": (272, 97), "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "open_tree_attr": (467, 467), "statmount": (457, 457),
    "listmount": (458, 458),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262), "fanotify_mark": (301, 263),
    # the kernel's own machinery
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142),
    "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "syslog": (103, 116),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "vhangup": (153, 58),
    "lookup_dcookie": (212, 18), "nfsservctl": (180, 42), "memfd_secret": (447, 447),
    "vmsplice": (278, 75),
    "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None), "uselib": (134, None),
    "ustat": (136, None), "sysfs": (139, None), "_sysctl": (156, None),
    # clocks and names of the machine
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266),
    "adjtimex": (159, 171), "sethostname": (170, 161), "setdomainname": (171, 162),
    "ioprio_set": (251, 30),
}  # fmt: skip
# These fail with ENOSYS: the caller then uses an alternative.
ABSENT: dict[str, tuple[int | None, int | None]] = {
    # Its flags are in memory, which a filter can't read; libc then tries clone(2).
    "clone3": (435, 435),
    "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    "memfd_create": (319, 279),
}  # fmt: skip
# The first number that this list does not cover (Linux 6.18 ends with file_setattr, 469).
_FIRST_UNKNOWN = 470


@dataclass(frozen=True)
class Machine:
    """The values that depend on the processor: the audit code, and the numbers of some calls."""

    column: int
    audit: int
    clone: int
    socket: int
    socketpair: int
    ioctl: int
    personality: int
    kill: int
    mmap: int


MACHINES = {
    "x86_64": Machine(0, 0xC000003E, 56, 41, 53, 16, 135, 62, 9),
    "aarch64": Machine(1, 0xC00000B7, 220, 198, 199, 29, 92, 129, 222),
}

# CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET; the first one shares its
# bit with clone(2)'s exit signal, and only unshare(2) knows it.
_NEW_NAMESPACES = 0x7E020000
_AF_UNIX, _AF_NETLINK = 1, 16
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C  # type into, or paste into, a terminal
_ASK_PERSONALITY = 0xFFFFFFFF
_SHARED_WITHOUT_FILE = 0x21  # MAP_ANONYMOUS with MAP_SHARED or MAP_SHARED_VALIDATE
_ALL_PROCESSES = 0xFFFFFFFF  # kill(-1): where there is no namespace, all of the user's

# struct seccomp_data: int nr; __u32 arch; __u64 instruction_pointer; __u64 args[6]
_NUMBER, _ARCH, _ARGS = 0, 4, 16
_LOAD, _JUMP_EQ, _JUMP_GE, _JUMP_ANY_BIT, _RETURN, _AND = 0x20, 0x15, 0x35, 0x45, 0x06, 0x54
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_MODE_FILTER = 2


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def install() -> None:
    """Refuse these calls from now on, here and in all children.

    Sets no_new_privs, which Linux requires.
    Raises OSError if Linux has no filters or the processor is not in MACHINES.
    """
    code = program_here()
    if code is None:
        raise OSError(f"no list of calls for {platform.machine()}")
    libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
    libc.prctl(libc.PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(_Program(len(code) // 8, code)))


def program_here() -> bytes | None:
    """Return the filter for this processor; None if there is none. A fork knows it."""
    machine = MACHINES.get(platform.machine())
    return None if machine is None else program(machine)


@cache
def program(machine: Machine) -> bytes:
    """Return the filter: struct sock_filter[], 8 bytes an instruction."""
    refuse, absent, none_such = (
        _ERRNO | code for code in (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP)
    )
    code = [
        _instruction(_LOAD, _ARCH),
        # 32-bit calls have other numbers, which the list below does not have.
        _instruction(_JUMP_EQ, machine.audit, 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER),
        _instruction(_JUMP_GE, _FIRST_UNKNOWN, 0, 1),  # includes x32, from 0x40000000 on
        _instruction(_RETURN, absent),
    ]
    for calls, answer in ((REFUSED, refuse), (ABSENT, absent)):
        for numbers in calls.values():
            number = numbers[machine.column]
            if number is not None:
                code += [_instruction(_JUMP_EQ, number, 0, 1), _instruction(_RETURN, answer)]
    code += _by_argument(machine.clone, 0, [(_JUMP_ANY_BIT, _NEW_NAMESPACES, refuse)])
    for number in (machine.socket, machine.socketpair):
        # With EPERM for a netlink socket, libzmq would end the process.
        cases = [(_JUMP_EQ, _AF_UNIX, _ALLOW), (_JUMP_EQ, _AF_NETLINK, none_such)]
        code += _by_argument(number, 0, cases, otherwise=refuse)
    code += _by_argument(
        machine.ioctl, 1, [(_JUMP_EQ, _TIOCSTI, refuse), (_JUMP_EQ, _TIOCLINUX, refuse)]
    )
    code += _by_argument(
        machine.personality, 0, [(_JUMP_EQ, _ASK_PERSONALITY, _ALLOW)], otherwise=refuse
    )
    code += _by_argument(machine.kill, 0, [(_JUMP_EQ, _ALL_PROCESSES, refuse)])
    without_file = [(_JUMP_EQ, _SHARED_WITHOUT_FILE, refuse)]
    code += _by_argument(machine.mmap, 3, without_file, mask=_SHARED_WITHOUT_FILE)
    return b"".join([*code, _instruction(_RETURN, _ALLOW)])


def _by_argument(
    number: int,
    argument: int,
    cases: list[tuple[int, int, int]],
    *,
    otherwise: int = _ALLOW,
    mask: int = 0,
) -> list[bytes]:
    """Return the code that decides one call by the lower half of an argument, and returns.

    cases : (test, value, answer); the first test that holds decides
    mask : the bits of the argument that are tested; 0 for all
    """
    body = [_instruction(_LOAD, _ARGS + 8 * argument)]
    if mask:
        body.append(_instruction(_AND, mask))
    for test, value, answer in cases:
        body += [_instruction(test, value, 0, 1), _instruction(_RETURN, answer)]
    body.append(_instruction(_RETURN, otherwise))
    return [_instruction(_JUMP_EQ, number, 0, len(body)), *body]


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
