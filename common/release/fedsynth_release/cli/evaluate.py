"""`fedsynth evaluate` measures how good a synthetic table is and how much it reveals.

It reads real records, and computes the result from them without noise. Only people who may see the
records may see the result, so the file can be read by its owner alone (mode 0600).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fedsynth_common.cli.options import (
    AsJson,
    DelimiterText,
    EncodingText,
    Force,
    Quick,
    ResultFile,
)
from fedsynth_common.durable import write_output
from fedsynth_common.errors import InputError
from fedsynth_release.progress import stages

if TYPE_CHECKING:
    from fedsynth_release.evaluation.results import Evaluation

AnalysisPath = Annotated[
    Path | None,
    typer.Option(
        help="A file of analyses (TOML), which are run on real and on synthetic rows, to say which "
        "conclusions hold (docs/METRICS.md)."
    ),
]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

EPILOG = (
    "Example:\n\n"
    "fedsynth evaluate --real train.csv --holdout test.csv --synthetic synthetic.csv "
    "--schema schema.json --out evaluation.json --analysis model.toml"
)


@app.command(epilog=EPILOG)
def evaluate(
    real: Annotated[Path, typer.Option(help="Table of real records that the generator used.")],
    holdout: Annotated[
        Path, typer.Option(help="Table of other real records, which the generator did not use.")
    ],
    synthetic: Annotated[Path, typer.Option(help="The synthetic table to evaluate.")],
    schema: Annotated[Path, typer.Option(help="The public schema (JSON) of all three tables.")],
    out: ResultFile = None,
    as_json: AsJson = False,
    quick: Quick = False,
    attacks: Annotated[
        bool,
        typer.Option(
            "--attacks/--no-attacks",
            help="Attack the synthetic table, and reference tables to compare it with.",
        ),
    ] = True,
    quasi_identifier: Annotated[
        list[str] | None,
        typer.Option(
            help="A column that the k-anonymised reference table generalises. Repeat the option "
            "for several columns. By default these are all columns except the target."
        ),
    ] = None,
    delimiter: DelimiterText = None,
    encoding: EncodingText = None,
    epsilon: Annotated[
        float | None,
        typer.Option(min=0, help="The claimed ε. The membership attack tests whether it can hold."),
    ] = None,
    delta: Annotated[
        float, typer.Option(min=0, max=1, help="The claimed δ that belongs to --epsilon.")
    ] = 1e-5,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed for drawing subsets, reference tables and attacks.")
    ] = 0,
    analysis: AnalysisPath = None,
    force: Force = False,
) -> None:
    """Measure how close a synthetic table is to real records, how useful, and what it reveals.

    Every figure stands beside a floor (independent columns) and a ceiling (other real records).

    The result is not private, because it is computed from the real records without noise.
    """
    check_out(out, force)
    # imported here so that --help does not load pandas and scikit-learn
    from fedsynth_common.schema import Schema
    from fedsynth_common.tables import read_table
    from fedsynth_release.cli.csv_dialect import dialect_of
    from fedsynth_release.evaluation import evaluate_table
    from fedsynth_release.evaluation.analyses.declared import read_analyses
    from fedsynth_release.evaluation.analyses.run import run_analyses
    from fedsynth_release.evaluation.summary import show

    public = Schema.load(schema)
    declared = None if analysis is None else read_analyses(analysis, public)
    train, test, published = (
        read_table(path, dialect_of(path, delimiter if path != synthetic else None, encoding))
        for path in (real, holdout, synthetic)
    )
    with stages() as say:
        result = evaluate_table(
            train,
            test,
            published,
            public,
            quick=quick,
            attacks=attacks,
            seed=seed,
            quasi_identifiers=tuple(quasi_identifier or ()),
            epsilon=epsilon,
            delta=None if epsilon is None else delta,
            say=say,
        )
        if declared:
            found = run_analyses(declared, train, published, public, say)
            result = result.model_copy(update={"analyses": found})
    if out is not None:
        write_private(result, out)
    if as_json:
        typer.echo(result.to_json(), nl=False)
        return
    show(result, Console())
    if out is not None:
        typer.echo(f"wrote {out}")
        typer.echo(f"next     fedsynth report GENERATOR --evaluation {out} --out internal.html")


def check_out(out: Path | None, force: bool) -> None:
    """Refuse an output file that cannot be written, before anything is computed.

    Raises:
        InputError: the file exists and `force` is not set, or its folder does not exist.
    """
    if out is None:
        return
    if out.exists() and not force:
        raise InputError(f"--out {out}: exists; choose another name or pass --force")
    if not out.absolute().parent.is_dir():
        raise InputError(f"--out {out}: its folder does not exist; create it")


def write_private(result: "Evaluation", out: Path) -> None:
    """Write a result so that only its owner may read it; the file is written whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    write_output(out, result.to_json(), 0o600)
