"""A finished study in Python: draw rows, look at the report, judge it, save it, load it."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from fedsynth.conditions import Where, conditions
from fedsynth.display import facts_html, facts_text
from fedsynth.evaluations import Evaluation, evaluate
from fedsynth.frame_types import FrameTypes
from fedsynth.histories import History
from fedsynth.inputs import Table, table_of
from fedsynth.notices import in_python
from fedsynth.options import text, whole, wrong
from fedsynth.reports import Report
from fedsynth.result_facts import facts
from fedsynth.result_folder import SavedResult, files_of, read_settings, write_files
from fedsynth.schemas import Schema
from fedsynth_common.errors import InputError
from fedsynth_release.generator import Generator
from fedsynth_release.generator_files import MARGINS, MEASUREMENTS, generator_folder
from fedsynth_release.margins import read_margins
from fedsynth_release.measurements import Measurements
from fedsynth_release.report import StudyHistory
from fedsynth_release.report.history import HISTORY
from fedsynth_release.report.page import render
from fedsynth_release.statement import PrivacyStatement
from fedsynth_release.whole_folder import check_out


class Result:
    """A generator of synthetic rows with its papers.

    Attributes:
        generator: draws the rows.
        schema: what the generator knows of its columns.
        history: how the training went, if that was written.
    """

    def __init__(
        self,
        generator: Generator,
        files: Mapping[str, bytes],
        *,
        history: StudyHistory | None = None,
        types: FrameTypes | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        """Made by `fit` and `load`.

        Args:
            generator: the generator.
            files: the contents of its folder, by name.
            history: how the training went.
            types: in which types rows are drawn.
            params: the options of the study.
        """
        self.generator = generator
        self.schema = Schema.of(generator.schema)
        self.history = None if history is None else History.of(history)
        self._files = dict(files)
        self._types = types or FrameTypes()
        self._params = dict(params or {})

    @property
    def statement(self) -> PrivacyStatement:
        """What was promised, and the events from which ε follows."""
        return self.generator.statement

    @property
    def epsilon(self) -> float:
        """The ε that was spent, for a person whose records are at one site only."""
        return self.statement.epsilon_if_people_are_at_one_site_only

    @property
    def delta(self) -> float:
        """The δ that belongs to `epsilon`."""
        return self.statement.delta

    @property
    def private(self) -> bool:
        """Whether the guarantee holds; `caveats` say why it does not."""
        return self.statement.private

    @property
    def caveats(self) -> tuple[str, ...]:
        """Why the result is not private, or weaker than it seems."""
        return self.statement.caveats

    @property
    def rows(self) -> int | None:
        """About how many records (of histories, persons) the sites have, by their noisy counts."""
        if MEASUREMENTS not in self._files:
            return None
        measured = Measurements.model_validate_json(self._files[MEASUREMENTS])
        return max(1, round(measured.records))

    @in_python()
    def margins(self) -> pd.DataFrame:
        """The noisy shares of all columns and measured pairs, with standard errors, one row a cell.

        They were published with the generator and cost no further privacy.

        Raises:
            InputError: the generator was exported without them.
        """
        if MARGINS not in self._files:
            raise InputError(f"margins: this generator has no {MARGINS}; ask for a newer release")
        return read_margins(pa.BufferReader(self._files[MARGINS]), MARGINS)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The options that `fit` ran with, by name."""
        return dict(self._params)

    @in_python()
    def sample(
        self,
        n: int | None = None,
        *,
        where: Where = (),
        given: Table | None = None,
        events: int | None = None,
        rebalance: str | None = None,
        like: pd.DataFrame | None = None,
        seed: int | None = None,
    ) -> pd.DataFrame:
        """Draw synthetic rows. It costs no privacy, however often it is done.

        Args:
            n: how many rows, or persons with all their events; by default about as many as the sites
                have, by their noisy counts.
            where: conditions that every row meets: `"age>=65"`, several such texts, or a dict such as
                `{"sex": "F", "ward": ["a", "b"]}`. Of histories, `any(ward)=surgery` asks for persons
                with such an event.
            given: a table whose cells stay; its empty cells and absent columns are drawn to go with
                them. Of histories, the events that are known; the next ones are drawn.
            events: with `given` histories, how many next events each person gets; by default 1.
            rebalance: shares of a column's categories: `"sex"` for equal ones, or `"sex=F:0.7,M:0.3"`.
            like: a frame whose types the rows get.
            seed: the same seed draws the same rows again.

        Returns:
            The rows, in the types of the frame that `fit` got, or of the schema where the result is
            private (docs/PYTHON.md).

        Raises:
            InputError: a condition, a given cell or a number does not fit.
        """
        whole("n", n, 1, optional=True)
        whole("events", events, 1, optional=True)
        whole("seed", seed, 0, optional=True)
        if rebalance is not None:
            text("rebalance", rebalance)
        if like is not None and not isinstance(like, pd.DataFrame):
            raise wrong("like", "a pandas DataFrame", like)
        asked = conditions(where, self.schema)
        if given is not None:
            if n is not None or asked or rebalance:
                raise InputError("given: completes its own rows; leave out n, where and rebalance")
            drawn = self._completed(table_of(given, "given"), events, seed)
        elif events is not None:
            raise InputError("events: continues given histories; pass given= too")
        else:
            rows = n or self.rows
            if rows is None:
                raise InputError("n: say how many rows; this generator has no measurements.json")
            drawn = self.generator.sample(int(rows), seed, asked, rebalance)
        types = self._types if like is None else FrameTypes.of(like)
        return types.applied(drawn, self.schema)

    def _completed(self, known: pd.DataFrame, events: int | None, seed: int | None) -> pd.DataFrame:
        if self.schema.histories is not None:
            return self.generator.continued(known, events or 1, seed)
        if events is not None:
            raise InputError("events: this generator draws rows without events; leave it out")
        return self.generator.complete(known, seed)

    @in_python()
    def report(self, *, evaluation: Evaluation | None = None) -> Report:
        """One page about the generator; with an evaluation it must not be published."""
        if evaluation is not None and not isinstance(evaluation, Evaluation):
            raise wrong("evaluation", "what .evaluate() returns", evaluation)
        found = None if evaluation is None else evaluation.plain
        with tempfile.TemporaryDirectory() as name:
            write_files(self._files, Path(name))
            return Report(render(Path(name), found, self.history), private=found is not None)

    @in_python()
    def evaluate(
        self,
        real: Table,
        *,
        holdout: Table | None = None,
        attacks: bool = True,
        quasi_identifiers: Sequence[str] = (),
        quick: bool = False,
        seed: int = 0,
    ) -> Evaluation:
        """Judge rows of this generator against real records; the arguments are those of `evaluate`.

        As many rows (or persons) are drawn as there are real ones.
        """
        known, key = table_of(real, "real"), self.schema.person_key
        histories = self.schema.histories is not None and key in known
        made = self.generator.sample(known[key].nunique() if histories else len(known), int(seed))
        return evaluate(
            made,
            known,
            holdout=holdout,
            schema=self.generator.schema,
            attacks=attacks,
            quasi_identifiers=quasi_identifiers,
            epsilon=self.epsilon,
            delta=self.delta,
            quick=quick,
            seed=seed,
        )

    @in_python()
    def save(self, folder: Path | str, *, force: bool = False) -> Path:
        """Write the generator with its papers, the report and how the training went.

        The folder is one that `fedsynth.load` reads, and `folder/generator` one for the commands
        `fedsynth sample`, `report` and `verify`.

        Args:
            folder: a new or empty folder.
            force: whether an earlier result in it may be replaced.

        Raises:
            InputError: the folder is not empty, or cannot be written.
        """
        place = _path("folder", folder)
        check_out(place, force)
        history = None if self.history is None else self.history.to_json()
        # the types of a frame can depend on its cells: a private result does not state them
        types = FrameTypes() if self.private else self._types
        saved = SavedResult(self._files, types, self._params, history)
        saved.write(place, self.report().html)
        return place

    def __repr__(self) -> str:
        title, told = facts(self.schema, self.statement, self.rows)
        return facts_text(title, told)

    def _repr_html_(self) -> str:
        title, told = facts(self.schema, self.statement, self.rows)
        return facts_html(title, told)


@in_python()
def load(folder: Path | str) -> Result:
    """Read what `Result.save`, `fedsynth simulate` or a real study wrote.

    Args:
        folder: the folder of the result, or a generator folder.

    Raises:
        InputError: there is no such folder, or a file is missing or damaged; the message names it.
    """
    place = _path("folder", folder)
    inner = generator_folder(place)
    generator = Generator.load(inner)
    history = StudyHistory.load(place / HISTORY) if (place / HISTORY).is_file() else None
    types, params = read_settings(place)
    return Result(generator, files_of(inner), history=history, types=types, params=params)


def _path(name: str, value: object) -> Path:
    if not isinstance(value, str | Path):
        raise wrong(name, "the path of a folder", value)
    return Path(value)
