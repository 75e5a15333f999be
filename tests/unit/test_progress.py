import io

from eqspice.progress import TrainingProgress


def test_silent_when_not_wanted(capsys):
    with TrainingProgress(False, epochs=2) as bar:
        bar.update(0, 50, 1e-4)
    assert capsys.readouterr() == ("", "")


def test_draws_on_standard_error_only(capsys):
    with TrainingProgress(True, epochs=2) as bar:
        bar.update(0, 50, 1.25e-4)
        bar.update(1, 50, 1.25e-4)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "2/2" in captured.err and "1.250e-04" in captured.err


def test_counts_presentations_from_where_a_resumed_run_stands():
    drawn = io.StringIO()
    with TrainingProgress(True, epochs=2, done=50, per_epoch=50, file=drawn) as bar:
        bar.update(1, 25, 0.0)
    assert "75/100" in drawn.getvalue()
