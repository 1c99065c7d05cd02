"""Prints an evaluation as short tables, with every figure beside its ceiling and its floor."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fedsynth_release.evaluation.analysis_results import AnalysisResult
from fedsynth_release.evaluation.attack_results import Attack, CopyRow
from fedsynth_release.evaluation.history_results import HistoryFidelity
from fedsynth_release.evaluation.result_parts import Estimate
from fedsynth_release.evaluation.results import ColumnFidelity, Evaluation, Fidelity, Utility

_HISTORIES = (
    ("static pairs", "static"),
    ("static x event", "static_event"),
    ("within an event", "within_event"),
    ("next, other column", "lag_1"),
    ("next, same column", "lag_1_itself"),
    ("2-3 later, same", "lag_2_3_itself"),
    ("number of events", "lengths"),
    ("gaps", "gaps"),
    ("variance within", "within_person"),
)
_NUMBERS = (
    ("worst mean, in sd", "mean"),
    ("worst sd, relative", "sd"),
    ("quantiles, in sd", "quantiles"),
    ("worst 99 % quantile, |log2|", "p99"),
    ("worst share of zeros", "zeros"),
    ("worst share of missing", "missing"),
    ("Pearson's r", "pearson"),
    ("Spearman's rho", "spearman"),
)
"""Errors of numbers; their best value is 0."""
MOST_AMOUNTS = 8
"""Columns of numbers on the terminal."""
_FIDELITY = (
    ("1-way TVD", "tvd_1", "0"),
    ("2-way TVD", "tvd_2", "0"),
    ("3-way TVD", "tvd_3", "0"),
    ("column shapes (KS/TV)", "column_shapes", "1"),
    ("association difference", "association_difference", "0"),
    ("detection AUC", "detection_auc", "0.5"),
)


def show(evaluation: Evaluation, console: Console) -> None:
    """Print an evaluation."""
    console.print(escape(evaluation.notice), style="bold", soft_wrap=True)
    console.print(_fidelity(evaluation.fidelity))
    if told := _giveaways(evaluation.fidelity):
        console.print(told, markup=False, highlight=False, soft_wrap=True)
    if any(column.amounts for column in evaluation.fidelity.columns):
        console.print(_amounts(evaluation.fidelity.columns))
    if any(figures.numbers for figures in evaluation.fidelity.figures):
        console.print(_number_errors(evaluation.fidelity))
    if evaluation.histories is not None:
        console.print(_histories(evaluation.histories))
    console.print(_utility(evaluation.utility, evaluation.histories is not None))
    for found in evaluation.analyses:
        console.print(_analysis(found))
        told = f"{found.name}: {found.summary}"
        console.print(told, markup=False, highlight=False, soft_wrap=True)
    if evaluation.attacks:
        console.print(_attacks(evaluation.attacks))
        console.print(_copies(evaluation.copies))
    for note in evaluation.notes:
        console.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title)
    table.add_column(headings[0], overflow="fold", min_width=13)
    for heading in headings[1:]:
        table.add_column(heading, justify="right")
    return table


def _fidelity(fidelity: Fidelity) -> Table:
    heads = ("figure", "synthetic", "other real rows (ceiling)", "independent (floor)", "best")
    table = _table("fidelity: how close the table is to the real records", *heads)
    for label, field, best in _FIDELITY:
        values = [getattr(figures, field) for figures in fidelity.figures]
        table.add_row(label, *("-" if v is None else f"{v:.3f}" for v in values), best)
    return table


def _number_errors(fidelity: Fidelity) -> Table:
    heads = ("error", "synthetic", "other real rows (ceiling)", "independent (floor)")
    table = _table("numbers: errors of what people calculate (0 is best)", *heads)
    for label, field in _NUMBERS:
        held = [figures.numbers for figures in fidelity.figures]
        values = [None if errors is None else getattr(errors, field) for errors in held]
        table.add_row(label, *("-" if v is None else f"{v:.3f}" for v in values))
    return table


def _giveaways(fidelity: Fidelity) -> str:
    """Which columns tell synthetic rows from real ones; empty if none does."""
    pairs = zip([c.name for c in fidelity.columns], fidelity.giveaways, strict=False)
    most = sorted((pair for pair in pairs if pair[1] >= 0.005), key=lambda pair: -pair[1])[:5]
    words = ", ".join(f"{name} ({fall:.3f})" for name, fall in most)
    return f"given away most by (fall of the detection AUC): {words}" if words else ""


def _histories(histories: HistoryFidelity) -> Table:
    """Distances of histories beside those of held-out persons and of events dealt at random."""
    heads = ("distance", "synthetic", "ceiling", "dealt (floor)", "independent")
    made, real = histories.persons_synthetic, histories.persons_train
    title = f"histories: {made:,} synthetic and {real:,} real persons"
    table = _table(title, *heads)
    for label, field in _HISTORIES:
        values = [getattr(figures, field) for figures in histories.figures]
        table.add_row(label, *("-" if v is None else f"{v:.3f}" for v in values))
    return table


def _amounts(columns: Sequence[ColumnFidelity]) -> Table:
    """The numbers whose mean or spread is furthest off, the worst first."""
    held = [(column.name, column.amounts) for column in columns if column.amounts]
    held.sort(key=lambda pair: -max(pair[1].mean_off, pair[1].spread_off))
    title = "numbers"
    if len(held) > MOST_AMOUNTS:
        title += f": the {MOST_AMOUNTS} of {len(held)} columns that are furthest off"
    table = _table(title, "column", "table", "mean", "sd", "median", "99 %", "zeros")
    table.columns[1].justify = "left"
    for name, both in held[:MOST_AMOUNTS]:
        for label, role, amounts in ((name, "real", both.real), ("", "synthetic", both.synthetic)):
            figures = (amounts.mean, amounts.sd, amounts.quantiles[2], amounts.quantiles[4])
            zeros = f"{100 * amounts.zeros:.0f} %"
            table.add_row(escape(label), role, *map(_number, figures), zeros)
        table.add_section()
    return table


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _utility(utility: Utility, histories: bool) -> Table:
    heads = (
        "mean over targets",
        "synthetic",
        "real rows (ceiling)",
        "independent (floor)",
        "targets",
    )
    what = "trained on each table, tested on held-out rows"
    what = "predict the next event of held-out persons" if histories else what
    table = _table(f"utility: models {what}", *heads)
    for mean in utility.means:
        values = (mean.synthetic, mean.real, mean.independent)
        label = f"{mean.metric}, {mean.learner}"
        table.add_row(label, *(f"{value:.3f}" for value in values), str(mean.targets))
    return table


def _analysis(found: AnalysisResult) -> Table:
    """Each conclusion on two lines, real above synthetic, so that it fits a narrow terminal."""
    heads = ("term", "rows", "estimate", "95 % interval", "overlap", "verdict")
    table = _table(f"analysis: {escape(found.name)}, {escape(found.what)}", *heads)
    table.columns[1].justify = "left"
    table.columns[-1].justify = "left"
    table.columns[3].no_wrap = True
    for one in found.conclusions:
        overlap = "-" if one.overlap is None else f"{one.overlap:.2f}"
        cells = [_interval(estimate) for estimate in (one.real, one.synthetic)]
        table.add_row(escape(one.term), "real", *cells[0], overlap, one.verdict)
        table.add_row("", "synthetic", *cells[1], "", "")
        table.add_section()
    return table


def _interval(estimate: Estimate | None) -> tuple[str, str]:
    if estimate is None:
        return "-", "-"
    return _number(estimate.value), f"[{_number(estimate.low)}, {_number(estimate.high)}]"


def _attacks(attacks: tuple[Attack, ...]) -> Table:
    """One line for each attack and table: columns of numbers would not fit a narrow terminal."""
    table = _table(
        "attacks: advantage over people not in the table (0 is best)",
        "attack",
        "table",
        "advantage",
        "95 % interval",
        "synthetic is lower by",
    )
    table.columns[1].justify = "left"
    table.columns[3].no_wrap = True
    for attack in attacks:
        reductions = {r.against: r.reduction for r in attack.reductions}
        title = attack.title
        for result in attack.tables:
            lower = reductions.get(result.role)
            share = "" if lower is None else f"{100 * lower.value:.0f} %"
            share = "cannot be told" if lower is not None and lower.low <= 0 else share
            value, interval = _estimate(result.advantage)
            table.add_row(title, result.role, value, interval, share)
            title = ""
        table.add_section()
    return table


def _copies(copies: tuple[CopyRow, ...]) -> Table:
    heads = (
        "table",
        "same as a training row",
        "same as a held-out row",
        "near a training row",
        "near a held-out row",
        "nearer to training",
    )
    table = _table("copies of real rows (this does not measure privacy)", *heads)
    for row in copies:
        shares = (row.exact_train, row.exact_holdout, row.near_train, row.near_holdout)
        cells = [f"{100 * share:.1f} %" for share in (*shares, row.closer_to_train)]
        table.add_row(row.role, *cells)
    return table


def _estimate(estimate: Estimate) -> tuple[str, str]:
    return f"{estimate.value:.3f}", f"[{estimate.low:.3f}, {estimate.high:.3f}]"
