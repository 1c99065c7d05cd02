"""Denoising: true on noise-free input, closer to the truth on noisy input, silent on pure noise."""

import numpy as np
import pytest

from fedsynth_server.aggregation.denoising import (
    ROUNDS,
    denoise,
    denoised_one_way,
    first_prior,
    improved,
    posterior,
    shrinkage,
)
from fedsynth_server.aggregation.marginals import MarginalEstimate
from fedsynth_server.aggregation.pairs_by_site import single_site

WIDTHS = (6, 5, 8)


def joint(seed=0, strength=1.0):
    """A distribution of three dependent columns: a mixture of three products, and a uniform one."""
    rng = np.random.default_rng(seed)
    parts = [[rng.dirichlet(np.full(w, 0.6)) for w in WIDTHS] for _ in range(3)]
    mixed = sum(np.einsum("i,j,k->ijk", *part) for part in parts) / 3
    flat = np.einsum("i,j,k->ijk", *(mixed.sum(tuple({0, 1, 2} - {a})) for a in range(3)))
    return strength * mixed + (1 - strength) * flat


def measured(truth, std, seed=0):
    rng = np.random.default_rng(seed)
    found = []
    for columns in [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)]:
        others = tuple({0, 1, 2} - set(columns))
        exact = truth.sum(others)
        noisy = exact + rng.normal(0, std, exact.shape)
        found.append(
            MarginalEstimate(columns=columns, frequencies=noisy, variance=max(std, 1e-9) ** 2)
        )
    return found


def error(marginals, truth):
    """Mean total variation of the pairs from the truth."""
    distances = []
    for marginal in marginals:
        if len(marginal.columns) == 2:
            exact = truth.sum(tuple({0, 1, 2} - set(marginal.columns)))
            distances.append(np.abs(marginal.frequencies - exact).sum() / 2)
    return np.mean(distances)


def test_without_noise_nothing_is_lost():
    truth = joint()
    cleaned = denoise(measured(truth, 0.0), WIDTHS).marginals
    assert error(cleaned, truth) < 1e-3
    for j in range(3):
        exact = truth.sum(tuple({0, 1, 2} - {j}))
        assert cleaned[j].frequencies == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("std", [0.002, 0.01, 0.03])
def test_it_comes_closer_to_the_truth(std):
    truth = joint()
    for seed in range(5):
        noisy = measured(truth, std, seed)
        assert error(denoise(noisy, WIDTHS).marginals, truth) < 0.8 * error(noisy, truth)


def test_pure_noise_shows_no_dependence():
    truth = joint(strength=0.0)
    cleaned = denoise(measured(truth, 0.01, 3), WIDTHS).marginals
    for marginal in cleaned[3:]:
        a, b = marginal.columns
        product = np.outer(cleaned[a].frequencies, cleaned[b].frequencies)
        assert np.abs(marginal.frequencies - product).max() < 0.02


def test_the_order_is_margins_then_pairs_and_margins_are_distributions():
    cleaned = denoise(measured(joint(), 0.02)[::-1], WIDTHS).marginals
    assert [m.columns for m in cleaned[:3]] == [(0,), (1,), (2,)]
    assert {m.columns for m in cleaned[3:]} == {(0, 1), (0, 2), (1, 2)}
    for marginal in cleaned[:3]:
        assert marginal.frequencies.min() >= 0
        assert marginal.frequencies.sum() == pytest.approx(1.0)
    for marginal in cleaned[3:]:
        assert marginal.frequencies.sum() == pytest.approx(1.0, abs=1e-6)


def test_margins_are_averaged_over_everything_measured():
    truth = joint()
    alone, all_of_it = [], []
    for seed in range(30):
        noisy = measured(truth, 0.01, seed)
        exact = truth.sum((1, 2))
        alone.append(np.abs(denoised_one_way(noisy[:3], WIDTHS)[0].frequencies - exact).sum())
        all_of_it.append(np.abs(denoised_one_way(noisy, WIDTHS)[0].frequencies - exact).sum())
    assert np.mean(all_of_it) < np.mean(alone)
    assert (
        denoised_one_way(noisy, WIDTHS)[0].variance
        < denoised_one_way(noisy[:3], WIDTHS)[0].variance
    )


def test_columns_of_one_code_and_single_columns_pass():
    one = [MarginalEstimate(columns=(0,), frequencies=np.array([1.01]), variance=1e-4)]
    assert denoise(one, (1,)).marginals[0].frequencies == pytest.approx([1.0])
    pair = MarginalEstimate(columns=(0, 1), frequencies=np.array([[0.6, 0.41]]), variance=1e-4)
    second = MarginalEstimate(columns=(1,), frequencies=np.array([0.6, 0.4]), variance=1e-4)
    cleaned = denoise([*one, second, pair], (1, 2)).marginals
    assert cleaned[2].frequencies.sum() == pytest.approx(1.0, abs=1e-6)


def drawn(widths, ranks, strength, seed):
    """Dependence drawn from the prior that denoising assumes, and the same with unit noise."""
    rng = np.random.default_rng(seed)
    bases = [np.linalg.qr(rng.normal(size=(w, r)))[0] for w, r in zip(widths, ranks, strict=True)]
    columns = [(a, b) for a in range(len(widths)) for b in range(a + 1, len(widths))]
    truth = {
        (a, b): strength * bases[a] @ rng.normal(size=(ranks[a], ranks[b])) @ bases[b].T
        for a, b in columns
    }
    return truth, {c: signal + rng.normal(size=signal.shape) for c, signal in truth.items()}


def test_the_prior_finds_the_directions_that_pairs_share():
    widths = (12, 10, 14, 9, 11)
    truth, noisy = drawn(widths, ranks=(2, 1, 2, 1, 2), strength=12.0, seed=0)
    prior = first_prior(noisy, widths)
    for _ in range(ROUNDS):
        prior = improved(prior, noisy, widths)
    for column, rank in enumerate((2, 1, 2, 1, 2)):
        values, vectors = prior.eigen()[column]
        beside = [m if c[0] == column else m.T for c, m in truth.items() if column in c]
        found = vectors[:, -rank:].T @ np.concatenate(beside, axis=1)
        assert (found**2).sum() > 0.9 * sum((m**2).sum() for m in beside)
        assert values[-rank:].sum() > 0.7 * values.sum()


def test_cells_shrink_by_signal_over_signal_and_noise():
    kept = shrinkage(2.0, np.array([1.0, 0.5]), np.array([4.0]))
    assert kept.ravel().tolist() == pytest.approx([8 / 9, 4 / 5])


def test_pairs_learn_from_each_other():
    """A weak pair of columns whose directions strong pairs show is told from noise better."""
    widths = (16, 16, 16, 16)
    alone, together = [], []
    for seed in range(10):
        truth, noisy = drawn(widths, ranks=(1, 1, 1, 1), strength=1.0, seed=seed)
        for pair in noisy:
            if pair != (0, 1):
                noisy[pair] += 7.0 * truth[pair]
        for pairs, errors in (({(0, 1): noisy[0, 1]}, alone), (noisy, together)):
            prior = first_prior(pairs, widths)
            for _ in range(ROUNDS):
                prior = improved(prior, pairs, widths)
            eigen = prior.eigen()
            kept = shrinkage(prior.strength[0, 1], eigen[0][0], eigen[1][0])
            left, right = eigen[0][1], eigen[1][1]
            mean = left @ (kept * (left.T @ noisy[0, 1] @ right)) @ right.T
            errors.append(((mean - truth[0, 1]) ** 2).sum())
    assert np.mean(together) < 0.5 * np.mean(alone)


def test_independent_columns_keep_little_of_the_noise():
    widths, rng = (24, 10, 24, 17, 16, 8, 16, 7), np.random.default_rng(1)
    first = [rng.dirichlet(np.full(w, 2.0)) for w in widths]
    columns = [(a, b) for a in range(8) for b in range(a + 1, 8)]
    measured = [
        MarginalEstimate(columns=(j,), frequencies=f, variance=1e-6) for j, f in enumerate(first)
    ]
    for a, b in columns:
        noise = rng.normal(0, 2e-3, (widths[a], widths[b]))
        pair = np.outer(first[a], first[b]) + noise
        measured.append(MarginalEstimate(columns=(a, b), frequencies=pair, variance=4e-6))
    cleaned = denoise(measured, widths).marginals
    before = after = 0.0
    for raw, clean in zip(measured[8:], cleaned[8:], strict=True):
        exact = np.outer(first[raw.columns[0]], first[raw.columns[1]])
        before += np.abs(raw.frequencies - exact).sum()
        after += np.abs(clean.frequencies - exact).sum()
    assert after < 0.25 * before


@pytest.mark.parametrize("std", [1e-4, 1e-6, 1e-8])
def test_more_rounds_do_no_harm_where_there_is_little_noise(std):
    """Scale counted in a strength and in both covariances swings, and ends by denying all dependence."""
    truth = joint()
    noisy = measured(truth, std)
    first = denoised_one_way(noisy, WIDTHS)
    known = {m.columns: m for m in noisy if len(m.columns) == 2}
    sites = single_site(list(known.values()), WIDTHS)
    pairs = {c: sites.within(m, first)[0] / std for c, m in known.items()}
    prior = first_prior(pairs, WIDTHS)
    for _ in range(40):
        prior = improved(prior, pairs, WIDTHS)
        eigen = prior.eigen()
        for (a, b), matrix in pairs.items():
            mean, _ = posterior(matrix, prior.strength[a, b], eigen[a], eigen[b])
            kept = eigen[a][1] @ mean @ eigen[b][1].T
            assert np.abs(kept - matrix).sum() < 0.3 * np.abs(matrix).sum()
