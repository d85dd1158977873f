"""Write stripes.npz: 1,200 noisy images of stripes in four directions, uint8 [1200, 16, 16], with labels 0 to 3."""

import numpy as np

generator = np.random.default_rng(0)
labels = generator.permutation(1200) % 4
rows, columns = np.mgrid[:16, :16]
along = np.stack([rows, columns, rows + columns, rows - columns])[labels]
phases = generator.uniform(0, 2 * np.pi, (1200, 1, 1))
brightness = 128 + 40 * np.sin(along * 1.5 + phases) + generator.normal(0, 60, along.shape)
np.savez("stripes.npz", images=brightness.clip(0, 255).astype(np.uint8), labels=labels)
