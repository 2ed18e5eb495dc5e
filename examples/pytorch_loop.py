"""PyTorch. Bug: optimizer.zero_grad() is missing, so that the gradients of all steps add up."""

import torch
from descent_probe import Probe
from torch import nn

torch.manual_seed(0)
X = torch.randn(200, 4)
y = (X[:, :1] * X[:, 1:2]).sign().clamp(min=0)
model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
criterion = nn.BCEWithLogitsLoss()
probe = Probe("pytorch_loop")
probe.watch(model, optimizer)
for _ in range(200):
    loss = criterion(model(X), y)
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.4f}")
