"""A process beside `serve`, for what would keep the interpreter to itself."""

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.process import BaseProcess

NICE = 10


def pool() -> ProcessPoolExecutor:
    """One process, started when it is first given something to do."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _humble)


def _humble() -> None:
    """Leave the machine to others, and do not outlive the parent."""
    os.nice(NICE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to both
    parent = multiprocessing.parent_process()
    if parent:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
