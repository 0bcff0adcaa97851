"""TensorBoard reads a run's curves: every scalar of every metrics.jsonl, with its value as a 32-bit float.

    python check.py RUN...

Each RUN is a folder of a run, or of a stage. It is read in two ways: by TensorBoard's EventAccumulator, and by TensorBoard itself, which is
started and asked over HTTP, as the page in a browser asks it. Ends with 77 where tensorboard is not installed, with 1 at a difference.
"""

import json
import math
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

try:
    import tensorboard
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError:
    print("skipped: tensorboard is not installed")
    sys.exit(77)


def as_float32(value):
    return math.nan if value is None else struct.unpack("<f", struct.pack("<f", value))[0]


def expected(stage):
    """Scalars by name as the rows have them: step and value."""
    curves = {}
    for line in (stage / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        step = row.pop("step")
        for name, value in row.items():
            curves.setdefault(name, []).append((step, as_float32(value)))
    return curves


def number(value):
    """JSON of TensorBoard's has words for what is no number."""
    return float(value) if not isinstance(value, str) else float(value.replace("Infinity", "inf"))


def same(found, expected):
    # A row has null for what is not finite; the event file has what it was.
    pair_is_same = lambda a, b: a == b if not math.isnan(b) else not math.isfinite(a)
    return len(found) == len(expected) and all(
        f[0] == e[0] and pair_is_same(f[1], e[1]) for f, e in zip(found, expected)
    )


def difference(stage, found, rows):
    """What differs, or nothing."""
    if found.keys() != rows.keys():
        return f"{stage}: names differ: {sorted(found.keys() ^ rows.keys())}"
    for name in rows:
        if not same(found[name], rows[name]):
            return f"{stage}: {name} differs:\n{found[name][:20]}\n{rows[name][:20]}"
    return None


def tell(way, stage, rows):
    print(f"{way}: {stage.name}: {len(rows)} scalars, {sum(map(len, rows.values()))} points are equal")


def by_accumulator(stage):
    # 0 keeps all points; otherwise TensorBoard draws a sample of them.
    events = EventAccumulator(str(stage), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def get(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


class Server:
    """TensorBoard of a folder."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.base = f"http://127.0.0.1:{port}/data/plugin/scalars/"
        self.log = tempfile.TemporaryFile()
        options = ["--logdir", folder, "--port", str(port), "--host", "127.0.0.1"]
        options += ["--samples_per_plugin", "scalars=1000000", "--load_fast", "false"]
        command = [sys.executable, "-m", "tensorboard.main", *options]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT)

    def curves(self, run):
        tags = get(self.base + "tags").get(run, {})
        return {tag: self.scalars(run, tag) for tag in tags}

    def check_alive(self):
        if self.process.poll() is not None:
            self.log.seek(0)
            sys.exit(f"tensorboard ended: {self.log.read().decode()}")

    def scalars(self, run, tag):
        query = urllib.parse.urlencode({"run": run, "tag": tag})
        return [(step, number(value)) for _, step, value in get(self.base + "scalars?" + query)]

    def stop(self):
        self.process.terminate()
        self.process.wait()


def ask(server, folder, rows):
    """Asks until it has read all files to their end, which it does not say: what it does not have then, it will not have."""
    left, fault = list(rows), "no answer"
    for _ in range(180):
        time.sleep(1)
        server.check_alive()
        while left:
            stage = left[0]
            try:
                fault = difference(stage, server.curves(stage.relative_to(folder).as_posix()), rows[stage])
            except OSError:
                break
            if fault:
                break
            tell(f"TensorBoard {tensorboard.__version__} over HTTP", stage, rows[stage])
            left.pop(0)
        if not left:
            return
    sys.exit(f"TensorBoard over HTTP: {fault}")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for folder in sys.argv[1:]:
        stages = sorted(path.parent for path in Path(folder).glob("**/metrics.jsonl"))
        if not stages:
            sys.exit(f"{folder}: no metrics.jsonl in it")
        rows = {stage: expected(stage) for stage in stages}
        for stage in stages:
            fault = difference(stage, by_accumulator(stage), rows[stage])
            if fault:
                sys.exit(f"EventAccumulator: {fault}")
            tell("EventAccumulator", stage, rows[stage])
        server = Server(folder)
        try:
            ask(server, Path(folder), rows)
        finally:
            server.stop()


main()
