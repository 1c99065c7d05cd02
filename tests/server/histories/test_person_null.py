"""Imagined sites of whole persons: without noise they make the steps of a real site."""

import copy

import numpy as np
import torch
from small_histories import HISTORIES
from small_site import make_plan

from fedsynth_client.records.records import Records
from fedsynth_client.vault.assignment import Assignment
from fedsynth_client.vault.discriminate import discriminate
from fedsynth_common.networks import Discriminator, flatten
from fedsynth_common.networks.event_windows import windows_of
from fedsynth_common.privacy.randomness import SeededRandomness
from fedsynth_common.schema import domains, history_schema
from fedsynth_server.histories.person_null import PersonNullTraining

WIDTHS = tuple(domain.width for domain in domains(history_schema(HISTORIES)))
WINDOWS = windows_of(HISTORIES, WIDTHS)
PERSON = np.stack([np.arange(3) % width for width in WIDTHS], 1).astype(np.uint16)
"""Three events of a person: everybody is like this one, so that it does not matter who is drawn."""


def test_without_noise_it_makes_the_steps_of_a_site():
    training = {"sampling_rate": 1.0, "masked_columns": 8, "expected_batch": 30}
    plan = make_plan(training=training | {"steps_per_message": 3}).discriminator
    plan = plan.model_copy(update={"noise_multiplier": 1e-13, "clipping_norm": 0.1})
    torch.manual_seed(0)
    start = Discriminator(sum(WINDOWS.widths), plan.hidden)
    source = torch.Generator().manual_seed(0)
    null = PersonNullTraining(copy.deepcopy(start), plan, 1, WINDOWS, source)
    codes, person = np.tile(PERSON, (30, 1)), np.repeat(np.arange(30), 3)
    weights, moments = flatten(start), np.zeros(2 * flatten(start).size, np.float32)
    for message in range(2):
        order = Assignment(
            plan=plan,
            views=tuple(np.arange(width, dtype=np.uint16) for width in WIDTHS),
            widths=WINDOWS.widths,
            weights=weights,
            moments=moments,
            message=message,
            rows_per_person=3,
            windows=WINDOWS,
        )
        weights, moments = discriminate(Records(codes, person), order, SeededRandomness(0))
        null.message_of(WINDOWS.rows(codes, person), person)
    np.testing.assert_allclose(flatten(null.network), weights, atol=1e-5)
    assert np.abs(weights - flatten(start)).max() > 0.05
