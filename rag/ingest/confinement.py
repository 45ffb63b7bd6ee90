"""What a child gives up before it opens a file: its turn, stdout, memory, writing, the network."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import signal
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_LATER = 5
_PR_SET_PDEATHSIG = 1
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _EQUAL, _ANY_BIT, _AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _FLAGS = 0, 4, 16  # offsets in struct seccomp_data
_CLONE_THREAD = 0x00010000
_X32 = 0x40000000

# By machine: its name for the kernel, then the numbers of the calls that parsing never needs:
# sockets, new programs and processes, other processes' memory, io_uring, mounts, kernel modules.
_MACHINES = {
    "x86_64": (
        0xC000003E,
        {"clone": 56, "clone3": 435},
        "41 42 43 44 45 46 47 49 50 53 57 58 59 62 101 155 161 165 166 175 176 200 246 248 249 250"
        " 272 288 298 299 304 307 308 310 311 313 320 321 322 323 424 425 426 427 428 429 430 431"
        " 432 434 438 442",
    ),
    "aarch64": (
        0xC00000B7,
        {"clone": 220, "clone3": 435},
        "39 40 41 51 97 104 105 106 117 129 130 198 199 200 201 202 203 206 207 211 212 217 218 219"
        " 221 241 242 243 265 268 269 270 271 273 280 281 282 294 424 425 426 427 428 429 430 431"
        " 432 434 438 442",
    ),
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def open_answers() -> BinaryIO:
    """Return where a child's answers go: from now on no library that prints gets there."""
    kept = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):
        os.dup2(null, descriptor)
    os.close(null)
    return kept


def give_way() -> None:
    """Let other processes come first, for good: a flood of uploads must not starve answers."""
    os.nice(_LATER)
    # Where Linux weighs whole sessions, what a process says of itself counts within its own only.
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_LATER))


def confine(memory: int, *, descriptors: int = 128) -> list[str]:
    """Give up, for good, what reading a file never needs; return the layers that took hold."""
    layers = []
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    layers.append("no file is written")
    if sys.platform == "linux":  # elsewhere the limit on addresses is not kept
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        layers.append(f"memory up to {memory >> 20:,} MiB")
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        no_new = libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
        if no_new and _filter_calls(libc):
            layers.append("no network, no other program or process (seccomp)")
    return layers


def _filter_calls(libc: ctypes.CDLL) -> bool:
    """Have the kernel refuse the calls of the list; tell whether it does."""
    machine = _MACHINES.get(platform.machine())
    if machine is None or sys.maxsize < 1 << 32:
        return False
    code = _filter(*machine)
    program = _Program(len(code) // 8, code)
    done = libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)
    return bool(done == 0)


def _filter(architecture: int, clones: dict[str, int], refused: str) -> bytes:
    """Return the filter in the kernel's packet language, eight bytes an instruction."""
    denied = _REFUSE | errno.EPERM
    # A jump is relative, so that each test stands with its own end.
    code = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        # Calls of the x32 kind have other numbers for the same things.
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, denied),
        # Threads are welcome; the C library tries clone3 first, whose flags can't be looked at.
        (_EQUAL, 0, 1, clones["clone3"]),
        (_RETURN, 0, 0, _REFUSE | errno.ENOSYS),
    ]
    for number in map(int, refused.split()):
        code += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, denied)]
    code += [
        (_EQUAL, 0, 3, clones["clone"]),
        (_LOAD, 0, 0, _FLAGS),
        (_ANY_BIT, 1, 0, _CLONE_THREAD),
        (_RETURN, 0, 0, denied),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
