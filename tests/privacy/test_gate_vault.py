"""The privacy gate at the vault: what only shows when two whole releases are set side by side."""

import logging
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from small_site import WIDTHS, Site, make_plan, make_policy, make_records, run
from torch.profiler import profile

from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.records.records import Records
from fedsynth_client.vault import assignment as assigned
from fedsynth_client.vault.assignment import Assignment, rounding_of, slack_of
from fedsynth_client.vault.discriminate import Trainer
from fedsynth_common.errors import ErrorCode
from fedsynth_common.networks import Discriminator, flatten, layers_of, load_flat
from fedsynth_common.networks.gradients import RowGradients
from fedsynth_common.privacy.randomness import Randomness, SeededRandomness
from fedsynth_common.privacy.rounding import row_limit
from fedsynth_common.protocol import PROTOCOL_VERSION
from fedsynth_common.protocol import vault_pb2 as pb

pytestmark = pytest.mark.privacy
METHODS = ("measure", "discriminate")


def assignment(seed=0, scale=0.5, widths=WIDTHS, hidden=(4,), rows_per_person=1, **training):
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
        rows_per_person=rows_per_person,
    )


def clipped_sum(order, records):
    """Sum of clipped gradients in units of the clipping norm, its noise switched off."""
    trainer = Trainer(order, Randomness())
    trainer.optimizer.noise_multiplier = 1e-12
    gradient = trainer.private_gradient(records)
    return gradient * order.plan.expected_batch / order.plan.clipping_norm


@pytest.mark.parametrize("others", [0, 1, 2, 33])
@pytest.mark.parametrize("seed", range(4))
def test_a_record_moves_the_sum_by_at_most_the_clipping_norm(seed, others):
    """Its three copies are clipped as one: apart they would move it by up to 3 C."""
    order = assignment(seed, clipping_norm=1e-3)
    codes = make_records(others + 1, seed).codes
    moved = clipped_sum(order, Records(codes)) - clipped_sum(order, Records(codes[:-1]))
    assert 0.99 < np.linalg.norm(moved) <= 1 + 1e-6


@pytest.mark.parametrize("masked", [1, 2])
def test_the_blanked_columns_of_a_record_depend_on_neither_place_nor_company(masked):
    """Else the removal of one record would change what is asked of others: all 27 cases come equally."""
    order, records = assignment(masked_columns=masked), make_records(3)
    trainer, generator, drawn = Trainer(order, Randomness()), Randomness().generator(), []
    for _ in range(1600):
        found = trainer._gradients(records, np.arange(3), generator)
        drawn.append(np.bincount(found.owner, found.predicted, minlength=3)[:3])
    choice = np.array(drawn, int) if masked == 1 else 3 - np.array(drawn, int)
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
    order = assignment(2, clipping_norm=1e-3, rows_per_person=3)
    person = np.array([0, 0, 0, 1, 1, 2])
    codes = make_records(6).codes
    whole, without = Records(codes, person), Records(codes[3:], person[3:] - 1)
    moved = clipped_sum(order, whole) - clipped_sum(order, without)
    assert np.linalg.norm(moved) <= 1 + 1e-4
    sampled = replace(order, plan=make_plan(training={"sampling_rate": 0.5}).discriminator)
    trainer = Trainer(sampled, Randomness())
    for _ in range(40):
        [piece] = trainer._pieces(whole)
        owners = person[piece.rows]
        assert all((owners == who).sum() in (0, (person == who).sum()) for who in range(3))
        assert (np.diff(piece.groups) == (np.diff(owners) != 0)).all()


@pytest.fixture
def two_threads():
    """As many as a product may be split among."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def cancelling(seed, widths, width=32):
    """Weights within the vault's old limits whose logits are all rounding: terms of 1e8 that cancel.

    Saturated, the features are 1 whatever the record is.
    """
    rng, network = np.random.default_rng(seed), Discriminator(sum(widths), (width,))
    first, heads = network.features[0], network.heads
    with torch.no_grad():
        first.weight.zero_()
        first.bias.copy_(torch.from_numpy(rng.uniform(20, 1e4, width)))
        heads.weight.copy_(torch.from_numpy(rng.uniform(-1e4, 1e4, (sum(widths), width))))
        heads.weight[:, -1] = 0
        heads.weight[:, -1] = -heads.weight.double().sum(1)
        heads.bias.copy_(-heads.weight.double().sum(1))
    return flatten(network)


def scaled(order, share):
    """Weights in the direction of the order's whose bound of rounding is a share of the accepted one."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        network = Discriminator(sum(order.widths), order.plan.hidden).double()
        load_flat(network, order.weights * np.float32(middle))
        fits = rounding_of(network, order) <= share * row_limit(order.plan.hidden)
        low, high = (middle, high) if fits else (low, middle)
    return replace(order, weights=(order.weights * np.float32(low)).astype(np.float32))


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("piece", [4, 512])
@pytest.mark.parametrize("widths", [(4,), (11, 11, 11)])
def test_crafted_rounding_moves_the_sum_no_further(monkeypatch, widths, piece):
    """In float32, one matrix product for the whole batch, seed 60 moved three columns' sum by 2.9 C."""
    monkeypatch.setattr(assigned, "_ROWS", piece)
    codes = np.zeros((17, len(widths)), np.uint16)
    for seed in (35, 38, 45, 60, 77, *range(5)):
        order = assignment(hidden=(32,), widths=widths, clipping_norm=1e-3, expected_batch=8)
        order = scaled(replace(order, weights=cancelling(seed, widths)), 1.0)
        sums = [clipped_sum(order, Records(codes[:rows])) for rows in (0, 1, 2, 3, 4, 15, 16, 17)]
        for few, more in ((0, 1), (1, 2), (2, 3), (3, 4), (5, 6), (6, 7)):
            assert np.linalg.norm(sums[more] - sums[few]) <= 1 + 1e-6


def test_weights_beyond_the_bound_of_rounding_are_refused_at_the_door():
    """The very weights of the attack, each far below the largest that may be sent."""
    site = Site(plan=make_plan(training={"hidden": (32,)})).enrolled()
    weights = cancelling(60, WIDTHS)
    assert np.abs(weights).max() < 1e6
    for factor in (1.0, 1e-2):
        sent = (np.clip(weights, -1e4, 1e4) * np.float32(factor)).tobytes()
        assert run(site, "discriminate", weights=sent).status == ErrorCode.PAYLOAD.value
    assert site.ledger.head()[0] == 0


def exact_gradients(order, codes, blanked):
    """Gradients (n, p) with 64 bits of mantissa, formed row by row from the definition."""
    network = Discriminator(sum(order.widths), order.plan.hidden)
    load_flat(network, order.weights)
    layers = [[np.longdouble(part.numpy()) for part in layer] for layer in layers_of(network)]
    layers[0] = [np.round(part * 2**24) / 2**24 for part in layers[0]]
    ends, found = np.cumsum(order.widths), []
    for row, columns in zip(codes, blanked, strict=True):
        sums = [[np.zeros_like(part) for part in layer] for layer in layers]
        for column in columns:
            block = slice(ends[column] - order.widths[column], ends[column])
            shown = np.zeros(sum(order.widths), np.longdouble)
            shown[ends - np.array(order.widths) + row] = 1
            shown[block] = 0
            inputs = [shown]
            for weight, bias in layers[:-1]:
                inputs.append(np.tanh(weight @ inputs[-1] + bias))
            logits = (layers[-1][0] @ inputs[-1] + layers[-1][1])[block]
            error = np.exp(logits - logits.max())
            error /= error.sum()
            error[row[column]] -= 1
            back = np.zeros(sum(order.widths), np.longdouble)
            back[block] = error / len(columns)
            for number in range(len(layers) - 1, -1, -1):
                sums[number][0] += np.outer(back, inputs[number])
                sums[number][1] += back
                back = (back @ layers[number][0]) * (1 - inputs[number] ** 2)
        found.append(np.concatenate([part.ravel() for layer in sums for part in layer]))
    return np.array(found)


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="no more digits than float64 here")
@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("crafted", [True, False])
@pytest.mark.parametrize("hidden", [(32,), (6, 5)])
@pytest.mark.parametrize("masked", [1, 4])
def test_rounding_moves_a_gradient_by_no_more_than_its_bound(crafted, hidden, masked):
    """Gradients of rows alone and in batches of many sizes, against 64 bits of mantissa."""
    widths, rng = (2, 3, 4, 5, 11), np.random.default_rng(0)
    order = assignment(scale=2.0, widths=widths, hidden=hidden, masked_columns=masked)
    if crafted and len(hidden) == 1:
        order = replace(order, weights=cancelling(60, widths))
    order = scaled(order, 1.0)
    network = Discriminator(sum(widths), hidden).double()
    load_flat(network, order.weights)
    bound = rounding_of(network, order)
    codes = np.stack([rng.integers(0, width, 65) for width in widths], axis=1).astype(np.uint16)
    chosen, largest = rng.random(codes.shape).argsort(axis=1), 0.0
    exact = exact_gradients(order, codes, chosen[:, :masked])
    for rows in (1, 2, 3, 17, 65):
        for start in {0, 65 - rows}:
            part = slice(start, start + rows)
            gradients = RowGradients(network, codes[part], chosen[part], masked, widths)
            for one, wanted in zip(torch.eye(rows, dtype=torch.float64), exact[part], strict=True):
                sums = gradients.weighted_sum(one)
                vector = torch.cat([s.reshape(-1) for s in sums]).numpy().astype(np.longdouble)
                largest = max(largest, float(np.sqrt(((vector - wanted) ** 2).sum())))
            norms = np.sqrt((exact[part] ** 2).sum(1)).astype(np.float64)
            found = gradients.squared_norms().sqrt().numpy()
            assert np.abs(found - norms).max() <= bound
    assert 1e-16 < largest <= bound  # there is rounding, and the bound is above it


def test_noise_covers_what_rounding_may_add(monkeypatch):
    """Its standard deviation is that of C (1 + slack), not of C alone."""
    asked = []
    monkeypatch.setattr(
        "fedsynth_client.vault.dpsgd.gaussian",
        lambda size, std, _: asked.append(std) or np.zeros(size),
    )
    nobody = Records(np.zeros((0, len(WIDTHS)), np.uint16))
    for rows, clipping_norm in ((1, 1.0), (60, 1.0), (1, 1e-3)):
        order = assignment(rows_per_person=rows, clipping_norm=clipping_norm, noise_multiplier=2.0)
        Trainer(order, Randomness()).private_gradient(nobody)
        share = slack_of(order)
        units = 4 * order.plan.expected_batch + 1
        assert share >= max(1e-6, 2 * units * rows * row_limit([4]) / clipping_norm)
        assert asked.pop() == 2.0 * clipping_norm * (1 + share)


def test_a_step_needs_as_much_memory_for_one_row_as_for_many():
    """The largest tensors of a step: of the same size, whoever is in the table."""
    peaks = {}
    for rows, per_person in ((1, 1), (2_000, 1), (1, 60), (2_000, 60)):
        order = assignment(hidden=(64,), rows_per_person=per_person, expected_batch=400)
        person = None if per_person == 1 else np.arange(rows) // 60
        trainer, records = Trainer(order, Randomness()), Records(make_records(rows).codes, person)
        with profile(profile_memory=True) as watched:
            trainer.private_gradient(records)
        sizes = [e.cpu_memory_usage for e in watched.events() if e.cpu_memory_usage > 0]
        peaks.setdefault(per_person, []).append(max(sizes))
    for few, many in peaks.values():
        assert many <= 1.1 * few
