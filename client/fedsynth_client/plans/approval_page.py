"""A page about a plan to print, for an ethics board or a data protection officer to sign.

It says what is asked, what ε and δ mean for a person in plain words (`promise.plain_words`, as in the
documents of a release), what leaves the site, and what is left of the cap. It follows from the plan, the
policy and the ledger; no record is looked at. It holds what the site has spent on other studies, so the
file is for its owner alone.
"""

import html
from collections.abc import Iterator
from datetime import date

from fedsynth_client.budget.policy import Policy
from fedsynth_client.plans.review import Review
from fedsynth_common.limits import printable
from fedsynth_common.privacy.accounting import epsilon
from fedsynth_common.privacy.secure_noise import at_sites
from fedsynth_common.promise.plain_words import Terms, figure, promise_of
from fedsynth_common.protocol.plan import Plan

_STYLE = """\
:root { color-scheme: light; }
body { font: 11pt/1.45 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem;
  color: #1a1a1a; background: #fff; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin: 1.2rem 0 .3rem; } p { margin: .35rem 0; }
ul { margin: .3rem 0; padding-left: 1.3rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .15rem .6rem .15rem 0;
  border-bottom: 1px solid #bbb; overflow-wrap: anywhere; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.fault { border-left: .4rem solid #b3261e; padding-left: .6rem; }
.mono { font-family: ui-monospace, monospace; font-size: .85em; overflow-wrap: anywhere; }
.sign { display: grid; grid-template-columns: 1fr 1fr; gap: 2.2rem 2rem; margin-top: 2.4rem;
  break-inside: avoid; }
.sign div { border-top: 1px solid #1a1a1a; padding-top: .2rem; }
@page { size: A4; margin: 16mm; }
@media print { body { font-size: 9.5pt; margin: 0; padding: 0; max-width: none; }
  h2 { break-after: avoid; } tr, li { break-inside: avoid; } }
"""
_SIGNED = ("Data steward of the site", "Data protection officer", "Chair of the board", "Date")


def approval_page(plan: Plan, policy: Policy, reviewed: Review, today: date) -> str:
    """The page as HTML, one or two sheets of paper."""
    parts = [
        *_head(plan, policy, today),
        *_against(reviewed),
        *_meaning(plan, reviewed),
        *_leaves(plan),
        *_budget(policy, reviewed),
        *_columns(plan),
        *_signatures(),
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_text(plan.study)}: '
        f'approval</title><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )


def _text(words: str) -> str:
    """What somebody else wrote, made harmless."""
    return html.escape(printable(words))


def _head(plan: Plan, policy: Policy, today: date) -> Iterator[str]:
    sites = ", ".join(plan.sites)
    rows = {
        "Study": _text(plan.study),
        "Asked by the coordinator of": f"{len(plan.sites)} sites: {_text(sites)}",
        "This site": _text(policy.site or "not named in the policy"),
        "Data set": _text(policy.dataset),
        "Plan": f'<span class="mono">{plan.digest}</span>',
        "Printed": today.isoformat(),
    }
    yield "<h1>Approval of a study with synthetic data</h1><table>"
    for name, value in rows.items():
        yield f"<tr><th>{name}<td>{value}</tr>"
    yield (
        "</table><p>The sites train one generator of synthetic records together. No record leaves "
        "this site. The board decides whether this site may answer the questions of this plan. The "
        "digest above names the plan: the site answers no other one under this approval.</p>"
    )


def _against(reviewed: Review) -> Iterator[str]:
    for reason in reviewed.refusals:
        yield f'<p class="fault">This site would refuse the plan as it is: {_text(reason)}</p>'
    if reviewed.refusals:
        yield '<p class="fault">A plan that the site would refuse cannot be approved.</p>'


def terms_of(plan: Plan, reviewed: Review) -> Terms:
    """What the plan promises the people of this site; the cost is computed here, not believed."""
    table, sites = plan.table, len(plan.sites)
    everywhere = reviewed.cost * sites
    if plan.secure_sum:
        everywhere = epsilon(at_sites(plan.planned_events(), sites), plan.delta)
    return Terms(
        epsilon=reviewed.cost,
        delta=plan.delta,
        rows_per_person=table.rows_per_person if table.person_key is not None else None,
        cohorts_per_person=table.cohorts_per_person,
        sites=sites,
        everywhere=everywhere,
        alone=reviewed.cost_alone,
    )


def _meaning(plan: Plan, reviewed: Review) -> Iterator[str]:
    promise = promise_of(terms_of(plan, reviewed))
    unit = "a person" if plan.table.person_key is not None else "a record"
    yield (
        f"<h2>What it means for {unit}</h2><p><b>{promise.headline}:</b> ε = "
        f"{figure(reviewed.cost)}, δ = {plan.delta:g}.</p>"
    )
    for sentence in promise.sentences:
        yield f"<p>{html.escape(sentence)}</p>"
    yield (
        f"<p>The promise may fail altogether with a probability of at most 1 in {1 / plan.delta:,.0f} "
        "(δ). It does not hide what is true of a whole group: others may learn from the study that "
        "smokers fall ill more often, and apply it to a smoker who never took part.</p>"
    )


def _leaves(plan: Plan) -> Iterator[str]:
    yield "<h2>What leaves the site</h2><ul>"
    if plan.cohort is not None and plan.table.cohorts is not None:
        column = _text(plan.table.cohorts.column)
        yield f"<li>Only records of the cohort {_text(plan.cohort)} (by {column}) are looked at.</li>"
    if plan.measure:
        count = len(plan.measure)
        yield (
            f"<li>{count} answer{'s' if count > 1 else ''} of counts, such as how many people are of "
            "a sex and in an age group. Noise is added to every count before it leaves.</li>"
        )
    if training := plan.discriminator:
        yield (
            f"<li>{training.messages} answers of a network that learns to tell real records from "
            "synthetic ones. Noise is added to every step of its training.</li>"
        )
    if plan.secure_sum:
        yield (
            "<li>The sites make one noise together. Each answer is masked, so that the coordinator can "
            "read the sum over the sites and no single answer.</li>"
        )
    yield (
        "<li>A signed receipt of what was charged to the privacy budget.</li>"
        "<li>That the site takes part, that its table passed the site's own checks, and how long "
        "answers take, which tells about how many records there are.</li></ul>"
        "<p>What does not leave: records, exact counts, names, identifiers, free text.</p>"
    )


def _budget(policy: Policy, reviewed: Review) -> Iterator[str]:
    left = max(0.0, policy.max_epsilon - reviewed.after.epsilon)
    rows = {
        "Cap of this site over all studies": policy.max_epsilon,
        "Charged for other studies before": reviewed.spent.epsilon,
        "This plan": reviewed.cost,
        "Charged with this plan": reviewed.after.epsilon,
    }
    yield '<h2>The privacy budget</h2><table><tr><th>at most<th class="n">ε</tr>'
    for name, value in rows.items():
        yield f'<tr><td>{name}<td class="n">{figure(value)}</tr>'
    down = int(left * 100) / 100  # what is left is rounded down
    yield f'<tr><td><b>Left of the cap afterwards</b><td class="n"><b>{down:.2f}</b></tr></table>'
    if reviewed.several:
        yield (
            "<p>Several studies are added up so that the cap holds although later ones are chosen "
            f"after seeing earlier results: {min(reviewed.after.share, 9.99):.1%} of the cap is used "
            "with this plan, and when it is used up the site answers nothing more.</p>"
        )


def _columns(plan: Plan) -> Iterator[str]:
    table = plan.table
    never = [column.name for column in table.columns if column not in table.modelled]
    names = ", ".join(column.name for column in table.modelled)
    yield f"<h2>The columns</h2><p>Learned ({len(table.modelled)}): {_text(names)}.</p>"
    if never:
        yield f"<p>Never read for learning ({len(never)}): {_text(', '.join(never))}.</p>"
    if table.origin != "declared":
        yield (
            '<p class="fault">The schema was drafted from records and nobody has reviewed it, so the '
            "promise above does not hold.</p>"
        )


def _signatures() -> Iterator[str]:
    yield "<h2>Decision</h2><p>☐ approved &nbsp; ☐ approved on the condition of: &nbsp; ☐ refused</p>"
    lines = "".join(f"<div>{who}</div>" for who in _SIGNED)
    yield f'<div class="sign">{lines}</div>'
