"""The Flower ServerApp of a study, and what it does with the study's folder.

The code-free bundle (`bundle.py`) points here. The run configuration has one key, `study`: the study's
folder on the computer where the SuperLink starts its ServerApps. Everything else is read from there.
"""

import shutil
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from fedsynth_common.durable import write_durably
from fedsynth_common.errors import FedsynthError, InputError
from fedsynth_server.aggregation.carried import CARRIED
from fedsynth_server.messages.journal import Journal
from fedsynth_server.refresh.previous import earlier_of
from fedsynth_server.refresh.study import CohortStudy
from fedsynth_server.study.export import export
from fedsynth_server.study.folder import StudyFolder
from fedsynth_server.study.state import State, StateFile
from fedsynth_server.study.study import Study
from fedsynth_server.superlink.no_proxy import refuse_proxy

app = ServerApp()
FIRST_SHOWN = (
    "receipt key of {sites}: taken as first shown, since study.toml named none; compare it with what "
    "the site tells, and pass that to `fedsynth verify --key`"
)


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run or resume the study of the run configuration and write its generator."""
    place = str(context.run_config.get("study", ""))
    if not place:
        raise InputError("run configuration: no study; start it with: fedsynth study run FOLDER")
    run_study(StudyFolder(Path(place)), grid, str(context.run_id))


def run_study(folder: StudyFolder, grid: Grid, run: str = "") -> None:
    """Run the study in a folder from where its journal ends; afterwards the generator is there.

    Raises:
        InputError: the folder's plan or settings cannot be used.
        FedsynthError: another run is at work here, or the study failed; `state.json` has the reason.
    """
    plan = folder.plan()
    with folder.lock():
        state = State(plan.study, plan.digest, epsilon_planned=plan.epsilon, run=run)
        with StateFile(folder.state_file, state) as progress:
            progress.write()
            try:
                _run(folder, grid, progress)
            except FedsynthError as error:
                progress.end("failed", str(error))
                raise
            except (KeyboardInterrupt, SystemExit):
                progress.end("failed", "stopped; continue with: fedsynth study resume")
                raise
            except BaseException as error:
                progress.end("failed", f"{type(error).__name__}; see the log of the run")
                raise
            progress.end("finished")


def _run(folder: StudyFolder, grid: Grid, progress: StateFile) -> None:
    if folder.finished():
        raise FedsynthError(f"{folder.generator}: exists; the study is finished")
    refuse_proxy(grid)
    plan, config = folder.plan(), folder.config()
    journal = Journal(folder.journal, plan, config.training.model_dump_json())
    earlier, lineage = earlier_of(folder.path)
    timing = config.sites.timing()
    if plan.cohort is None or plan.secure_sum is not None:
        study = Study(plan, config.training, grid, progress, timing, journal)
    else:
        study = CohortStudy(plan, config.training, grid, progress, timing, journal, earlier)
    study.session.enrolment.named = folder.receipt_keys()
    progress.follow(study.session, study.recorder)
    if resumed := journal.exchanges:
        study.session.notes.append(f"resumed after {resumed} finished messages")
    outcome = study.run()
    outcome.notes += [f"journal: {entry} was damaged and replaced" for entry in journal.damaged]
    if unnamed := study.session.enrolment.first_shown:
        outcome.notes.append(FIRST_SHOWN.format(sites=", ".join(unnamed)))
    partial = folder.path / ".generator.part"
    shutil.rmtree(partial, ignore_errors=True)
    papers = config.papers
    export(plan, outcome, partial, papers.contact, papers.expires, lineage=lineage)
    if outcome.carried is not None:
        outcome.carried.save(folder.path / CARRIED)
    write_durably(folder.history, outcome.history(progress.spent()).to_json().encode())
    partial.replace(folder.generator)
