"""`fedsynth site`: what the operator of a partner site runs; a file for each command.

* `join`: the next steps all at once, from the coordinator's invitation.
* `start`: `init` writes a new site's files. `check`: is the table fit to be served?
* `key`: the site's identity. `bundle`: what the coordinator ships, inspected and installed.
* `approve`: read a plan's costs and allow it. `template`: allow that it is repeated.
* `serve`: the vault. `connect`: the courier.
* `status`: what runs, what was spent, what is left, and whether the ledger is sound.
* `cohorts`: the same by cohort; a changed cohort is sealed anew.
* `drift`: what changed between cohorts of the site's table; for its own eyes.
* `rotate`: new keys, and the coordinator's next authority.
* `backup`, `restore`: the site's files in one, and back without a second budget.
* `page`: the same in a browser of this computer, and for monitors.
* `score`: how well a published table serves this site; for its own eyes.

All work is local: `serve` answers the courier and `page` a browser of this computer, no other command
answers anybody, and none but `connect` opens a connection.
Heavy libraries are loaded inside the commands: `--help` stays fast, and the courier's image needs
neither torch nor pandas.
"""

import typer

from fedsynth_client.cli.approve import approve
from fedsynth_client.cli.backup import backup, restore
from fedsynth_client.cli.bundle import bundle
from fedsynth_client.cli.check import check
from fedsynth_client.cli.cohorts import cohorts
from fedsynth_client.cli.connect import connect
from fedsynth_client.cli.drift import drift
from fedsynth_client.cli.join import join
from fedsynth_client.cli.key import key
from fedsynth_client.cli.page import page
from fedsynth_client.cli.rotate import app as rotate
from fedsynth_client.cli.score import score
from fedsynth_client.cli.serve import serve
from fedsynth_client.cli.start import init
from fedsynth_client.cli.status import status
from fedsynth_client.cli.template import template

app = typer.Typer(
    help="Run a partner site: set it up, check its table, approve plans, serve its vault.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
_STUDIES = (join, init, check, key, approve, template, bundle, serve, connect)
for _command in (*_STUDIES, status, cohorts, drift, backup, restore, page, score):
    app.command()(_command)
app.add_typer(rotate)
