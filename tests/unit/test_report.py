"""The report of a run: every section, for runs that finished, failed, or have not begun."""

import io
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from eqspice.analysis import metrics
from eqspice.errors import StorageError
from eqspice.report import animation, figures, plots, style, summary
from eqspice.report.history import read_history
from eqspice.report.html import write_report
from eqspice.report.waveform_figure import phases_of
from eqspice.training.checkpoint import RunFolder
from eqspice.training.experiment import Experiment
from eqspice.training.sections import EngineChoice, Learning, Network
from eqspice.training.tasks import arrays
from eqspice.training.trainer import train_into
from eqspice.waveforms import Waveforms

SECTIONS = ("Fit", "Learning", "Weights", "Waveforms", "Circuit", "Cost", "Settings")
EPOCHS = 3


def experiment(task=None, **changes) -> Experiment:
    if task is None:  # one input and a bias row: a 2-4-1 network
        x = np.linspace(0.0, 5.0, 12)[:, None]
        task = arrays(x, np.sin(x[:, 0]), x[::3] + 0.1, np.sin(x[::3, 0] + 0.1), name="little sine")
    values = {
        "task": task,
        "network": Network(hidden=(4,)),
        "learning": Learning(epochs=EPOCHS, lr=0.01),
        "engine": EngineChoice(fidelity="phase"),
    }
    return Experiment(**(values | changes))


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> RunFolder:
    folder = RunFolder.create(tmp_path_factory.mktemp("runs") / "sine", experiment())
    train_into(folder.experiment(), folder)
    return folder


@pytest.fixture(scope="module")
def reported(trained) -> RunFolder:
    assert write_report(trained) == trained.path / "report.html"
    return trained


@pytest.fixture
def copied(trained, tmp_path) -> RunFolder:
    shutil.copytree(trained.path, tmp_path / "run")
    return RunFolder.open(tmp_path / "run")


class Page(HTMLParser):
    """What a reader of the page gets: headlines, text, pictures, and anything fetched from elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headlines, self.images, self.fetched, self.words = [], [], [], []
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self._open = tag
        if tag == "img":
            self.images.append(values["src"])
        links = [value for name, value in attributes if name in ("src", "href")]
        self.fetched += [link for link in links if not link.startswith(("#", "data:"))]
        self.fetched += [tag] if tag in ("script", "link", "iframe") else []

    def handle_data(self, data):
        if self._open == "h2":
            self.headlines.append(data)
        if self._open != "style":
            self.words.append(data)
        self._open = ""

    @property
    def text(self) -> str:
        return " ".join(self.words)


def test_report_of_a_finished_run(reported):
    page = Page((reported.path / "report.html").read_text(encoding="utf-8"))
    assert tuple(page.headlines) == SECTIONS
    assert not page.fetched, "it must open without a network"
    assert len(page.images) == 5
    manifest = reported.read_manifest()
    assert f"{manifest['results']['test_nrmse']:.3f}" in page.text
    assert f"{manifest['results']['newton_iterations']:,}" in page.text
    assert manifest["circuit"]["hash"] in page.text
    assert "2-4-1" in page.text and "finished" in page.text
    for kind, count in manifest["circuit"]["devices"].items():
        assert re.search(rf"\b{count:,}\s+{summary.KINDS[kind][0]}", page.text), kind
    names = {path.name for path in (reported.path / "figures").iterdir()}
    assert names == {"fit.png", "loss.png", "weights.png", "waveforms.png", "fit_over_epochs.gif"}


def test_pictures_are_images_of_the_epochs(reported):
    with Image.open(reported.path / "figures" / "fit_over_epochs.gif") as gif:
        assert gif.n_frames == EPOCHS
        gif.seek(0)
        first = np.asarray(gif.convert("RGB"))
        gif.seek(EPOCHS - 1)
        assert (np.asarray(gif.convert("RGB")) != first).any()
        assert tuple(first[0, 0]) == (255, 255, 255)
    for name in ("fit", "loss", "weights", "waveforms"):
        with Image.open(reported.path / "figures" / f"{name}.png") as image:
            assert image.width > 1000


def test_a_failed_run_says_why(copied):
    manifest = copied.read_manifest()
    message = "native engine stopped at 0.1 s: node <a> & b"
    copied.write_manifest(manifest | {"status": "failed", "message": message, "results": None})
    (copied.path / "test.npz").unlink()
    page = Page(write_report(copied).read_text(encoding="utf-8"))
    assert tuple(page.headlines) == SECTIONS
    assert message in page.text and "failed" in page.text and "test set was not evaluated" in page.text
    # The work until then is known from the checkpoint.
    assert "Newton iterations" in page.text
    assert len(page.images) == 5


def test_a_run_that_was_killed_says_so(copied):
    copied.write_manifest(copied.read_manifest() | {"status": "running", "results": None})
    (copied.path / "records" / "chunk_00002.npz").unlink()
    (copied.path / "test.npz").unlink()
    page = Page(write_report(copied).read_text(encoding="utf-8"))
    assert "not finished" in page.text and "2 of 3 epochs" in page.text


def test_a_run_that_has_not_begun(tmp_path):
    folder = RunFolder.create(tmp_path / "run", experiment())
    path = write_report(folder, tmp_path / "deep" / "mine.html")
    assert path == tmp_path / "deep" / "mine.html"
    page = Page(path.read_text(encoding="utf-8"))
    assert tuple(page.headlines) == SECTIONS
    assert "has not started" in page.text and not page.images


def test_a_folder_without_a_run_is_an_error(tmp_path):
    with pytest.raises(StorageError, match=r"nothing.*is not the folder of a run"):
        write_report(RunFolder.open(tmp_path / "nothing"))


def test_history_holds_what_the_records_hold(trained):
    history, records = read_history(trained), trained.read_records()
    assert history.presentations == 12 * EPOCHS
    np.testing.assert_array_equal(history.free, np.concatenate([record["free"] for record in records]))
    np.testing.assert_array_equal(history.epochs, np.repeat(np.arange(EPOCHS), 12))
    np.testing.assert_array_equal(history.moments, [0, 12, 24, 36])
    for layer, weights in enumerate(history.weights):
        after = [record[f"weights_{layer}"].ravel() for record in records]
        np.testing.assert_array_equal(weights[1:], after)
        assert np.abs(weights[0] - after[0]).max() > 0.0
    chosen = history.of_epoch(2)
    assert history.nrmse(2) == metrics.nrmse(history.free[chosen], history.y[chosen])


def test_the_target_line_is_in_the_users_unit(trained):
    history = read_history(trained)
    x, y = figures.target_line(history)
    np.testing.assert_allclose(history.task.target_scaling.from_volts(y)[:, 0], np.sin(x), atol=1e-12)


def test_phases_are_where_their_signals_are_high():
    times = np.arange(9.0)
    pulse = np.array([0, 0, 2, 2, 0, 0, 0, 0, 0.0])
    late = np.array([0, 0, 0, 0, 0, 0, 0, 3, 3.0])
    wave = Waveforms(times, ("free", "nudged", "update"), np.stack([pulse, 0 * pulse, late], axis=1))
    assert phases_of(wave) == [("free", 1.5, 3.5), ("update", 6.5, 8.0)]


def test_phases_of_a_differential_circuit():
    """The holds of both nudges follow in the free phase too; the update pulses once per word line."""
    times = np.arange(12.0)
    free = np.array([0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0.0])
    first = free + np.array([0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0.0])
    second = free + np.array([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0.0])
    rate = -0.1 * np.array([0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1.0])
    wave = Waveforms(
        times, ("free", "first", "second", "layer0_rate"), np.stack([free, first, second, rate], 1)
    )
    assert phases_of(wave) == [
        ("free", 0.5, 2.5),
        ("nudge 1", 3.5, 5.5),
        ("nudge 2", 6.5, 7.5),
        ("update", 8.5, 11.0),
    ]


@pytest.mark.parametrize(
    ("kind", "columns", "view"),
    [
        ("regression", 2, "surface"),
        ("regression", 3, "scatter"),
        ("classification", 2, "map"),
        ("classification", 3, "confusion"),
    ],
)
def test_each_kind_of_task_has_its_view(tmp_path, kind, columns, view):
    x = np.random.default_rng(1).random((16, columns))
    y = np.sin(3 * x[:, 0]) if kind == "regression" else np.arange(16) % 3
    task = arrays(x, y, x[:8], y[:8], kind=kind)
    outputs = task.y.shape[1]
    folder = RunFolder.create(tmp_path / "run", experiment(task, network=Network(hidden=(3,))))
    for epoch in range(2):
        near = task.y + 0.01 * (2 - epoch)
        layers = {"weights_0": np.full((columns + 1, 3), 0.1 * epoch), "weights_1": np.zeros((3, outputs))}
        data = {"x": task.x, "y": task.y, "free": near, "nudged": near, "points": np.arange(16)}
        folder.write_record(epoch, data | layers | {"rows": np.zeros((16, 1, 2)), "epoch": np.array(epoch)})
    folder.write_arrays("test", {"x": task.x_test, "y": task.y_test, "predicted": task.y_test + 0.002})
    history = read_history(folder)
    assert figures.view_of(history) == view
    made = figures.make_pictures(history)
    assert set(made) == {"fit", "loss", "weights"}
    for picture in made.values():
        Image.open(io.BytesIO(picture.image)).verify()
    assert animation.animate(history) is not None


def test_trailing_mean_against_a_loop():
    values = np.random.default_rng(0).random(20)
    expected = [values[max(0, k - 4) : k + 1].mean() for k in range(20)]
    np.testing.assert_allclose(plots.trailing_mean(values, 5), expected, rtol=1e-12)


def test_many_epochs_become_few_frames_with_both_ends():
    chosen = animation.frame_epochs(np.arange(300))
    assert len(chosen) <= animation.MOST_FRAMES and chosen[0] == 0 and chosen[-1] == 299
    assert np.all(np.diff(chosen) > 0) and chosen[1] - chosen[0] < chosen[-1] - chosen[-2]


@pytest.mark.parametrize(
    ("value", "unit", "text"), [(2.5e-6, "s", "2.5 µs"), (-0.02, "V", "−20 mV"), (0.0, "V", "0 V")]
)
def test_numbers_in_print(value, unit, text):
    assert style.si(value, unit) == text


def test_confusion_counts():
    counts = metrics.confusion(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2]), 3)
    np.testing.assert_array_equal(counts, [[1, 0, 0], [0, 1, 0], [0, 1, 1]])
