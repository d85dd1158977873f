"""Small vision transformers: patches, blocks of attention and MLP, a classifier."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zcsr.spaces.protocol import DatasetShape
from zcsr.spaces.vision_transformers import Transformer


class Attention(nn.Module):
    """Self-attention of several heads, each over its share of the channels."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens [b, n, width] to the same shape."""
        batch, count, width = tokens.shape
        apart = self.queries_keys_values(tokens).view(batch, count, 3, self.heads, width // self.heads)
        queries, keys, values = apart.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(queries, keys, values)
        mixed: Tensor = self.mix(seen.transpose(1, 2).reshape(batch, count, width))
        return mixed


class Block(nn.Module):
    """Attention, then an MLP, each on normalised tokens and added to what came in."""

    def __init__(self, width: int, heads: int, ratio: int) -> None:
        super().__init__()
        self.norm_before_attention = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm_before_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, ratio * width), nn.GELU(), nn.Linear(ratio * width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens [b, n, width] to the same shape."""
        tokens = tokens + self.attention(self.norm_before_attention(tokens))
        changed: Tensor = tokens + self.mlp(self.norm_before_mlp(tokens))
        return changed


class VisionTransformer(nn.Module):
    """Patches, their places, blocks, norm, mean over the patches, classifier."""

    def __init__(
        self, chosen: Transformer, shape: DatasetShape, patch: int, classes: int, in_channels: int
    ) -> None:
        super().__init__()
        count = (shape.height // patch) * (shape.width // patch)
        self.patches = nn.Conv2d(in_channels, chosen.width, patch, stride=patch)
        self.places = nn.Parameter(0.02 * torch.randn(1, count, chosen.width))
        self.blocks = nn.Sequential(*(Block(chosen.width, chosen.heads, chosen.ratio) for _ in range(chosen.depth)))
        self.norm = nn.LayerNorm(chosen.width)
        self.classifier = nn.Linear(chosen.width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images [b, in_channels, h, w] -> logits [b, classes]."""
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.places
        logits: Tensor = self.classifier(self.norm(self.blocks(tokens)).mean(1))
        return logits
