"""The ideal digital network: the same perceptron as anyone would write it in PyTorch."""

import torch
from torch import nn


class Digital:
    """Linear, BatchNorm1d, ReLU and SGD, eager; `step` learns from one mini-batch."""

    def __init__(self, n_in, hidden, lr=0.1):
        self.network = nn.Sequential(
            nn.Linear(n_in, hidden),
            nn.BatchNorm1d(hidden, affine=False, momentum=0.15),
            nn.ReLU(),
            nn.Linear(hidden, 10),
            nn.BatchNorm1d(10, affine=False, momentum=0.15),
        )
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr)

    def step(self, images, labels):
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.network(images), labels)
        loss.backward()
        self.optimizer.step()
        return loss
