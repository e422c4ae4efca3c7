"""The first layer: its inputs are images, and it is fast since most pixels are zero.

This module and those that it imports know which inputs are active and which always zero, whether
the inputs are dense or sparse, the order of the pairs in memory, and that gradient and update may
be one pass. Nobody else asks.

- Inputs that are zero in every training image get no gradient, so their pairs receive no pulse:
  training leaves them out. Tests include those that are active in some test image.
- On a CPU, if most inputs are zero, products run over the other inputs alone
  (models.sparse_matmul), and pairs are stored in blocks of 32 outputs: [model, block * in, 32].
- With such inputs, gradient and update of the layer are one pass, which writes no gradient to
  memory (models.sparse_update).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from devices.pair import PairArray
from models.active_inputs import ActiveInputs
from models.dense_first_layer import DenseFirstLayer
from models.dense_inputs import DenseInputs
from models.sparse_first_layer import SparseFirstLayer
from models.sparse_inputs import SparseInputs
from models.sparse_matmul import SparseBatch

FirstInputs = DenseInputs | SparseInputs
FirstCurrents = Tensor | SparseBatch  # currents of a batch: [in, batch], or the entries not zero


def first_layer(pairs: PairArray, inputs: FirstInputs) -> DenseFirstLayer:
    """Make the first layer from fresh pairs [model, out, in] on all inputs, dense or sparse."""
    index = inputs.active_inputs
    active, always_zero = (
        pairs.map(lambda values, columns=columns: values[..., columns].contiguous())
        for columns in (index.active, index.always_zero)
    )
    layer_class = SparseFirstLayer if isinstance(inputs, SparseInputs) else DenseFirstLayer
    return layer_class(active, always_zero, index)


def first_inputs(
    train_images: np.ndarray,
    test_images: np.ndarray,
    padding: int,
    input_scale: float,
    device: torch.device,
    batch_size: int,
) -> FirstInputs:
    """Make input currents from images uint8 [n, rows, columns], with padding zeros on each side.

    The inputs are sparse where that is faster: on a CPU, if the kernel can be built and if most
    inputs in mini-batches of `batch_size` images are zero.
    """
    used = (np.asarray(images.any(axis=0))[None] for images in (train_images, test_images))
    inputs = ActiveInputs.from_images(*(pad(image, padding) for image in used))
    # For each padded pixel its number in the image without padding, from 1; 0 in the padding.
    numbers = np.arange(1, train_images[0].size + 1).reshape(train_images[:1].shape)
    (pixel_numbers,) = pad(numbers, padding)

    def selected(images: np.ndarray, wanted: Tensor) -> np.ndarray:
        pixels = np.pad(images.reshape(len(images), -1), ((0, 0), (1, 0)))  # number 0 is zero
        return np.take(pixels, pixel_numbers[wanted.numpy()], axis=1)  # uint8 [n, wanted]

    train, test = selected(train_images, inputs.active), selected(test_images, inputs.tested)
    if device.type == "cpu" and SparseInputs.pays(train, batch_size):
        levels = input_scale * (torch.arange(256, dtype=torch.uint8) / 255)
        return SparseInputs.from_images(train, test, inputs, levels, batch_size)
    train_currents, test_currents = (
        input_scale * (torch.from_numpy(part).to(device) / 255) for part in (train, test)
    )
    return DenseInputs(train_currents, test_currents, inputs)


def pad(images: np.ndarray, padding: int) -> np.ndarray:
    """Return images [n, rows, columns] with zeros around each, flattened to [n, pixels]."""
    sides = ((0, 0), (padding, padding), (padding, padding))
    return np.pad(images, sides).reshape(len(images), -1)
