"""`fedsynth study`: what the coordinator types, from the plan to the finished generator."""

import typer

from fedsynth_server.cli.bundle import bundle
from fedsynth_server.cli.entry import admit, invite
from fedsynth_server.cli.export import export
from fedsynth_server.cli.looking import page, status
from fedsynth_server.cli.planning import explain, init, plan
from fedsynth_server.cli.refresh import drift, refresh
from fedsynth_server.cli.running import resume, run, stop
from fedsynth_server.cli.watching import watch

app = typer.Typer(
    name="study",
    help="Plan a study, run it over a Flower SuperLink, and export its generator.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _command, _example in (
    (
        init,
        "fedsynth study init covid --schema schema.json --site north --site south "
        "--records-per-site 10000 --epsilon 1",
    ),
    (explain, "fedsynth study explain covid/plan.json"),
    (invite, "fedsynth study invite covid north --coordinator hub"),
    (admit, "fedsynth study admit covid north.answer south.answer"),
    (bundle, "fedsynth study bundle --out handout"),
    (run, "fedsynth study run covid --detach"),
    (watch, "fedsynth study watch covid"),
    (status, "fedsynth study status covid --json"),
    (page, "fedsynth study page covid"),
    (resume, "fedsynth study resume covid"),
    (stop, "fedsynth study stop covid"),
    (export, "fedsynth study export covid --out covid-release --rows 50000"),
    (refresh, "fedsynth study refresh covid-2026Q4 --cohort 2027Q1 --epsilon 0.5"),
    (drift, "fedsynth study drift covid-2027Q1"),
    (
        plan,
        "fedsynth study plan --schema schema.json --site north --site south "
        "--records-per-site 10000 --epsilon 1 --out plan.json",
    ),
):
    app.command(epilog=f"Example:  {_example}")(_command)
