"""The verdict says what the rows say."""

from genbench.benchmark.rows import aggregate
from genbench.benchmark.tables import split
from genbench.benchmark.verdict import verdict


def told(*cells):
    (table,) = split(aggregate(cells))
    return verdict(table)


def test_a_clear_win_names_the_gap_and_the_cost(cell):
    sentences = told(
        cell(fds=(3.5, 4.5), train_seconds=30.0, sample_seconds_per_1k=8.0),
        cell("vae", "vae", fds=(13.0, 15.0), train_seconds=10.0, sample_seconds_per_1k=0.5),
    )
    assert sentences[0] == (
        "ddpm (diffusion) wins on FD (digits) with 4.00 ± 0.71; vae follows at 14.0 ± 1.4, 10.0 behind, "
        "and their intervals do not overlap."
    )
    assert "takes 30.0 s of training (3.0 times vae) and 8.00 s to sample 1,000 images (16 times vae)" in sentences[1]
    assert "another training may rank differently" in sentences[2]


def test_overlapping_intervals_are_not_distinguishable(cell):
    first, *rest = told(
        cell(fds=(3.0, 5.0)),
        cell("pixel_gpt", "autoregressive", fds=(5.0, 7.0)),
        cell("vae", "vae", fds=(20.0, 21.0)),
    )
    assert first.startswith("No single family wins on FD (digits): ddpm (diffusion) at 4.00 ± 1.41 and pixel_gpt")
    assert "are not distinguishable" in first
    assert first.endswith("ahead of vae.")
    assert sum("of training" in sentence for sentence in rest) == 2  # what each of the two costs


def test_all_families_tied_leave_nobody_behind(cell):
    first, *_ = told(cell(fds=(3.0, 5.0)), cell("vae", "vae", fds=(4.0, 6.0)))
    assert first.endswith("their intervals overlap.")


def test_models_of_one_family_are_not_rivals(cell):
    first, *_ = told(cell(fds=(4.0,)), cell("ddpm_big", fds=(3.9,)), cell("vae", "vae", fds=(9.0,)))
    assert first.startswith("ddpm_big (diffusion) wins")
    assert "vae follows" in first


def test_two_training_seeds_need_no_caution(cell):
    sentences = told(
        *(cell(seed=s, fds=(4.0 + s,)) for s in (1, 2)), *(cell("vae", "vae", s, (20.0 + s,)) for s in (1, 2))
    )
    assert not any("seed" in sentence or "chance" in sentence for sentence in sentences)


def test_single_draws_may_be_chance(cell):
    sentences = told(cell(fds=(4.0,)), cell("vae", "vae", fds=(9.0,)))
    assert any("may be chance" in sentence for sentence in sentences)


def test_controls_give_the_scale_and_never_win(cell, control):
    sentences = told(cell(fds=(4.0,)), cell("vae", "vae", fds=(9.0,)), control("real", 0.5), control("noise", 200.0))
    assert sentences[0].startswith("ddpm (diffusion) wins")
    assert "For scale: real images score 0.500 and noise scores 200 against the same reference." in sentences


def test_failures_are_named(cell, failure):
    assert told(cell(), failure)[-1] == "dcgan (gan) failed and has no rank."
    assert told(failure) == ["No model has a result to compare.", "dcgan (gan) failed and has no rank."]


def test_one_family_alone_is_not_ranked(cell):
    assert told(cell(fds=(4.0,)))[0] == "Only ddpm (diffusion) was judged, so nothing is ranked: FD (digits) 4.00."


def test_controls_alone_say_so(control):
    assert told(control("real", 0.5)) == ["Only controls were judged under this protocol."]


def test_over_inception_it_is_a_fid(cell):
    assert "wins on FID" in told(cell(features="inception"), cell("vae", "vae", fds=(9.0,), features="inception"))[0]
