"""The verdict says what the rows say."""

from genbench.benchmark.aggregate import aggregate
from genbench.benchmark.tables import split
from genbench.benchmark.verdict import verdict


def told(*cells):
    (table,) = split(aggregate(cells))
    return verdict(table)


def test_a_clear_win_names_the_gap_the_test_and_the_cost(cell):
    sentences = told(
        cell(fds=(3.5, 4.5), error=0.5, train_seconds=30.0, sample_seconds_per_1k=8.0),
        cell("vae", "vae", fds=(13.0, 15.0), error=1.2, train_seconds=10.0, sample_seconds_per_1k=0.5),
    )
    assert sentences[0] == (
        "ddpm (diffusion) wins on FD (digits) with 4.00 ± 0.71; vae follows at 14.0 ± 1.4, 10.0 behind "
        "(p < 0.001 by a bootstrap z-test)."
    )
    assert "takes 30.0 s of training (3.0 times vae) and 8.00 s to sample 1,000 images (16 times vae)" in sentences[1]
    assert sentences[2].startswith("The standard error covers the drawing of samples alone")


def test_what_no_test_tells_apart_is_a_tie(cell):
    first, *rest = told(
        cell(fds=(4.0,), error=0.8),
        cell("pixel_gpt", "autoregressive", fds=(5.5,), error=0.6),  # one and a half standard errors of 1.0 away
        cell("vae", "vae", fds=(20.0,), error=0.6),
    )
    assert first == (
        "No single family wins on FD (digits): ddpm (diffusion) at 4.00 ± 0.80 is not distinguishable from pixel_gpt "
        "(autoregressive) at 5.50 ± 0.60 (p = 0.13), ahead of vae, by a bootstrap z-test at "
        "alpha = 0.05."
    )
    assert sum("of training" in sentence for sentence in rest) == 2  # what each of the two costs


def test_intervals_that_overlap_may_still_be_told_apart(cell):
    # the intervals of 1.96 errors overlap, yet the gap is 2.8 standard errors of the difference
    first, *_ = told(cell(fds=(4.0,), error=0.5), cell("vae", "vae", fds=(5.98,), error=0.5))
    assert first.startswith("ddpm (diffusion) wins")
    assert "p = 0.005" in first


def test_all_families_tied_leave_nobody_behind(cell):
    first, *_ = told(cell(fds=(4.0,), error=1.0), cell("vae", "vae", fds=(5.0,), error=1.0))
    assert "ahead of" not in first


def test_models_of_one_family_are_not_rivals(cell):
    first, *_ = told(
        *(
            cell(model, family, fds=(fd,), error=0.1)
            for model, family, fd in (("ddpm", "diffusion", 4.0), ("ddpm_big", "diffusion", 3.9), ("vae", "vae", 9.0))
        )
    )
    assert first.startswith("ddpm_big (diffusion) wins")
    assert "vae follows" in first


def test_several_training_seeds_need_no_caution(cell):
    sentences = told(
        *(cell(seed=s, fds=(4.0 + s,)) for s in (1, 2, 3)), *(cell("vae", "vae", s, (20.0 + s,)) for s in (1, 2, 3))
    )
    assert "(p < 0.001 by Welch's t-test over training seeds)" in sentences[0]
    assert not any("another training" in sentence or "chance" in sentence for sentence in sentences)


def test_two_trainings_that_scatter_prove_little(cell):
    first, *_ = told(
        *(cell(seed=s, fds=(4.0 + s,)) for s in (1, 2)), *(cell("vae", "vae", s, (6.5 + s,)) for s in (1, 2))
    )
    assert "is not distinguishable from vae" in first  # 2.5 apart, 3.5 errors known from two degrees of freedom


def test_one_training_beside_several_is_cautioned(cell):
    sentences = told(*(cell(seed=s, fds=(4.0 + s,)) for s in (1, 2)), cell("vae", "vae", fds=(90.0,), error=0.1))
    assert any("of a model trained with one seed covers the drawing of samples alone" in s for s in sentences)


def test_without_standard_errors_nobody_wins(cell):
    first, *rest = told(cell(fds=(4.0,)), cell("vae", "vae", fds=(9.0,)))
    assert first.startswith("ddpm (diffusion) leads on FD (digits) with 4.00; vae follows at 9.00, 5.00 behind")
    assert any("may be chance" in sentence for sentence in rest)


def test_each_external_model_stands_for_itself(cell, control):
    theirs, others = (
        {**control(name, fd, error=0.1), "family": "external"} for name, fd in (("theirs", 3.0), ("others", 3.1))
    )
    first, *_ = told(theirs, others, cell(fds=(9.0,), error=0.1))
    assert first.startswith("No single family wins on FD (digits): theirs (external) at 3.00 ± 0.10")
    assert "others (external)" in first
    assert "ahead of ddpm (diffusion)" in first


def test_copies_are_told_and_so_is_a_control_that_is_not_found_out(cell, control):
    copier = cell("gan", "gan", fds=(4.0,), scores={"ct": -12.0, "auth": 0.1})
    found = control("train copy", 0.1, scores={"ct": -50.0, "auth": 0.0})
    missed = control("train copy", 0.1, scores={"ct": -1.0, "auth": 0.5})
    real = control("real", 0.5, scores={"ct": 0.1, "auth": 0.5})
    sentences = told(copier, found, real)
    assert (
        "gan copies its training images: C_T is -12.0, below -3 and 10 % is authentic against 50 % of real images."
        in sentences
    )
    assert any(
        s.startswith("The control that copies the training images is found out: C_T is -50.0") for s in sentences
    )
    assert any("is not found out" in sentence for sentence in told(copier, missed, real))
    assert not any("copies" in sentence for sentence in told(cell(), real, control("train copy", 0.1)))


def test_controls_give_the_scale_and_never_win(cell, control):
    models = cell(fds=(4.0,), error=0.1), cell("vae", "vae", fds=(9.0,), error=0.1)
    sentences = told(*models, control("real", 0.5), control("noise", 200.0))
    assert sentences[0].startswith("ddpm (diffusion) wins")
    assert "For scale: real images score 0.500 and noise scores 200 against the same reference." in sentences


def test_failures_are_named(cell, failure):
    assert told(cell(), failure)[-1] == "dcgan (gan) failed and has no rank."
    unjudged = {**failure, "status": "unjudged"}
    assert told(cell(), unjudged)[-1] == "dcgan (gan) is not judged and has no rank."
    assert told(failure) == ["No model has a result to compare.", "dcgan (gan) failed and has no rank."]


def test_one_family_alone_is_not_ranked(cell):
    assert told(cell(fds=(4.0,)))[0] == "Only ddpm (diffusion) was judged, so nothing is ranked: FD (digits) 4.00."


def test_controls_alone_say_so(control):
    assert told(control("real", 0.5)) == ["Only controls were judged under this protocol."]


def test_over_inception_it_is_a_fid(cell):
    first, *_ = told(cell(features="inception"), cell("vae", "vae", fds=(9.0,), features="inception"))
    assert first.startswith("ddpm (diffusion) leads on FID with 4.00")
