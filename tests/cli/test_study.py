"""`eqspice study`: results, and mistakes."""

SMALL = ("study", "sine", "--fidelity", "phase", "--epochs", "1", "--workers", "1")
SMALL += ("--set", "network.hidden=[2]", "--set", "task.options.samples=6", "--set", "learning.rows=parallel")


def test_a_study_says_what_it_found(eqspice, tmp_path):
    command = (*SMALL, "--vary", "seed=0:1", "--vary", "preset=reciprocal|reference", "--out", "study")
    done = eqspice(*command)
    assert done.returncode == 1, done.stderr
    assert "train_nrmse: median" in done.stdout and "2 of 4 members finished: study" in done.stdout
    assert done.stderr.count("failed: 000") == 4  # as it happens, and in the end
    lines = (tmp_path / "study" / "results.csv").read_text().splitlines()
    assert lines[0].startswith("seed,preset,") and len(lines) == 5


def test_mistakes_end_with_one_message(eqspice_here, tmp_path):
    for vary, part in (("seed", "key=a|b|c"), ("pdk.corner=tt|xx", "'xx' is not allowed")):
        code, out, err = eqspice_here(*SMALL, "--preset", "reciprocal", "--vary", vary, "--out", "study")
        assert code == 1 and not out and part in err and "Traceback" not in err
        assert not (tmp_path / "study").exists()


def test_a_scheduler_that_is_not_there(eqspice_here):
    code, _, err = eqspice_here(
        *SMALL,
        "--vary",
        "seed=0|1",
        "--preset",
        "reciprocal",
        "--out",
        "study",
        "--scheduler",
        "nonsense://x",
    )
    assert code == 1 and "--scheduler: 'nonsense://x' cannot be reached" in err
