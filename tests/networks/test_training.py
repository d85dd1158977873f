from __future__ import annotations

import math

import pytest
import torch

from zcsr.errors import InputError
from zcsr.networks.training import Examples, TrainingConfig, TrainingResult, train_network
from zcsr.spaces import get_space

SPACE = get_space("nasbench201-mini")
CONVOLUTIONS = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
NOTHING = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
SHORT = TrainingConfig(epochs=2, batch_size=32)


def bars(count: int, seed: int) -> Examples:
    """Noise with a horizontal bar (0), a vertical bar (1), or a square (2): easy, and unharmed by flips."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    images = torch.randn(count, 1, 16, 16, generator=generator) * 0.3
    images[labels == 0, :, 7:9, :] += 2
    images[labels == 1, :, :, 7:9] += 2
    images[labels == 2, :, 5:11, 5:11] += 2
    return Examples(images, labels)


TRAIN, TEST = bars(192, seed=0), bars(90, seed=1)


def trained(
    arch: str = CONVOLUTIONS,
    config: TrainingConfig = SHORT,
    seed: int = 0,
    train: Examples = TRAIN,
    test: Examples = TEST,
) -> TrainingResult:
    return train_network(SPACE, arch, 3, train, test, config, seed)


def test_an_easy_task_is_learnt() -> None:
    result = trained(config=TrainingConfig(epochs=4, batch_size=32))
    assert result.accuracy > 90
    assert result.loss < 0.5
    assert result.seconds > 0


def test_a_cell_that_passes_nothing_on_stays_at_chance() -> None:
    result = trained(NOTHING)
    assert result.accuracy == pytest.approx(100 / 3, abs=1e-9)
    assert result.loss == pytest.approx(math.log(3), abs=0.1)


def test_training_depends_on_architecture_and_seed_alone() -> None:
    first = trained()
    torch.manual_seed(12345)
    second = trained()
    assert (first.accuracy, first.loss) == (second.accuracy, second.loss)
    assert trained(seed=1).loss != first.loss
    assert trained(CONVOLUTIONS.replace("3x3", "1x1")).loss != first.loss


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    trained()
    assert torch.equal(torch.get_rng_state(), before)


def test_the_data_are_left_alone() -> None:
    images = TRAIN.images.clone()
    trained()
    assert torch.equal(TRAIN.images, images)


def test_flips_change_the_training_of_asymmetric_images_only() -> None:
    flipless = TrainingConfig(epochs=2, batch_size=32, flips=False)
    assert trained(config=flipless).loss != trained().loss
    symmetric = Examples((TRAIN.images + TRAIN.images.flip(-1)) / 2, TRAIN.labels)
    assert trained(config=flipless, train=symmetric).loss == trained(train=symmetric).loss


def test_an_incomplete_batch_is_left_out() -> None:
    ragged = bars(192 + 31, seed=0)
    assert trained(train=ragged, config=TrainingConfig(epochs=1, batch_size=32)).loss > 0
    with pytest.raises(InputError, match="31 images to train on do not fill one batch of 32"):
        trained(train=bars(31, seed=0))


def test_accuracy_counts_every_test_example() -> None:
    """More examples than one batch of the test takes, of which a cell without a signal answers one class."""
    many = Examples(TEST.images.repeat(4, 1, 1, 1), TEST.labels.repeat(4))
    mostly_one = torch.where(torch.arange(360) < 270, 0, 1)
    answers = {
        trained(NOTHING, test=Examples(many.images, (mostly_one + shift) % 3)).accuracy for shift in range(3)
    }
    assert answers == {75.0, 25.0, 0.0}
    assert trained(test=many).accuracy == trained().accuracy


def test_no_test_examples_are_refused() -> None:
    with pytest.raises(InputError, match="no images to test on"):
        trained(test=Examples(TEST.images[:0], TEST.labels[:0]))


@pytest.mark.parametrize(("epochs", "batch_size"), [(0, 64), (4, 1)])
def test_impossible_configurations_are_refused(epochs: int, batch_size: int) -> None:
    with pytest.raises(InputError, match="epochs >= 1 and batch size >= 2"):
        TrainingConfig(epochs, batch_size)
