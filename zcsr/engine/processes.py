"""The engine of several workers: processes on this machine."""

from __future__ import annotations

import atexit
import gc
import multiprocessing
import os
import pickle
import pickletools
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from multiprocessing import resource_tracker
from types import TracebackType
from typing import Any, Generic

import torch

from zcsr.engine.workers import I, R, S
from zcsr.errors import ZcsrError
from zcsr.spaces import SearchSpace, SpaceFile, lend_space, lent_spaces, space_files, use_space_files

_AHEAD = 2
"""Items handed out per worker before their results are taken: enough to keep it busy, few enough to stream."""

_WAIT_SECONDS = 0.2

_state: Any = None


class Processes(Generic[S]):
    """See `zcsr.engine.workers.Workers`; set-up and functions are sent to processes of their own."""

    def __init__(self, count: int, setup: Callable[[], S]) -> None:
        self._count = count
        self._setup = setup
        self._executor: ProcessPoolExecutor | None = None
        self._alone = False

    def __enter__(self) -> Processes[S]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._executor is not None:
            if kind is not None and not issubclass(kind, Exception):
                _terminate(self._executor)  # Ctrl-C: an item may take long, and what it writes is atomic
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None

    def map(self, function: Callable[[S, I], R], items: Iterable[I]) -> Iterator[R]:
        """Yield the results in the items' order, some of which are handed out ahead."""
        if self._executor is None:
            with _interrupts_held():
                known = (space_files(), lent_spaces(), self._setup)
                self._alone = not from_script((*known, function))
                context = multiprocessing.get_context("spawn")
                self._executor = ProcessPoolExecutor(self._count, context, _initialise, known)
        pending: deque[Future[R]] = deque()
        try:
            for item in items:
                # The first item starts the processes, which inherit what is held.
                with _interrupts_held(), _script_unsaid() if self._alone else nullcontext():
                    pending.append(self._executor.submit(_call, function, item))
                if len(pending) > self._count * _AHEAD:
                    yield _result(pending.popleft())
            while pending:
                yield _result(pending.popleft())
        except BrokenProcessPool as error:
            raise ZcsrError(
                "a worker process died, most likely for want of memory; try again with fewer --workers"
            ) from error
        finally:
            for future in pending:
                future.cancel()


def _result(future: Future[R]) -> R:
    """Wait in short spans: one without end does not notice Ctrl-C where another thread receives the signal."""
    while not future.done():
        wait((future,), timeout=_WAIT_SECONDS)
    return future.result()


def from_script(value: object) -> bool:
    """Whether a value is sent with names of the user's script or notebook, or cannot be sent at all."""
    try:
        sent = pickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError):
        return True
    return any(argument == "__main__" for _, argument, _ in pickletools.genops(sent))


@contextmanager
def _script_unsaid() -> Iterator[None]:
    """Let processes started in the body not run the user's script again, which then needs no guard against it."""
    said = vars(sys.modules["__main__"])
    before: dict[str, Any] = {name: said[name] for name in ("__file__", "__spec__") if name in said}
    said.update(dict.fromkeys(before))
    try:
        yield
    finally:
        said.update(before)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Keep Ctrl-C back until the body ends, which would else leave a process half-started."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Ctrl-C is the main thread's business
        return
    held: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    try:
        with _masked_for_children():
            yield
    finally:
        signal.signal(signal.SIGINT, before)
        if held:
            signal.raise_signal(signal.SIGINT)


@contextmanager
def _masked_for_children() -> Iterator[None]:
    """Let the processes started in the body inherit that SIGINT is blocked, where the platform can."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # which would unblock it if it were started in the body
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _terminate(executor: ProcessPoolExecutor) -> None:
    for process in list((executor._processes or {}).values()):
        process.terminate()


def _end_with_parent() -> None:
    """Wait for the parent to end, however it does, and follow it: an idle worker would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _initialise(spaces: Sequence[SpaceFile], lent: Sequence[SearchSpace], setup: Callable[[], Any]) -> None:
    global _state
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    use_space_files(spaces)
    for space in lent:
        lend_space(space)
    _state = setup()
    gc.freeze()  # what a worker starts with stays, and looking through it takes 100 ms every few networks
    atexit.register(gc.unfreeze)  # else packages report as leaked what never became garbage


def _call(function: Callable[[Any, I], R], item: I) -> R:
    return function(_state, item)
