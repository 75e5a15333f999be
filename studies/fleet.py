"""Two hundred chips that each learn XOR: killed and resumed, on one and two workers, on a Dask cluster.

    python studies/fleet.py --folder runs/fleet

Every part is the command `eqspice study` in a process of its own, as a user starts it: undisturbed on two
local workers; with a worker killed after a quarter of the members and the coordinator after half, then
started again; on a Dask scheduler whose two workers are processes of their own; and on one worker, then on
two, whose wall times say something only while nothing else runs. Adds to
studies/results/fleet.json what is missing there. Needs the extra "fleet".
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import distributed
import psutil
import xarray as xr

RESULT = Path(__file__).parent / "results" / "fleet.json"
SETTINGS = ("xor", "--preset", "reciprocal", "--fidelity", "phase", "--epochs", "3")
SETTINGS += ("--set", "network.hidden=[8]", "--set", "mismatch.sigma=1")
MEMBERS = 200
POLL = 0.1  # s
LIMIT = 1800.0  # s


class Coordinator:
    """A study that runs in a process of its own.

    Attributes:
        folder: of the study.
        peaks: largest resident memory seen, bytes, by process; the coordinator's under its own id.
    """

    def __init__(self, folder: Path, members: int, *options: str) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "eqspice.cli", "study", *SETTINGS, "--quiet", *options]
        command += ["--vary", f"mismatch.seed=0:{members - 1}", "--out", str(folder)]
        self.peaks: dict[int, int] = {}
        self._started = time.monotonic()
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.id = self._process.pid

    def finished(self) -> int:
        """Returns how many members have finished."""
        path = self.folder / "study.json"
        return path.read_text().count('"status": "finished"') if path.exists() else 0

    def running(self) -> list[int]:
        """Returns the processes that run a member at the moment."""
        found = []
        for log in self.folder.glob("members/*/log.txt"):
            if json.loads((log.parent / "manifest.json").read_text())["status"] == "running":
                found.append(int(log.read_text().split("taken by process ")[-1].split()[0]))
        return found

    def look(self) -> None:
        """Takes note of the memory that its processes have now."""
        try:
            own = psutil.Process(self.id)
            for process in (own, *own.children(recursive=True)):
                size = process.memory_info().rss
                self.peaks[process.pid] = max(size, self.peaks.get(process.pid, 0))
        except psutil.NoSuchProcess:
            return

    def until(self, members: int) -> None:
        """Waits until as many members have finished and one is under way."""
        while self.finished() < members or not self.running():
            if self._process.poll() is not None or time.monotonic() - self._started > LIMIT:
                raise RuntimeError(f"{self.folder}: ended at {self.finished()} members, not {members}.")
            time.sleep(POLL)

    def kill(self) -> None:
        """Ends the coordinator as the kernel would."""
        self._process.kill()
        self._process.wait()

    def wait(self) -> float:
        """Returns the seconds from start to end."""
        while self._process.poll() is None:
            self.look()
            time.sleep(POLL)
        if self._process.returncode:
            raise RuntimeError(f"{self.folder}: ended with code {self._process.returncode}.")
        return time.monotonic() - self._started


def dataset(folder: Path) -> xr.Dataset:
    """Returns the results of a study."""
    with xr.open_zarr(folder / "results.zarr", consolidated=False) as found:
        return found.load()


def cpu(folder: Path) -> list[float]:
    """Returns the simulation's CPU seconds of each member."""
    members = json.loads((folder / "study.json").read_text())["members"].values()
    return [member["results"]["cpu_s"] for member in members]


def undisturbed(root: Path) -> dict[str, Any]:
    """All members on two local workers."""
    run = Coordinator(root / "undisturbed", MEMBERS, "--workers", "2")
    run.wait()
    found = dataset(run.folder)
    nrmse = found["test_nrmse"]
    own = run.peaks.pop(run.id)
    return {
        "members": MEMBERS,
        "simulation_cpu_s_per_member": statistics.mean(cpu(run.folder)),
        "peak_rss_coordinator": own,
        "peak_rss_worker": max(run.peaks.values()),
        "test_nrmse": [float(nrmse.quantile(part)) for part in (0.0, 0.5, 0.9, 1.0)],
        "test_accuracy_least": float(found["test_accuracy"].min()),
    }


def same(folder: Path, root: Path) -> dict[str, Any]:
    """Whether a study has the bits of the undisturbed one, and how often its members were taken."""
    logs = [path.read_text() for path in folder.glob("members/*/log.txt")]
    return {
        "identical": dataset(folder).identical(dataset(root / "undisturbed"))
        and (folder / "results.csv").read_bytes() == (root / "undisturbed" / "results.csv").read_bytes(),
        "members": len(logs),
        "members_taken": sum(log.count("taken by process") for log in logs),
    }


def killed(root: Path) -> dict[str, Any]:
    """A worker killed after a quarter, the coordinator after half, and started again."""
    run = Coordinator(root / "killed", MEMBERS, "--workers", "2")
    run.until(MEMBERS // 4)
    victim = run.running()[0]
    os.kill(victim, signal.SIGKILL)
    worker_at = run.finished()
    run.until(MEMBERS // 2)
    workers = run.running()
    coordinator_at = run.finished()
    run.kill()
    gone = time.monotonic() + 30.0
    while any(psutil.pid_exists(process) for process in workers) and time.monotonic() < gone:
        time.sleep(POLL)
    orphans = sum(psutil.pid_exists(process) for process in workers)
    before = run.finished()
    Coordinator(root / "killed", MEMBERS, "--workers", "2").wait()
    return {
        "worker_killed_after": worker_at,
        "coordinator_killed_after": coordinator_at,
        "finished_at_restart": before,
        "workers_that_outlived_it": orphans,
    } | same(run.folder, root)


@contextmanager
def cluster(root: Path) -> Iterator[tuple[str, list[int]]]:
    """Starts a Dask scheduler and two workers, each a process; gives the address and the workers."""
    file = root / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    place = ["--scheduler-file", str(file)]
    workers = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(root)]
    quiet = os.environ | {"DASK_LOGGING__DISTRIBUTED": "error"}
    scheduler = [*dask, "scheduler", *place, "--port", "0", "--no-dashboard"]
    processes = [subprocess.Popen(scheduler, env=quiet)]
    try:
        while not file.exists():
            time.sleep(POLL)
        processes += [subprocess.Popen([*dask, "worker", *place, *workers], env=quiet) for _ in range(2)]
        address = json.loads(file.read_text())["address"]
        with distributed.Client(address) as client:
            client.wait_for_workers(2)  # a study asks for their number when it starts
        yield address, [process.pid for process in processes[1:]]
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()


def on_dask(root: Path) -> dict[str, Any]:
    """All members on a Dask cluster."""
    with cluster(root) as (address, workers):
        run = Coordinator(root / "dask", MEMBERS, "--scheduler", address)
        run.wait()
    logs = [path.read_text() for path in run.folder.glob("members/*/log.txt")]
    shares = [sum(f"process {worker} " in log for log in logs) for worker in workers]
    return {"members_by_worker": shares} | same(run.folder, root)


def busy() -> tuple[float, float]:
    """Returns CPU seconds of the whole machine, and of the processes that this one has seen end."""
    machine, own = psutil.cpu_times(), resource.getrusage(resource.RUSAGE_CHILDREN)
    return machine.user + machine.nice + machine.system, own.ru_utime + own.ru_stime


def speed(root: Path) -> dict[str, Any]:
    """The same members on one worker and on two, whether both give the same, and what else used the CPU."""
    walls, others, folders = [], [], [root / "one worker", root / "two workers"]
    for workers, folder in enumerate(folders, 1):
        before = busy()
        walls.append(Coordinator(folder, MEMBERS, "--workers", str(workers)).wait())
        machine, own = (after - then for after, then in zip(busy(), before, strict=True))
        others.append((machine - own) / walls[-1])
    return {
        "members": MEMBERS,
        "wall_s": walls,
        "ratio": walls[0] / walls[1],
        "cores_busy_with_other_things": others,
        "simulation_cpu_s_per_member": [statistics.mean(cpu(folder)) for folder in folders],
        "identical": dataset(folders[0]).identical(dataset(folders[1])),
    }


PARTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "undisturbed": undisturbed,
    "killed": killed,
    "dask": on_dask,
    "speed": speed,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--folder", type=Path, help="for the studies' own files; empty, kept")
    options = parser.parse_args()
    known: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    root = options.folder or Path(tempfile.mkdtemp())
    root.mkdir(parents=True, exist_ok=True)
    for part in options.parts:
        known[part] = PARTS[part](root)
        RESULT.write_text(json.dumps(known, indent=1) + "\n")
        print(part, json.dumps(known[part], indent=1), flush=True)


if __name__ == "__main__":
    main()
