"""A network that predicts three quantiles, trained in PyTorch with losses that PyTorch lacks."""

import torch

import losskit.torch

torch.manual_seed(0)
x = torch.rand(2000, 1) * 6
y = torch.sin(x[:, 0]) + (0.1 + 0.2 * x[:, 0]) * torch.randn(2000)  # noisier to the right

quantiles = (0.1, 0.5, 0.9)
losses = [losskit.torch.Loss("quantile", q=q) for q in quantiles]
model = torch.nn.Sequential(
    torch.nn.Linear(1, 32), torch.nn.Tanh(), torch.nn.Linear(32, 32), torch.nn.Tanh(),
    torch.nn.Linear(32, len(quantiles)),
)  # fmt: skip
optimiser = torch.optim.Adam(model.parameters(), lr=0.01)

for step in range(301):
    out = model(x)
    loss = sum(one(out[:, i], y) for i, one in enumerate(losses))
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    if step % 100 == 0:
        print(f"step {step:3}: loss {loss.item():.4f}")

with torch.no_grad():
    below = (y[:, None] < model(x)).double().mean(0)
for q, share in zip(quantiles, below.tolist(), strict=True):
    print(f"{share:.3f} of the targets lie below the predicted {q} quantile")
assert all(abs(share - q) < 0.03 for q, share in zip(quantiles, below.tolist(), strict=True))

# In micro-batches of unequal size the gradient is that of the whole batch, to the last digits.
huber, weight = losskit.torch.Loss("huber", delta=0.5), model[0].weight
(whole,) = torch.autograd.grad(huber(model(x)[:, 1], y), weight)
optimiser.zero_grad()
counted = torch.zeros(())
for part in (slice(3), slice(3, 1200), slice(1200, 2000)):
    numerator, denominator = huber.parts(model(x[part])[:, 1], y[part])
    numerator.backward()
    counted = counted + denominator
losskit.torch.divide_gradients(model.parameters(), counted)
apart = (weight.grad - whole).abs().max() / whole.abs().max()
print(f"accumulated in parts, the gradient differs by {apart:.0e} of its size")
assert apart < 1e-3
