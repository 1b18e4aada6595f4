"""The diffusion transformer: what it starts as, what reaches its output, positions, sizes it refuses."""

import pytest
import torch
from torch import Tensor, nn

from genbench.core import Conditioning, ConfigError, ImageSpec
from genbench.networks.cross_attention import CrossAttention
from genbench.networks.dit import PAIRS, Attention, DiT
from genbench.networks.layers import rotate, rotations

SPEC = ImageSpec(1, 8, 12)


def small(**kwargs: object) -> DiT:
    torch.manual_seed(0)
    return DiT(SPEC, **{"patch": 2, "width": 16, "layers": 2, "heads": 2, **kwargs}).double()  # type: ignore[arg-type]


def awake(module: nn.Module) -> nn.Module:
    """The module with every weight drawn afresh, so that zero-initialised branches count."""
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        parameter.data.normal_(std=0.3, generator=generator)
    return module


def inputs(batch: int = 2, spec: ImageSpec = SPEC) -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.rand(batch, *shape, dtype=torch.float64) for shape in (spec.shape, (), (16,))]


def run(dit: DiT, x: Tensor, t: Tensor, e: Tensor) -> Tensor:
    return dit(x, t, Conditioning(e))


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_zero_at_first_then_the_image_and_then_time_and_condition_reach_the_output(positions: str) -> None:
    """adaLN-Zero wakes from the end: the last map after one step, what modulates it after two."""
    dit, values = small(positions=positions), inputs()
    optimizer = torch.optim.SGD(dit.parameters(), lr=1.0)

    def reach() -> list[bool]:
        """Whether image, time and condition reach the output."""
        with torch.no_grad():
            before = run(dit, *values)
            changed = [[v + 0.3 * (i == j) for j, v in enumerate(values)] for i in range(3)]
            return [bool((run(dit, *c) - before).abs().max() > 1e-6) for c in changed]

    assert not run(dit, *values).any()
    seen = []
    for _ in range(2):
        optimizer.zero_grad()
        (run(dit, *values) - values[0]).square().sum().backward()
        optimizer.step()
        seen.append(reach())
    assert seen == [[True, False, False], [True, True, True]]


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_each_output_depends_on_all_patches_of_its_own_image_only(positions: str) -> None:
    dit, (x, t, e) = awake(small(positions=positions)), inputs()
    before = run(dit, x, t, e)
    x[0, 0, 0, 0] += 0.5
    difference = (run(dit, x, t, e) - before).abs()
    assert difference[0, 0, 7, 11] > 1e-6
    assert difference[1].max() == 0.0


@pytest.mark.parametrize(("positions", "outputs"), [("learned", 1), ("rotary", 2)])
def test_parameters_are_those_of_the_formula(positions: str, outputs: int) -> None:
    spec, p, d, layers, heads = ImageSpec(3, 32, 32), 4, 64, 5, 4
    dit = DiT(spec, p, d, layers, heads, positions, outputs)  # type: ignore[arg-type]
    pixels = spec.channels * p * p
    attention, mlp, modulation = 4 * d * d + 4 * d + 2 * (d // heads), 8 * d * d + 5 * d, 6 * d * d + 6 * d
    time = (2 * PAIRS * d + d) + (d * d + d)
    ends = (pixels * d + d) + (2 * d * d + 2 * d) + outputs * (d * pixels + pixels)
    expected = layers * (attention + mlp + modulation) + time + ends + (64 * d if positions == "learned" else 0)
    assert sum(parameter.numel() for parameter in dit.parameters()) == expected


def test_attention_equals_the_textbook_formula() -> None:
    torch.manual_seed(0)
    attention = awake(Attention(12, heads=3)).double()
    x, rotation = torch.randn(2, 6, 12, dtype=torch.float64), rotations(2, 3, 4).double()
    q, k, v = attention.qkv(x).chunk(3, dim=2)  # [2,6,12]: heads are consecutive fours

    def normed(y: Tensor, weight: Tensor) -> Tensor:
        return y / (y.square().mean(-1, keepdim=True) + torch.finfo(torch.float64).eps).sqrt() * weight

    heads = []
    for h in range(3):
        mine = slice(4 * h, 4 * h + 4)
        a = rotate(normed(q[..., mine], attention.norm_q.weight), rotation)
        b = rotate(normed(k[..., mine], attention.norm_k.weight), rotation)
        heads.append((a @ b.transpose(1, 2) / 4**0.5).softmax(-1) @ v[..., mine])
    torch.testing.assert_close(attention(x, rotation), attention.out(torch.cat(heads, dim=2)))


def test_rotated_products_depend_on_distances_only() -> None:
    rows, columns, width = 5, 4, 16
    rotation = rotations(rows, columns, width).double()
    torch.manual_seed(0)
    q, k = torch.randn(2, width, dtype=torch.float64)
    turned_q, turned_k = (rotate(v.expand(rows * columns, width), rotation) for v in (q, k))
    logits = (turned_q @ turned_k.T).reshape(rows, columns, rows, columns)
    torch.testing.assert_close(logits[1:, 1:, 1:, 1:], logits[:-1, :-1, :-1, :-1], rtol=0, atol=1e-5)
    assert torch.allclose(turned_q.norm(dim=1), q.norm())
    # and both distances count: the nearest neighbours by row and by column differ from the token itself and each other
    assert torch.pdist(torch.stack([logits[0, 0, 0, 0], logits[0, 0, 0, 1], logits[0, 0, 1, 0]])[:, None]).min() > 1e-2


def test_rotary_transformer_without_learned_positions_still_knows_where_a_patch_is() -> None:
    dit, (x, t, e) = awake(small(positions="rotary")), inputs(batch=1)
    mirrored = run(dit, x.flip(2, 3), t, e).flip(2, 3)
    assert (run(dit, x, t, e) - mirrored).abs().max() > 1e-3


def test_patches_are_put_back_where_they_came_from() -> None:
    """With the blocks asleep and the last map copying, the output is the stem's linear map of each patch alone."""
    dit, (x, t, e) = small(), inputs()
    nn.init.normal_(dit.head.weight)
    before = run(dit, x, t, e)
    x[:, :, 2:4, 6:8] += torch.rand(2, 1, 2, 2, dtype=torch.float64)
    changed = (run(dit, x, t, e) - before).abs() > 1e-9
    expected = torch.zeros_like(changed)
    expected[:, :, 2:4, 6:8] = True
    assert torch.equal(changed, expected)


def test_learned_positions_start_as_features_of_row_and_column() -> None:
    position = small(positions="learned").position
    assert position is not None
    start = position.detach().reshape(4, 6, 16)
    frequency = 100.0 ** -(torch.arange(4, dtype=torch.float64) / 4)
    row, column = 3.0 * frequency, 5.0 * frequency
    expected = torch.cat([row.cos(), row.sin(), column.cos(), column.sin()])
    torch.testing.assert_close(start[3, 5], expected, atol=1e-6, rtol=0)
    with pytest.raises(ConfigError, match="width divisible by 4, not 6"):
        small(positions="learned", width=6)


def test_gradients_are_those_of_finite_differences() -> None:
    spec = ImageSpec(1, 4, 4)
    torch.manual_seed(0)
    dit = awake(DiT(spec, patch=2, width=8, layers=1, heads=2)).double()
    torch.manual_seed(1)
    x, e = (torch.randn(1, *shape, dtype=torch.float64, requires_grad=True) for shape in (spec.shape, (8,)))
    t = torch.tensor([0.4], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x, e: run(dit, x, t, e), (x, e), eps=1e-6, atol=1e-6)


def test_two_outputs_are_twice_the_channels() -> None:
    assert run(small(outputs=2), *inputs()).shape == (2, 2, 8, 12)


def test_patch_that_does_not_tile_the_image_names_those_that_do() -> None:
    with pytest.raises(ConfigError, match=r"backbone\.patch=3 .* 28x28: use one of \[1, 2, 4, 7\]"):
        DiT(ImageSpec(1, 28, 28), patch=3)


def test_heads_too_odd_to_rotate_are_refused() -> None:
    with pytest.raises(ConfigError, match="divisible by 4, not 6"):
        DiT(ImageSpec(1, 8, 8), patch=2, width=12, layers=1, heads=2, positions="rotary")


def told(batch: int = 2, tokens: int = 5, width: int = 6) -> Conditioning:
    generator = torch.Generator().manual_seed(2)
    vector, states = (
        torch.rand(batch, *shape, dtype=torch.float64, generator=generator) for shape in ((16,), (tokens, width))
    )
    return Conditioning(vector, states, torch.arange(tokens) < torch.tensor([[tokens], [2]])[:batch])


def test_a_text_wakes_with_the_rest_and_only_its_own_tokens_count() -> None:
    dit, (x, t, _), text = small(context=6), inputs(), told()
    assert not dit(x, t, text).any()
    awake(dit)
    before = dit(x, t, text)
    for token, reaches in ((1, True), (3, False)):  # the second text has two tokens
        assert text.tokens is not None
        states = text.tokens.clone()
        states[1, token] += 1.0
        difference = (dit(x, t, Conditioning(text.vector, states, text.mask)) - before).abs()
        assert bool(difference[1].max() > 1e-6) == reaches
        assert difference[0].max() == 0.0


def test_texts_filled_up_to_one_length_are_what_they_were() -> None:
    dit, (x, t, _), text = awake(small(context=6)), inputs(), told()
    null = Conditioning(text.vector, torch.ones(2, 1, 6).double(), torch.ones(2, 1, dtype=torch.bool))
    both = dit(torch.cat([x, x]), torch.cat([t, t]), text.then(null))
    torch.testing.assert_close(both, torch.cat([dit(x, t, text), dit(x, t, null)]))


def test_cross_attention_equals_the_textbook_formula() -> None:
    torch.manual_seed(0)
    attention = awake(CrossAttention(12, heads=3, context=5)).double()
    x, context = torch.randn(1, 4, 12, dtype=torch.float64), torch.randn(1, 6, 5, dtype=torch.float64)
    mask = torch.tensor([[True, False, True, True, False, True]])
    there = context[:, mask[0]]
    q, (k, v) = attention.q(x), attention.kv(there).chunk(2, dim=2)

    def normed(y: Tensor, weight: Tensor) -> Tensor:
        return y / (y.square().mean(-1, keepdim=True) + torch.finfo(torch.float64).eps).sqrt() * weight

    heads = []
    for h in range(3):
        mine = slice(4 * h, 4 * h + 4)
        a, b = normed(q[..., mine], attention.norm_q.weight), normed(k[..., mine], attention.norm_k.weight)
        heads.append((a @ b.transpose(1, 2) / 4**0.5).softmax(-1) @ v[..., mine])
    torch.testing.assert_close(attention(x, context, mask), attention.out(torch.cat(heads, dim=2)))


def test_a_context_adds_the_parameters_of_its_attention_and_modulation() -> None:
    d, context, layers, head = 16, 6, 2, 8

    def count(**kwargs: object) -> int:
        return sum(p.numel() for p in small(**kwargs).parameters())

    added = (d * d + d) + (2 * context * d + 2 * d) + (d * d + d) + 2 * head + 3 * (d * d + d)
    assert count(context=context) - count() == layers * added
