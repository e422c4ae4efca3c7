"""What is said while networks train."""

import torch

from utils.progress import Progress
from utils.training.share import Epoch


def epoch(number: int, accuracies: list[float], is_new: bool) -> Epoch:
    values = torch.tensor(accuracies)
    return Epoch(number, values, values, values, {}, is_new)


def test_progress_reports_an_epoch_once_all_networks_are_through_it(capsys):
    progress = Progress("label", 3, 3)
    with progress:
        progress.note(epoch(1, [0.5], is_new=False))
        progress.note(epoch(1, [0.6, 0.7], is_new=False))  # all in an earlier run: no line
        progress.note(epoch(2, [0.7], is_new=False))
        progress.note(epoch(2, [0.8], is_new=True))
        progress.note(epoch(3, [0.9], is_new=True))
        assert capsys.readouterr().err == ""
        progress.note(epoch(2, [0.9], is_new=True))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("label: epoch 2/3, accuracy 80.00 %")
