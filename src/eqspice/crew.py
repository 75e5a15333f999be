"""Who runs the members of a study: processes of this machine, or the workers of a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Protocol

from eqspice.errors import InputError


class Crew(Protocol):
    """Workers that each run one call at a time; a context manager, at whose end they are let go.

    Attributes:
        deaths: errors of a call whose worker died.
    """

    deaths: tuple[type[BaseException], ...]

    @property
    def size(self) -> int:
        """How many calls can run at a time."""

    def submit(self, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Starts a call on a worker that is free."""

    def released(self, future: Future[Any], died: bool) -> None:
        """Takes note that a call has ended, and whether its worker died with it."""

    def __enter__(self) -> Crew: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def _leave_with(line: Connection) -> None:
    """In a worker: ends the process once the other end of the line is closed, also by a kill."""

    def watch() -> None:
        wait([line])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class LocalCrew:
    """Processes of this machine. Each is a pool of its own, so that a death concerns only its own call."""

    deaths: tuple[type[BaseException], ...] = (BrokenExecutor,)

    def __init__(self, workers: int) -> None:
        """Starts no process yet.

        Args:
            workers: number of processes.

        Raises:
            InputError: the number is not allowed.
        """
        if workers < 1:
            raise InputError(f"--workers: {workers} is not allowed, at least 1 is needed.")
        self.size = workers
        self._spawn = multiprocessing.get_context("spawn")
        self._ours, self._theirs = self._spawn.Pipe()
        self._idle: list[ProcessPoolExecutor] = []
        self._busy: dict[Future[Any], ProcessPoolExecutor] = {}

    def submit(self, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Starts a call on a process that is free, or on a new one."""
        pool = self._idle.pop() if self._idle else self._new()
        future = pool.submit(call, *arguments)
        self._busy[future] = pool
        return future

    def _new(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, self._spawn, initializer=_leave_with, initargs=(self._theirs,))

    def released(self, future: Future[Any], died: bool) -> None:
        """Keeps the process for the next call, or gives up a dead one."""
        pool = self._busy.pop(future)
        if died:
            pool.shutdown(wait=False)
        else:
            self._idle.append(pool)

    def __enter__(self) -> LocalCrew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._ours.close()  # an interrupted study leaves no process behind
        for pool in (*self._idle, *self._busy.values()):
            pool.shutdown(wait=True, cancel_futures=True)
        self._ours.close()
        self._theirs.close()


class DaskCrew:
    """The workers of a Dask cluster that is running already."""

    def __init__(self, address: str) -> None:
        """Connects to the scheduler.

        Args:
            address: of the scheduler, for example "tcp://10.0.0.1:8786".

        Raises:
            InputError: Dask is not installed, or there is no scheduler at the address.
        """
        try:
            import distributed
        except ImportError:
            raise InputError(
                "--scheduler needs Dask, which is not installed: python -m pip install 'eqspice[fleet]'."
            ) from None
        client: Any = distributed.Client
        try:
            self._client: Any = client(address, timeout="10s", set_as_default=False)
        except (OSError, ValueError) as error:
            raise InputError(f"--scheduler: {address!r} cannot be reached ({error}).") from None
        self.deaths: tuple[type[BaseException], ...] = (distributed.KilledWorker,)
        self._executor = self._client.get_executor(pure=False)

    @property
    def size(self) -> int:
        """Threads of all workers, as many as there are now; 1 while there is none."""
        threads: dict[str, int] = self._client.nthreads()
        return max(1, sum(threads.values()))

    def submit(self, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Hands a call to the scheduler."""
        future: Future[Any] = self._executor.submit(call, *arguments)
        return future

    def released(self, future: Future[Any], died: bool) -> None:
        """Leaves the workers to the scheduler."""

    def __enter__(self) -> DaskCrew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown(wait=error is None)
        self._client.close()
