"""Stands for a simulator: reads the deck, writes the raw file of a circuit in which nothing moves.

Which simulator it is, the first argument says; how it misbehaves, the variable STUB.
"""

import os
import re
import struct
import sys
import time
from pathlib import Path

KIND = sys.argv.pop(1)
ACT = os.environ.get("STUB", "")
MAIN, OUT, VERSION, STOP, LABEL = {
    "xyce": ("deck.cir", "run.raw", "Xyce Release 7.9.0-opensource", r"^\.tran \S+ (\S+)", "V({})"),
    "ngspice": ("deck.cir", "run.raw", "ngspice-39 : Circuit level simulation", r"^tran \S+ (\S+)", "v({})"),
    "vacask": ("deck.sim", "tran1.raw", "This is vacask unknown.", r" stop=(\S+)", "{}"),
}[KIND]


def main() -> None:
    deck = re.sub(r"\n\+ ", " ", Path(MAIN).read_text())
    stop = float(re.search(STOP, deck, re.MULTILINE).group(1)) * (0.5 if ACT == "early" else 1.0)
    saved = " ".join(re.findall(r"^(?:\.print|\.save|  save) .*", deck, re.MULTILINE))
    nodes = re.findall(r"v\((\w+)\)", saved)
    start = dict(re.findall(r'(?:"|v\()(\w+)(?:", |\)=)([-0-9.e]+)', deck))
    names = ["time", *(LABEL.format(node.upper() if KIND == "xyce" else node) for node in nodes)]
    row = [float(start.get(node, 0.0)) for node in nodes]
    if ACT == "node":
        names[-1] = "v(nothing)"
    if ACT == "nan":
        row[0] = float("nan")
    if ACT != "nothing":
        Path(OUT).write_bytes(raw(names, row, stop))
    if ACT == "fault":
        print("Fatal error: Timestep too small. Transient analysis aborted.")
    print(
        "  Number Successful Steps Taken:\t\t7\n  Accepted timepoints: 7\nAccepted timepoints = 7", flush=True
    )
    if ACT == "killed":
        os.kill(os.getpid(), 9)
    if ACT != "short":
        print("***** End of Xyce(TM) Simulation")


def raw(names: list[str], row: list[float], stop: float) -> bytes:
    if ACT == "rubbish":
        return bytes(range(256)) * 8
    lines = ["Title: t", "Plotname: Transient Analysis", "Flags: real", f"No. Variables: {len(names)}"]
    lines += ["No. Points: 3", "Variables:", *(f"\t{k}\t{name}\tvoltage" for k, name in enumerate(names))]
    body = b"".join(struct.pack(f"<{len(names)}d", t, *row) for t in (0.0, 0.5 * stop, stop))
    return "\n".join([*lines, "Binary:\n"]).encode() + (body[:-11] if ACT == "half" else body)


if sys.argv[1] in ("-v", "--version", "-h"):
    print(VERSION)
else:
    time.sleep(60 if ACT == "slow" else 0)
    main()
