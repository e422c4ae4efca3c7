"""The baseline: one network at a time in plain eager PyTorch, every formula as it is written.

Both devices' gradients are multiplied out, the first layer reads its devices for an input
gradient that nobody uses, and pulses go through the inverse response and back. It simulates the
same physics as the project and shares no code with it.
"""

import torch
from torch import nn

RESPONSES = {  # response, inverse, largest and smallest voltage
    "double-linear": (lambda x: -0.021 * x + 2.742, lambda w: (2.742 - w) / 0.021, 2.742, 2.175),
    "double-exponential": (
        lambda x: 1.530 * torch.exp(-x / 9.741) + 0.750,
        lambda w: -9.741 * torch.log((w - 0.750) / 1.530),
        2.280,
        0.8457014711,
    ),
}


class PairProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx, current, weight1, weight2, sigma_v, sigma_r):
        ctx.save_for_backward(current, weight1, weight2)
        ctx.sigma_r = sigma_r
        voltage = current @ (weight2 - weight1).t()
        return voltage + sigma_v * torch.randn_like(voltage)

    @staticmethod
    def backward(ctx, grad):
        current, weight1, weight2 = ctx.saved_tensors
        read1 = weight1 + ctx.sigma_r * torch.randn_like(weight1)
        read2 = weight2 + ctx.sigma_r * torch.randn_like(weight2)
        return grad @ (read2 - read1), -(grad.t() @ current), grad.t() @ current, None, None


class PairLayer(nn.Module):
    def __init__(self, n_in, n_out, field, init, sigma_v, sigma_r, input_scale):
        super().__init__()
        top = RESPONSES[field][2]
        self.weight1 = nn.Parameter(torch.full((n_out, n_in), top - init))
        u = torch.empty(n_out, n_in).uniform_(-init, init)
        self.weight2 = nn.Parameter(top - init - u)
        self.sigma_v, self.sigma_r, self.input_scale = sigma_v, sigma_r, input_scale

    def forward(self, x):
        return PairProduct.apply(
            self.input_scale * x, self.weight1, self.weight2, self.sigma_v, self.sigma_r
        )


class PulseSGD(torch.optim.Optimizer):
    """Parameters 2k and 2k + 1 are the two devices of layer k."""

    def __init__(self, params, field, lr, variability, clipping):
        super().__init__(params, dict(lr=lr, clipping=clipping))
        self.response, self.inverse, self.w_max, self.w_min = RESPONSES[field]
        for parameter in self.param_groups[0]["params"]:
            slope = (1 + variability * torch.randn_like(parameter)).abs()
            self.state[parameter]["slope"] = slope

    @torch.no_grad()
    def step(self):
        group = self.param_groups[0]
        for parameter in group["params"]:
            parameter.clamp_(self.w_min, self.w_max)
            pulses = group["lr"] * parameter.grad.abs() * self.state[parameter]["slope"]
            pulses[pulses < group["clipping"]] = 0
            pulses[parameter.grad < 0] = 0
            parameter.copy_(self.response(self.inverse(parameter) + pulses))
        pairs = zip(group["params"][::2], group["params"][1::2], strict=True)
        for w1, w2 in pairs:
            for device, other in ((w1, w2), (w2, w1)):
                used_up = device <= self.w_min
                device[used_up] = (self.w_min - (other - self.w_max))[used_up]
                other[used_up] = self.w_max


class Straightforward:
    """A network of two layers; `step` learns from one mini-batch."""

    def __init__(
        self,
        n_in,
        hidden,
        field,
        lr,
        variability,
        sigma_r,
        sigma_v,
        clipping,
        init=0.01,
        classes=10,
    ):
        scale = 0.001  # input current of a white pixel
        self.network = nn.Sequential(
            PairLayer(n_in, hidden, field, init, sigma_v, sigma_r, scale),
            nn.BatchNorm1d(hidden, affine=False, momentum=0.15),
            nn.ReLU(),
            PairLayer(hidden, classes, field, init, sigma_v, sigma_r, scale),
            nn.BatchNorm1d(classes, affine=False, momentum=0.15),
        )
        self.optimizer = PulseSGD(self.network.parameters(), field, lr, variability, clipping)

    def step(self, images, labels):
        self.optimizer.zero_grad()
        # As in the scripts of the field, the input asks for a gradient that nobody uses.
        loss = nn.functional.cross_entropy(self.network(images.requires_grad_()), labels)
        loss.backward()
        self.optimizer.step()
        return loss
