"""The table at the end of a run."""

import json

from support.archives import archive_of, folder_of

from utils.records.summary import table


def test_table(simulate):
    records = simulate("--n_models 2 --lr 800 3000")
    header, *rows = simulate.table.strip().splitlines()
    assert header.split()[:6] == ["field", "lr", "var", "resistor", "clipping", "n"]
    assert len(rows) == 2
    for row, lr in zip(rows, ("800", "3000"), strict=True):
        of_rate = [r.json for r in records if r.json["optimizer_parameters"]["lr"] == float(lr)]
        assert f" {lr} " in row
        mean = sum(r["accuracy"] for r in of_rate) / 2
        deviation = abs(of_rate[0]["accuracy"] - of_rate[1]["accuracy"]) / 2**0.5
        assert f"{mean:.2f} ± {deviation:.2f}" in row
        assert row.endswith(next(r.folder.name for r in records if f"-{lr}.0-" in r.folder.name))


def test_the_table_has_a_column_of_write_noise_where_there_is_some(simulate):
    simulate("--write_noise 0 0.02")
    header, *rows = simulate.table.strip().splitlines()
    assert header.split()[4:7] == ["write", "clipping", "n"]
    assert [row.split()[4:7] for row in rows] == [["0", "0", "1"], ["0.02", "0", "1"]]


def test_a_record_that_is_missing_is_counted_in_the_table(simulate):
    """On a network file system, files of another machine may not be visible yet."""
    records = simulate("--n_models 3 --lr 1000 3000")
    folders = [folder_of(record) for record in records[::3]]
    folders[0].json(1).unlink()
    for model in range(3):
        folders[1].json(model).unlink()
    text = table(archive_of(*folders), n_models=3)
    rows = {line.split()[1]: line for line in text.splitlines()[1:]}
    of_1000, of_3000 = rows["1000"], rows["3000"]
    assert "  2 (1 missing)  " in of_1000
    left = [r.json["accuracy"] for r in records[:3:2]]
    assert f"  {sum(left) / 2:.2f} ± {abs(left[0] - left[1]) / 2**0.5:.2f}  " in of_1000
    assert of_3000.split()[5:] == ["0", "(3", "missing)", *"–––", folders[1].id]
    assert [line.startswith("double-linear") for line in text.splitlines()] == [False, True, True]


def test_failed_and_missing_networks_are_told_apart_in_the_table(simulate):
    records = simulate("--n_models 3")
    folder = folder_of(records[0])
    failed = records[0].json | {"failed_step": 5, "accuracy": None, "swap_accuracy": None}
    folder.json(0).write_text(json.dumps(failed))
    folder.json(2).unlink()
    (row,) = table(archive_of(folder), n_models=3).splitlines()[1:]
    assert f"  1 (1 failed, 1 missing)  {records[1].json['accuracy']:.2f}  " in row
