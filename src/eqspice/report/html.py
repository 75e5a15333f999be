"""The report of a run: one HTML file that needs nothing else, and its pictures as files of their own."""

from __future__ import annotations

import base64
from html import escape
from importlib import resources
from pathlib import Path

from eqspice.report import summary
from eqspice.report.animation import animate
from eqspice.report.figures import Picture, make_pictures
from eqspice.report.history import History, read_history
from eqspice.training import storage
from eqspice.training.checkpoint import RunFolder

FIGURES = "figures"


def write_report(folder: RunFolder, out: Path | None = None) -> Path:
    """Writes the report of a run, whatever its status, and its pictures below figures/ of the run.

    Args:
        folder: the run.
        out: of the HTML file; None for report.html in the run folder.

    Returns:
        where the report is.

    Raises:
        StorageError: the run is damaged, or a file cannot be written.
        InputError: the run's data cannot be had again (a csv file that is gone).
    """
    history = read_history(folder)
    pictures = make_pictures(history)
    moving = animate(history)
    if moving is not None:
        pictures["animation"] = moving
    storage.make_folder(folder.path / FIGURES)
    for picture in pictures.values():
        storage.write_bytes(folder.path / FIGURES / f"{picture.name}.{picture.kind}", picture.image)
    target = folder.path / "report.html" if out is None else Path(out)
    storage.make_folder(target.parent)
    storage.write_bytes(target, page(history, pictures).encode())
    return target


def page(history: History, pictures: dict[str, Picture]) -> str:
    """Returns the report as HTML with everything inside it."""
    sections = [
        ("Fit", _fit(history, pictures)),
        ("Learning", _shown(pictures, "loss", "There are no presentations yet.")),
        ("Weights", _shown(pictures, "weights", "No chunk of presentations was finished.")),
        ("Waveforms", _shown(pictures, "waveforms", "No waveforms were kept.")),
        *([("Gradient", _gradient(history, pictures))] if history.checks else []),
        ("Circuit", _circuit(history)),
        ("Cost", _pairs(summary.cost_rows(history)) or _note("Nothing was simulated.")),
        ("Settings", _settings(history)),
    ]
    links = "".join(f'<a href="#{name.lower()}">{name}</a>' for name, _ in sections)
    body = "".join(
        f'<section id="{name.lower()}"><h2>{name}</h2>{content}</section>' for name, content in sections
    )
    return document(
        f"{summary.title(history)} – eqspice",
        f"{_head(history)}<nav>{links}</nav>{body}",
        f"eqspice {history.manifest.get('versions', {}).get('eqspice', '')} · seed "
        f"{history.experiment.seed} · {escape(history.experiment.hash[:12])}",
    )


def document(title: str, body: str, foot: str) -> str:
    """Returns a whole HTML page in the house style.

    Args:
        title: of the window, plain text.
        body: HTML.
        foot: last line, HTML.
    """
    style = resources.files("eqspice.report").joinpath("page.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head>"
        f"<body><main>{body}<footer>{foot}</footer></main></body></html>\n"
    )


def figure(picture: Picture, extra: str = "") -> str:
    """Returns a picture inside the page, with its caption.

    Args:
        picture: to show.
        extra: CSS class.
    """
    data = base64.b64encode(picture.image).decode()
    return (
        f'<figure class="{extra}"><img src="data:image/{picture.kind};base64,{data}" '
        f'alt="{escape(picture.caption)}"><figcaption>{escape(picture.caption)}</figcaption></figure>'
    )


def _head(history: History) -> str:
    status, learning = history.status, history.experiment.learning
    tags = [
        f"{history.experiment.engine.fidelity} fidelity",
        f"{learning.epochs} epochs",
        f"seed {history.experiment.seed}",
    ]
    facts = "".join(
        f'<div class="fact"><b>{escape(fact.value)}</b><span>{escape(fact.name)}</span>'
        f"<small>{escape(fact.note)}</small></div>"
        for fact in summary.key_figures(history)
    )
    return (
        f'<header><p class="tags"><span class="status {escape(status)}">{escape(status)}</span>'
        f"{''.join(f'<span>{escape(tag)}</span>' for tag in tags)}</p>"
        f"<h1>{escape(summary.title(history))}</h1>"
        f'<p class="lead">{escape(history.task.description)}</p></header>'
        f'{_warning(history)}<div class="facts">{facts}</div>'
    )


def _warning(history: History) -> str:
    if history.status == "finished":
        return ""
    text = summary.STATUS.get(history.status, f"The status of this run is {history.status!r}.")
    message = history.manifest.get("message")
    detail = f"<pre>{escape(str(message))}</pre>" if message else ""
    return f'<div class="warning {escape(history.status)}"><p>{escape(text)}</p>{detail}</div>'


def _fit(history: History, pictures: dict[str, Picture]) -> str:
    if "fit" not in pictures:
        return _note("There are no presentations yet.")
    note = "" if history.test is not None else _note("The test set was not evaluated.")
    moving = figure(pictures["animation"], "narrow") if "animation" in pictures else ""
    return figure(pictures["fit"]) + note + moving


def _shown(pictures: dict[str, Picture], name: str, without: str) -> str:
    return figure(pictures[name]) if name in pictures else _note(without)


def _gradient(history: History, pictures: dict[str, Picture]) -> str:
    parts = []
    for name, check in history.checks.items():
        lines = "".join(f"<li>{escape(line)}</li>" for line in check.verdict)
        title = "Before training" if name == "initial" else "After training"
        parts.append(f"<h3>{title}</h3>{figure(pictures[f'gradient_{name}'])}<ul>{lines}</ul>")
    return "".join(parts)


def _circuit(history: History) -> str:
    rows = "".join(
        f'<tr><td class="count">{count}</td><td>{escape(kind)}</td><td>{escape(purpose)}</td>'
        f'<td class="ideal">{escape(idealised)}</td></tr>'
        for count, kind, purpose, idealised in summary.circuit_rows(history)
    )
    head = (
        '<tr><th class="count">count</th><th>device</th><th>purpose</th><th>what is ideal about it</th></tr>'
    )
    table = f'<div class="wide"><table>{head}{rows}</table></div>' if rows else ""
    return (
        f"<p>{escape(summary.circuit_sentence(history))}</p>{table}"
        f"<h3>Design</h3>{_pairs(summary.design_rows(history))}"
    )


def _settings(history: History) -> str:
    return (
        f"{_pairs(summary.setting_rows(history))}<h3>Versions and engine</h3>"
        f"{_pairs(summary.version_rows(history))}"
    )


def _pairs(rows: list[tuple[str, str]]) -> str:
    items = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in rows)
    return f"<dl>{items}</dl>" if items else ""


def _note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>'
