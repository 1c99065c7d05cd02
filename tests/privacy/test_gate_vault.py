"""The privacy gate at the vault: what only shows when two whole releases are set side by side."""

import logging
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from small_site import WIDTHS, Site, make_plan, make_policy, make_records, run

from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.records.records import Records
from fedsynth_client.vault.discriminate import Assignment, Piece, Trainer
from fedsynth_common.errors import ErrorCode
from fedsynth_common.networks import Discriminator, flatten
from fedsynth_common.privacy.randomness import Randomness, SeededRandomness
from fedsynth_common.protocol import PROTOCOL_VERSION
from fedsynth_common.protocol import vault_pb2 as pb

pytestmark = pytest.mark.privacy
METHODS = ("measure", "discriminate")


def assignment(seed=0, scale=0.5, widths=WIDTHS, hidden=(4,), **training):
    """All columns are blanked, each in its copy, unless `masked_columns` says otherwise."""
    common = {"sampling_rate": 1.0, "masked_columns": len(widths)}
    plan = make_plan(training={**common, "hidden": hidden, **training}).discriminator
    size = flatten(Discriminator(sum(widths), hidden)).size
    weights = np.random.default_rng(seed).normal(0, scale, size).astype(np.float32)
    return Assignment(
        plan=plan,
        views=tuple(np.arange(width, dtype=np.uint16) for width in widths),
        widths=widths,
        weights=weights,
        moments=np.zeros(2 * size, np.float32),
        message=0,
    )


def clipped_sum(order, records):
    """Sum of clipped gradients in units of the clipping norm, its noise switched off."""
    trainer = Trainer(order, Randomness())
    trainer.optimizer.noise_multiplier = 1e-12
    gradient = trainer.private_gradient(records).astype(np.float64)
    return gradient * order.plan.expected_batch / order.plan.clipping_norm


@pytest.mark.parametrize("others", [0, 1, 2, 33])
@pytest.mark.parametrize("seed", range(4))
def test_a_record_moves_the_sum_by_at_most_the_clipping_norm(seed, others):
    """Its three copies are clipped as one: apart they would move it by up to 3 C."""
    order = assignment(seed, clipping_norm=1e-3)
    codes = make_records(others + 1, seed).codes
    moved = clipped_sum(order, Records(codes)) - clipped_sum(order, Records(codes[:-1]))
    assert 0.99 < np.linalg.norm(moved) <= 1 + 1e-5 * (1 + others)


@pytest.mark.parametrize("masked", [1, 2])
def test_the_blanked_columns_of_a_record_depend_on_neither_place_nor_company(masked):
    """Else the removal of one record would change what is asked of others: all 27 cases come equally."""
    order, records = assignment(masked_columns=masked), make_records(3)
    trainer = Trainer(order, Randomness())
    drawn = np.array([next(trainer._pieces(records)).blanked for _ in range(1600)])
    choice = drawn[..., 0] if masked == 1 else 3 - drawn.sum(axis=2)
    observed = np.bincount(choice @ [9, 3, 1], minlength=27)
    assert stats.chisquare(observed).pvalue > 1e-9


def test_the_noise_of_a_step_has_its_scale_to_one_percent():
    """Nobody drawn, so what is released is noise alone: std = sigma C / L on each coordinate."""
    order = assignment(hidden=(64, 32), noise_multiplier=2.0, clipping_norm=0.5, expected_batch=50)
    nobody = Records(np.zeros((0, len(WIDTHS)), np.uint16))
    trainer = Trainer(order, Randomness())
    noise = np.concatenate([trainer.private_gradient(nobody) for _ in range(60)])  # 166,000
    assert noise.std() == pytest.approx(2.0 * 0.5 / 50, rel=0.01)
    assert stats.kstest(noise / (2.0 * 0.5 / 50), "norm").pvalue > 1e-9


def test_a_seed_of_torch_does_not_fix_the_noise_of_a_step():
    """Nobody is in the table, so that only the noise could differ."""
    nobody, steps = Records(np.zeros((0, len(WIDTHS)), np.uint16)), []
    for _ in range(2):
        torch.manual_seed(0)
        steps.append(Trainer(assignment(), Randomness()).private_gradient(nobody))
    assert (steps[0] != steps[1]).all()


def form(reply):
    """Everything about a reply but the values of its noisy arrays."""
    noisy = {"counts", "weights", "moments"}
    fields = [(f.name, len(v) if f.name in noisy else v) for f, v in reply.ListFields()]
    return tuple(fields), len(reply.SerializeToString())


def life_of(records, caplog):
    """The forms of all that a site says during a study, its log, and its ledger's charges."""
    site = Site(records=records, policy=make_policy(site="north"))
    request = pb.EnrollRequest(protocol_version=PROTOCOL_VERSION, plan_json=site.plan.to_json())
    caplog.clear()
    enrolled = site.vault.enroll(request)
    replies = [run(site, "measure", step=1), run(site, "measure", step=1), run(site, "measure")]
    replies += [run(site, "discriminate", step=step) for step in (3, 4, 9)]
    replies += [run(site, "measure", variance=1), run(site, "measure", step=1, variance=13)]
    receipt = site.vault.receipt(site.receipt_request()).receipt_json
    public = (enrolled.status, enrolled.site, enrolled.package_version, len(enrolled.receipt_key))
    public = (*public, len(enrolled.ListFields()))
    return public, [form(reply) for reply in replies], receipt, caplog.text, site.ledger.charged()


def test_adjacent_tables_differ_in_nothing_but_noisy_arrays(caplog):
    """Neighbours, and tables of quite another size, give equal lives."""
    with caplog.at_level(logging.DEBUG):
        whole = make_records(201)
        lives = [
            life_of(records, caplog)
            for records in (whole, Records(whole.codes[:-1]), make_records(7), make_records(3000))
        ]
    assert lives[0][0][0] == "OK"
    assert all(life == lives[0] for life in lives)


def released_in_a_forked_child(site, method):
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        reply = run(site, method)
        os.write(write_end, (reply.counts if method == "measure" else reply.weights)[:4096])
        os._exit(0)
    os.close(write_end)
    os.waitpid(child, 0)
    with os.fdopen(read_end, "rb") as pipe:
        return pipe.read()


@pytest.mark.parametrize("method", METHODS)
def test_forked_vaults_and_restarted_vaults_draw_noise_of_their_own(method):
    """Parent, two children and a second start: the same request, four different releases."""
    site = Site().enrolled()
    replies = [released_in_a_forked_child(site, method) for _ in range(2)]
    for vault in (site, Site().enrolled()):
        reply = run(vault, method)
        replies.append((reply.counts if method == "measure" else reply.weights)[:4096])
    assert len(replies[0]) > 90
    assert len(set(replies)) == 4


def test_no_state_of_a_generator_is_written_down(tmp_path):
    """A vault restored from its files and one that went on share no noise; nothing seeds them."""
    site = Site(ledger=Ledger(tmp_path / "ledger.db", "people")).enrolled()
    run(site, "measure")
    site.ledger.close()
    assert vars(site.randomness) == {}
    copies = []
    for k in range(2):
        for file in tmp_path.glob("ledger.db*"):
            (tmp_path / f"copy-{k}").mkdir(exist_ok=True)
            (tmp_path / f"copy-{k}" / file.name).write_bytes(file.read_bytes())
        again = Site(ledger=Ledger(tmp_path / f"copy-{k}" / "ledger.db", "people"))
        copies.append(run(again, "discriminate").weights)
        again.ledger.close()
    assert copies[0] != copies[1]


def test_a_charge_is_synced_to_disk_before_anything_is_computed(tmp_path):
    """SQLite's NORMAL may lose a committed charge when the power fails; 2 is FULL."""
    ledger = Ledger(tmp_path / "ledger.db", "people")
    assert ledger._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert ledger._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    ledger.close()


@pytest.mark.parametrize("method", METHODS)
def test_a_step_is_used_once_whoever_asks(method):
    """Neither other content, nor a restart, nor the other kind of message runs a step again."""
    site = Site().enrolled()
    first = run(site, method)
    changes = {"variance": 13} if method == "measure" else {"weights": bytes(4 * site.parameters)}
    for vault in (site, Site(ledger=site.ledger)):
        assert run(vault, method, **changes).status == ErrorCode.CONFLICT.value
        assert run(vault, method) == first
    other = (
        run(site, "discriminate", step=2) if method == "measure" else run(site, "measure", step=3)
    )
    assert other.status == ErrorCode.PLAN.value
    assert len(site.ledger.charged()) == 1


def test_seeded_noise_cannot_pass_for_private():
    site = Site(randomness=SeededRandomness(3)).enrolled()
    assert b'"seeded":true' in site.vault.receipt(site.receipt_request()).receipt_json


def test_a_person_is_one_unit_of_sampling_and_clipping():
    """All rows of a person join together and are clipped together: the move stays within C."""
    order = assignment(2, clipping_norm=1e-3)
    person = np.array([0, 0, 0, 1, 1, 2])
    codes = make_records(6).codes
    whole, without = Records(codes, person), Records(codes[3:], person[3:] - 1)
    moved = clipped_sum(order, whole) - clipped_sum(order, without)
    assert np.linalg.norm(moved) <= 1 + 1e-4
    sampled = replace(order, plan=make_plan(training={"sampling_rate": 0.5}).discriminator)
    trainer = Trainer(sampled, Randomness())
    for _ in range(40):
        [piece] = trainer._pieces(whole)
        sizes = np.bincount(piece.groups, minlength=piece.units)
        assert len(piece.codes) == sizes.sum()
        assert set(sizes.tolist()) <= {1, 2, 3}


def samples(order, codes, blanked):
    """Gradient of each record, before clipping."""
    trainer = Trainer(order, Randomness())
    trainer._differentiate(Piece(codes, blanked, None, len(codes)))
    return [gradient.clone() for gradient in trainer.optimizer.grad_samples]


@pytest.fixture
def two_threads():
    """As many as a product of one row may be split among."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("masked", [1, 2, 5, 8, 12])
@pytest.mark.parametrize("hidden", [(1,), (64,), (64, 32)])
@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8, 17, 33, 64])
def test_a_records_gradient_has_the_same_bits_whatever_else_is_in_the_batch(rows, hidden, masked):
    """Forward, backward and the sum over its copies, at places of every alignment."""
    widths, rng = (2, 3, 4, 5) * 3, np.random.default_rng(0)
    order = assignment(scale=1e3, widths=widths, hidden=hidden, masked_columns=masked)
    codes = np.stack([rng.integers(0, width, 65) for width in widths], axis=1).astype(np.uint16)
    blanked = rng.random((65, len(widths))).argsort(axis=1)[:, :masked]
    whole = samples(order, codes, blanked)
    for start in {0, 1, 65 - rows}:
        part = samples(order, codes[start : start + rows], blanked[start : start + rows])
        for alone, together in zip(part, whole, strict=True):
            assert torch.equal(alone, together[start : start + rows])


def cancelling(seed, widths, width=32):
    """Weights within the vault's limits whose logits are all rounding: terms of 1e8 that cancel."""
    rng, network = np.random.default_rng(seed), Discriminator(sum(widths), (width,))
    first, heads = network.features[0], network.heads
    with torch.no_grad():
        first.weight.zero_()
        first.bias.copy_(torch.from_numpy(rng.uniform(1e3, 1e4, width)))
        heads.weight.copy_(torch.from_numpy(rng.uniform(-1e4, 1e4, (sum(widths), width))))
        heads.weight[:, -1] = 0
        heads.weight[:, -1] = -(heads.weight.double() @ first.bias.double()) / first.bias[-1]
        heads.bias.copy_(-(heads.weight.double() @ first.bias.double()))
    return flatten(network)


@pytest.mark.parametrize("widths", [(4,), (11, 11, 11)])
def test_crafted_rounding_moves_the_sum_no_further(widths):
    """With one matrix product for the whole batch, seed 60 moved three columns' sum by 2.9 C."""
    codes = np.zeros((17, len(widths)), np.uint16)
    for seed in (35, 38, 45, 60, 77, *range(20)):
        order = assignment(hidden=(32,), widths=widths, clipping_norm=1e-3)
        order = replace(order, weights=cancelling(seed, widths))
        sums = [clipped_sum(order, Records(codes[:rows])) for rows in (0, 1, 2, 3, 4, 15, 16, 17)]
        for few, more in ((0, 1), (1, 2), (2, 3), (3, 4), (5, 6), (6, 7)):
            assert np.linalg.norm(sums[more] - sums[few]) <= 1 + 1e-4
