"""`eqspice report` and `eqspice characterize` as a user runs them."""


def test_report_needs_a_run(eqspice_here):
    code, out, error = eqspice_here("report", "nowhere")
    assert code == 1 and not out
    assert "nowhere" in error and "not the folder of a run" in error


def test_characterize_names_its_page(eqspice_here, tmp_path):
    code, out, _ = eqspice_here("characterize", "synapse", "--preset", "resistive", "--temperature", "85")
    assert code == 0
    page = tmp_path / out.split()[1]
    assert page.is_file() and "85 °C" in page.read_text(encoding="utf-8")


def test_characterize_refuses_a_wrong_corner(eqspice_here):
    code, _, error = eqspice_here("characterize", "all", "--corner", "slow")
    assert code == 1 and "corner: 'slow' is not known" in error and "tt" in error


def test_help_shows_examples(eqspice_here):
    for command in ("report", "characterize"):
        code, out, _ = eqspice_here(command, "--help")
        assert code == 0 and f"eqspice {command} " in out.split("Examples:")[1]


def test_help_does_not_load_the_plotting_library(environment):
    import subprocess
    import sys

    script = "import sys, eqspice.cli; sys.exit(any(m.split('.')[0] == 'matplotlib' for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], env=environment, timeout=60).returncode == 0
