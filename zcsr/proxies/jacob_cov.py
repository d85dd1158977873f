"""How differently a network answers to changes of different images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zcsr.proxies._common import gradients
from zcsr.proxies.proxy import proxy

_K = 1e-5


@proxy(
    measures="how little the Jacobians of the images correlate",
    source="Mellor et al., Neural Architecture Search without Training, first version (arXiv 2006.04647v1)",
)
def jacob_cov(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001
    """Return -sum of log(e + k) + 1 / (e + k), k = 1e-5, over the eigenvalues e of the correlation matrix [b, b].

    What is correlated is, for each image, the gradient of the sum of all outputs for its pixels. BatchNorms are
    in training, so the gradient includes what an image does to the others' outputs. The score is at most -b, where
    no two Jacobians correlate; two equal ones cost 1e5. It is -inf where an image has a Jacobian of one
    value, zero for instance, which correlates with nothing; NaN where one is not finite.
    """
    images.requires_grad_(True)
    (jacobians,) = gradients(network(images.clone()).sum(), [images])
    centred = jacobians.flatten(1).double()
    centred = centred - centred.mean(1, keepdim=True)
    norms = centred.norm(dim=1, keepdim=True)
    if not bool(norms.isfinite().all()):
        return float("nan")
    if not bool(norms.all()):
        return float("-inf")
    directions = centred / norms
    eigenvalues = torch.linalg.eigvalsh(directions @ directions.T).clamp(min=0) + _K
    return -float((eigenvalues.log() + 1 / eigenvalues).sum())
