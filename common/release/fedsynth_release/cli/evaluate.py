"""`fedsynth evaluate`: what a synthetic table is good for, and what it gives away.

Reads real records. The result is computed without noise and is for the eyes of those who may see the
records: the file is written for its owner alone (mode 0600).
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from fedsynth_common.errors import InputError

if TYPE_CHECKING:
    from fedsynth_release.evaluation.results import Evaluation

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

EPILOG = (
    "Example:  fedsynth evaluate --real train.csv --holdout test.csv --synthetic synthetic.csv "
    "--schema schema.json --out evaluation.json"
)


@app.command(epilog=EPILOG)
def evaluate(
    real: Annotated[Path, typer.Option(help="Real records that the generator learnt from.")],
    holdout: Annotated[Path, typer.Option(help="Other real records of the same population.")],
    synthetic: Annotated[Path, typer.Option(help="The synthetic table.")],
    schema: Annotated[Path, typer.Option(help="The public schema (JSON) of all three.")],
    out: Annotated[Path | None, typer.Option(help="Write the result: a new .json file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer records, targets and attempts; wider intervals.")
    ] = False,
    attacks: Annotated[
        bool, typer.Option("--attacks/--no-attacks", help="Attack the table and its references.")
    ] = True,
    quasi_identifier: Annotated[
        list[str] | None,
        typer.Option(
            help="Column that the k-anonymised reference generalises; repeatable. "
            "Default: all but the target."
        ),
    ] = None,
    epsilon: Annotated[
        float | None, typer.Option(min=0, help="Claimed ε, tested by the membership attack.")
    ] = None,
    delta: Annotated[float, typer.Option(min=0, max=1, help="Claimed δ, with --epsilon.")] = 1e-5,
    seed: Annotated[int, typer.Option(min=0, help="Of subsets, references and attacks.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it exists.")] = False,
) -> None:
    """Measure fidelity, utility and attacks of a synthetic table, beside ceilings and floors.

    The result is not private: it is computed from the real records without noise.
    """
    check_out(out, force)
    # pandas and scikit-learn: not for --help
    from fedsynth_common.schema import Schema
    from fedsynth_common.tables import read_table
    from fedsynth_release.evaluation import evaluate_table
    from fedsynth_release.evaluation.summary import show

    public = Schema.load(schema)
    train, test, made = (read_table(path) for path in (real, holdout, synthetic))
    with progress() as say:
        result = evaluate_table(
            train,
            test,
            made,
            public,
            quick=quick,
            attacks=attacks,
            seed=seed,
            quasi_identifiers=tuple(quasi_identifier or ()),
            epsilon=epsilon,
            delta=None if epsilon is None else delta,
            say=say,
        )
    if out is not None:
        write_private(result, out)
    if as_json:
        typer.echo(result.to_json(), nl=False)
    else:
        show(result, Console())


def check_out(out: Path | None, force: bool) -> None:
    """Refuse a place that is taken, before anything is computed.

    Raises:
        InputError: it exists and `force` is not set, or its folder does not exist.
    """
    if out is None:
        return
    if out.exists() and not force:
        raise InputError(f"--out {out}: exists; choose another name or pass --force")
    if not out.absolute().parent.is_dir():
        raise InputError(f"--out {out}: its folder does not exist; create it")


def write_private(result: "Evaluation", out: Path) -> None:
    """Write a result that only its owner may read, complete or not at all.

    Raises:
        InputError: the place cannot be written to.
    """
    partial = out.with_name(out.name + ".part")
    try:
        partial.unlink(missing_ok=True)
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(result.to_json())
        partial.replace(out)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(f"{out}: cannot be written ({error.strerror})") from None


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """A line on the terminal that says what is being computed and since when; silent elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("reading", total=None)
        yield lambda stage: bar.update(task, description=stage)
