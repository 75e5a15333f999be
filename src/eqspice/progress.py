"""A progress bar on standard error, so that standard output stays clean for results."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

_SPEED_WINDOW = 600.0  # seconds over which the remaining time is estimated


@contextlib.contextmanager
def working(show: bool, text: str) -> Iterator[None]:
    """Shows on standard error that something without a known length is under way.

    Args:
        show: False shows nothing.
        text: what is done.
    """
    if not show:
        yield
        return
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        console.print(f"{text} …")
        yield
        return
    with console.status(f"{text} …"):
        yield


class TrainingProgress:
    """Shows epoch, loss, presentations per second and remaining time; silent when not wanted.

    Use as a context manager. The bar counts presentations when their number per epoch is known, else
    epochs.
    """

    def __init__(
        self,
        show: bool,
        epochs: int,
        done: int = 0,
        per_epoch: int = 0,
        description: str = "training",
        file: IO[str] | None = None,
    ) -> None:
        """Prepares the bar; nothing is drawn before the context is entered.

        Args:
            show: False draws nothing at all.
            epochs: epochs of the whole run.
            done: what an earlier process did already: presentations if per_epoch is given, else epochs.
            per_epoch: presentations per epoch, 0 when unknown.
            description: text before the bar.
            file: where to draw instead of standard error.
        """
        self._per_epoch = per_epoch
        self._total = epochs * (per_epoch or 1)
        self._done = min(done, self._total)
        self._presented = 0
        self._started = 0.0
        self._description = description
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        if show:
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("loss {task.fields[loss]}"),
                TextColumn("{task.fields[rate]} samples/s"),
                TimeRemainingColumn(),
                console=Console(file=file or sys.stderr),
                speed_estimate_period=_SPEED_WINDOW,
            )

    def __enter__(self) -> TrainingProgress:
        self._started = time.perf_counter()
        if self._progress is not None:
            self._progress.start()
            self._task = self._progress.add_task(
                self._description, total=self._total, completed=self._done, loss="–", rate="–"
            )
        return self

    def update(self, epoch: int, presentations: int, loss: float) -> None:
        """Counts presentations that were just trained.

        Args:
            epoch: in which they were, from zero.
            presentations: how many.
            loss: their mean squared error, V².
        """
        self._presented += presentations
        if self._progress is None or self._task is None:
            return
        elapsed = time.perf_counter() - self._started
        completed = self._done + self._presented if self._per_epoch else epoch + 1
        self._progress.update(
            self._task,
            completed=min(completed, self._total),
            loss=f"{loss:.3e} V²",
            rate=f"{self._presented / elapsed:.1f}" if elapsed > 0 else "–",
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()


class StudyProgress:
    """Shows how many members of a study have finished or failed, which run, and the remaining time."""

    def __init__(self, show: bool, members: int, done: int = 0, file: IO[str] | None = None) -> None:
        """Prepares the bar; nothing is drawn before the context is entered.

        Args:
            show: False draws nothing at all.
            members: of the whole study.
            done: how many an earlier start finished.
            file: where to draw instead of standard error.
        """
        self._failed = 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[failed]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[running]}"),
            console=Console(file=file or sys.stderr),
            speed_estimate_period=_SPEED_WINDOW,
            disable=not show,
        )
        self._task = self._progress.add_task("members", total=members, completed=done, failed="", running="")

    def __enter__(self) -> StudyProgress:
        self._progress.start()
        return self

    def update(self, running: Sequence[str]) -> None:
        """Names the members that run now."""
        more = f" and {len(running) - 2} more" if len(running) > 2 else ""
        self._progress.update(self._task, running=", ".join(running[:2]) + more)

    def finished(self, name: str, failure: str | None) -> None:
        """Counts a member.

        Args:
            name: of the member.
            failure: why it failed; None if it did not.
        """
        if failure is not None:
            self._failed += 1
            if not self._progress.disable:
                text = f"failed: {name}: {failure}"
                self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
        failed = f"{self._failed} failed" if self._failed else ""
        self._progress.update(self._task, advance=1, failed=failed)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()
