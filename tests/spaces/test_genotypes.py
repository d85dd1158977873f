"""Genotypes as DARTS prints them: the published ones are architectures of the space, and nothing is run."""

from __future__ import annotations

import pytest

from zcsr.errors import InputError
from zcsr.spaces import get_space
from zcsr.spaces.genotypes import arch_of_genotype, is_genotype

# As https://github.com/quark0/darts has them in cnn/genotypes.py.
DARTS_V1 = (
    "Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), ('sep_conv_3x3', 1), "
    "('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 2)], "
    "normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), "
    "('max_pool_3x3', 0), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('avg_pool_3x3', 0)], "
    "reduce_concat=[2, 3, 4, 5])"
)
DARTS_V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], "
    "normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), "
    "('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], "
    "reduce_concat=[2, 3, 4, 5])"
)


@pytest.mark.parametrize(("genotype", "millions"), [(DARTS_V1, 3.17), (DARTS_V2, 3.35)])
def test_a_published_genotype_is_the_network_of_the_paper(genotype: str, millions: float) -> None:
    # That repository counts 3.3 M parameters for DARTS_V2 at 36 channels and 20 cells, without the auxiliary head.
    network = get_space("nds-darts").build(arch_of_genotype(genotype, 36, 20), 10)
    assert sum(one.numel() for one in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.01)


def test_all_ways_to_write_it_are_one() -> None:
    arch = arch_of_genotype(DARTS_V2, 36, 20)
    for other in (
        DARTS_V2 + ";width=36;depth=20",
        f"  {DARTS_V2.replace('[2, 3, 4, 5]', 'range(2, 6)')}\n",
        DARTS_V2.replace("(", "[").replace(")", "]").replace("Genotype[", "Genotype(")[:-1] + ")",
    ):
        assert is_genotype(other)
        assert arch_of_genotype(other, 36, 20) == arch


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DARTS_V2, "say --width and --depth"),
        (DARTS_V2 + ";width=36", "stands ;width=36;depth=20 or nothing, not ';width=36'"),
        ("Genotype(normal=print('run'))", "cannot read the genotype"),
        ("Genotype(normal=[(__import__('os').getcwd(), 0)])", "cannot read the genotype"),
        ("Genotype(normal=range(0, 10**9))", "cannot read the genotype"),
        ("Genotype(normal=[('sep_conv_3x3', 0)]", "behind a genotype|cannot read the genotype"),
        ("Genotype([], [])", "cannot read the genotype"),
        ("Genotype(normal=[('sep_conv_3x3', 0)]);width=4;depth=4", "'normal_concat' of an NDS genotype must list"),
    ],
)
def test_anything_else_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        arch_of_genotype(text)
    assert "\n" not in str(refused.value)
