"""Writes the finished generator with its documents.

A receipt counts only after its signature and its study have been checked. A site whose receipt is
missing or wrong is listed with the cost of the whole plan, because it may have spent that much.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from cryptography.exceptions import InvalidSignature

from fedsynth_common.privacy.events import merged, to_dict
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.protocol.receipt import Receipt
from fedsynth_release.generator import Generator
from fedsynth_release.generator_files import (
    CARD,
    DRIFT,
    LINEAGE,
    MARGINS,
    MEASUREMENTS,
    PLAN,
)
from fedsynth_release.lineage import Lineage, with_cohorts
from fedsynth_release.margins import margins_of, write_margins
from fedsynth_release.measurements import Measurements
from fedsynth_release.report.verdicts import quality_of
from fedsynth_release.statement import PrivacyStatement, SiteCost
from fedsynth_release.statement.mechanisms import mechanisms_of
from fedsynth_release.statement.model_card import model_card
from fedsynth_release.statement.promises import DRAFTED
from fedsynth_server.study.result import StudyResult


def site_cost(
    plan: Plan, site: str, receipt: pb.ReceiptReply | None, key: bytes
) -> tuple[SiteCost, bool]:
    """The cost of one site and whether its noise was seeded."""
    if receipt is not None:
        try:
            signed = Receipt.opened(receipt.receipt_json, receipt.signature, key)
            if (signed.study, signed.plan_digest) == (plan.study, plan.digest):
                cost = SiteCost.from_events(
                    site,
                    signed.events,
                    plan.delta,
                    receipt=receipt.receipt_json.hex(),
                    signature=receipt.signature.hex(),
                    receipt_key=key.hex(),
                    **signed.facts,
                )
                return cost, signed.seeded
        except (InvalidSignature, ValueError, TypeError):
            pass  # an unusable receipt is no receipt
    worst = [to_dict(event) for event in merged(plan.planned_events())]
    return SiteCost.from_events(site, worst, plan.delta, status="lost"), False


def privacy_statement(
    plan: Plan,
    result: StudyResult,
    contact: str = "",
    expires: str = "",
    caveats: Sequence[str] = (),
    lineage: Lineage | None = None,
) -> PrivacyStatement:
    """The statement of a finished study; contact and expiry as the coordinator words them.

    `caveats` are added to those that follow from the plan and the receipts.
    """
    costs = [
        site_cost(plan, site, result.receipts.get(site), result.keys.get(site, b""))
        for site in plan.sites
    ]
    drafted = plan.table.origin == "drafted from data"
    statement = PrivacyStatement.of(
        study=plan.study,
        plan_digest=plan.digest,
        rows_per_person=plan.table.rows_per_person if plan.table.person_key else None,
        cohorts_per_person=plan.table.cohorts_per_person,
        delta=plan.delta,
        sites=[cost for cost, _ in costs],
        caveats=[*([DRAFTED] if drafted else []), *caveats],
        seeded=any(seeded for _, seeded in costs),
        mechanisms=mechanisms_of(plan),
        secure_sum=plan.secure_sum,
        cohort=plan.cohort,
        contact=contact,
        expires=expires,
    )
    return with_cohorts(statement, plan, lineage)


def export(
    plan: Plan,
    result: StudyResult,
    folder: Path,
    contact: str = "",
    expires: str = "",
    caveats: Sequence[str] = (),
    lineage: Lineage | None = None,
) -> Generator:
    """Write `folder` (created if needed): the files that `generator_files` lists.

    Of a refresh, `lineage` is what it builds on; it is written too, and what changed.

    Returns:
        The generator as it was written.
    """
    statement = privacy_statement(plan, result, contact, expires, caveats, lineage)
    generator = Generator(result.network, result.codebook, plan.table, statement)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PLAN).write_bytes(plan.to_json())  # these bytes have the digest that sites approved
    measured = _write_measurements(generator, result, folder)
    judged = statement.model_copy(update={"quality": quality_of(generator, measured)})
    generator = Generator(result.network, result.codebook, plan.table, judged)
    _write_or_remove(folder / DRIFT, result.drift.to_json() if result.drift else None)
    _write_or_remove(folder / LINEAGE, lineage.to_json() if lineage else None)
    generator.save(folder)
    card = model_card(plan.table, generator.statement, result.notes, result.records)
    (folder / CARD).write_text(card, encoding="utf-8")
    return generator


def _write_or_remove(path: Path, text: str | None) -> None:
    """Write a file that not every study has, or remove that of an earlier export."""
    if text is None:
        path.unlink(missing_ok=True)
    else:
        path.write_text(text, encoding="utf-8")


def _write_measurements(
    generator: Generator, result: StudyResult, folder: Path
) -> Measurements | None:
    """What the generator was compared with, or nothing if it has no measurements."""
    for name in (MEASUREMENTS, MARGINS):
        (folder / name).unlink(missing_ok=True)  # of an earlier export
    if not result.measured:
        return None
    with torch.no_grad():
        soft = generator.mixture.soft_rows().double().numpy()
    schema = generator.model_schema
    measurements = Measurements.of(
        schema, result.records, result.measured, soft, result.codebook, result.cell_error
    )
    measurements = measurements.model_copy(update={"transitions": result.transitions})
    (folder / MEASUREMENTS).write_text(measurements.to_json(), encoding="utf-8")
    write_margins(margins_of(schema, result.codebook, result.measured), folder / MARGINS)
    return measurements
