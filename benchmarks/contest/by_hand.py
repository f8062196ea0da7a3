"""A restricted Boltzmann machine as one writes it in PyTorch: eager, with autograd's optimizer."""

from __future__ import annotations

import torch

from contest.task import Task


class HandWrittenRBM:
    """Bernoulli units; CD-k and PCD-k; gradients by formula, steps by `torch.optim.Adam`."""

    def __init__(self, num_visible: int, task: Task, device: str) -> None:
        num_hidden = task.hidden[0]
        self.weights = 0.01 * torch.randn(num_visible, num_hidden, device=device)
        self.visible_bias = torch.zeros(num_visible, device=device)
        self.hidden_bias = torch.zeros(num_hidden, device=device)
        self.steps, self.persistent = task.steps, task.method == "pcd"
        self.chains = torch.bernoulli(torch.full((task.batch, num_visible), 0.5, device=device))
        parameters = [self.weights, self.visible_bias, self.hidden_bias]
        self.optimizer = torch.optim.Adam(parameters, lr=1e-3)

    def hidden_mean(self, visible: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(visible @ self.weights + self.hidden_bias)

    def visible_mean(self, hidden: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(hidden @ self.weights.T + self.visible_bias)

    @torch.no_grad()
    def update(self, data: torch.Tensor) -> None:
        """One step up the gradient of the log likelihood."""
        positive = negative = self.hidden_mean(data)
        chains = data
        if self.persistent:
            chains = self.chains
            negative = self.hidden_mean(chains)
        for _ in range(self.steps):
            chains = torch.bernoulli(self.visible_mean(torch.bernoulli(negative)))
            negative = self.hidden_mean(chains)
        self.chains = chains
        self.weights.grad = (chains.T @ negative - data.T @ positive) / len(data)
        self.visible_bias.grad = (chains - data).mean(0)
        self.hidden_bias.grad = (negative - positive).mean(0)
        self.optimizer.step()
