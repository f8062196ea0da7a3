"""The numbers of Notebook 17 beside ours."""

import notebook17_table as table
import pytest

pytestmark = pytest.mark.backend_free


def rows(seconds):
    return [
        {"model": model, "epoch": epoch} | ({"seconds": value * epoch} if epoch else {})
        for model, value in seconds.items()
        for epoch in range(3)
    ]


def test_a_deep_machine_is_trained_as_fast_as_all_of_its_machines_together():
    ours = rows({"rbm": 1.0, "dbm_layer1": 1.0, "dbm_layer2": 1.0, "dbm": 2.0})
    theirs = rows({"rbm": 2.0, "dbm_layer1": 2.0, "dbm_layer2": 4.0, "dbm": 6.0})
    assert table.speedups(ours, theirs) == (
        "trained faster than in the notebook: rbm 2.0 times (3.0 s instead of 6.0 s), "
        "dbm 3.0 times (12.0 s instead of 36.0 s)"
    )
    assert "| dbm_layer2 | 1.500 | 6.000 | 4.0 |" in table.seconds_table(ours, theirs)


def test_seconds_are_compared_over_the_epochs_that_both_have():
    ours = [row for row in rows({"rbm": 1.0}) if row["epoch"] < 2]
    assert "(1.0 s instead of 2.0 s)" in table.speedups(ours, rows({"rbm": 2.0}))


@pytest.mark.parametrize(
    ("model", "epoch", "excess", "holds"),
    [("rbm", 1, 0.08, True), ("rbm", 20, 0.08, False), ("rbm_l1", 20, -0.05, True)],
)
def test_band_of_squared_weights_is_narrower_after_the_last_epoch(model, epoch, excess, holds):
    band = table.band_of({"model": model, "epoch": epoch}, "WeightSquare")
    assert band.holds(200 * (1 + excess), 200) is holds


def test_squared_weights_of_the_hopfield_model_have_no_band():
    assert table.band_of({"model": "hopfield", "epoch": 20}, "WeightSquare") is None
