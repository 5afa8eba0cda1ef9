"""
Several processes behind one address. Each serves by itself; the one that was started only looks after them.

They are forked before anything is opened, so they share the memory of the program. The kernel spreads connections.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType

RESTART_SECONDS = 1.0  # at least between two starts of one process, so that one that dies at once does no harm
_PR_SET_PDEATHSIG = 1  # prctl(2)


def supervise(count: int, work: Callable[[int, Callable[[], None]], None]) -> None:
    """
    Run `work(0, …)` … `work(count - 1, …)`, each in a process of its own, until SIGTERM or SIGINT ends them all.

    The first calls what it is given when it is ready; only then the others start, and find everything made.

    A process that was killed is started again. One that ends by itself ends all, with its exit code.
    """
    children: dict[int, tuple[int, float]] = {}
    code = 0
    is_stopping = False

    def stop(number: int, _frame: FrameType | None = None) -> None:
        nonlocal is_stopping
        is_stopping = True
        for pid in list(children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def start(number: int, is_ready: Callable[[], None] = lambda: None) -> None:
        pid = os.fork()
        if pid == 0:
            _become_child()
            work(number, is_ready)
            sys.exit(0)
        children[pid] = (number, time.monotonic())

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    waiting, telling = os.pipe()
    start(0, lambda: os.close(telling))
    os.close(telling)
    os.read(waiting, 1)  # ends when the first is ready, or gone
    os.close(waiting)
    if not is_stopping:
        for number in range(1, count):
            start(number)
    while children:
        pid, status = os.wait()
        number, began = children.pop(pid)
        if is_stopping:
            continue
        if os.WIFSIGNALED(status):
            time.sleep(max(0.0, began + RESTART_SECONDS - time.monotonic()))
            if not is_stopping:
                start(number)
            continue
        code = os.WEXITSTATUS(status)
        stop(signal.SIGTERM)
    if code:
        sys.exit(code)


def _become_child() -> None:
    # A terminal's Ctrl-C reaches a whole group: it would come here twice, and the second time means "at once".
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
