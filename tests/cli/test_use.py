"""`eqspice use`: a trained network on other chips, and mistakes."""

import json


def test_figures_per_chip_and_over_chips(eqspice_here, tmp_path):
    small = ("--preset", "reciprocal", "--fidelity", "phase", "--epochs", "1", "--set", "network.hidden=[2]")
    more = ("--set", "task.options.samples=8", "--set", "learning.update_gain=[1.0,0.01]", "--quiet")
    assert eqspice_here("train", "xor", *small, *more, "--out", "run")[0] == 0
    chips = ("--set", "pdk.corner=ss", "--set", "mismatch.sigma=1", "--chips", "4:6")
    code, out, _ = eqspice_here("use", "run", *chips, "--json")
    assert code == 0
    found = json.loads(out)
    assert [each["chip"] for each in found["chips"]] == [4, 5, 6]
    assert len({each["test_nrmse"] for each in found["chips"]}) == 3
    code, out, _ = eqspice_here("use", "run", *chips)
    assert f"test_nrmse: {found['summary']['test_nrmse']:.4f}, standard deviation" in out
    for wrong, message in ((("--chips", "6:4"), "first:last"), (("--set", "task.name=sine"), "pdk, engine")):
        code, _, err = eqspice_here("use", "run", *wrong)
        assert code == 1 and message in err
