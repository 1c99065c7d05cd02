"""What is measured about persons with histories beside the figures of any table."""

from fedsynth_release.evaluation.result_parts import Finite, Part, TableRole


class HistoryFigures(Part):
    """How far the histories of one table are from those of the real training persons.

    All but `within_person` are mean total variation distances, 0 to 1; 0 is best. Events and pairs
    of events have equal weights.

    Attributes:
        role: which table the figures are about.
        static: of all pairs of static columns, over persons; the number of events is one of them.
        static_event: of all pairs of a static column and a column of an event.
        within_event: of all pairs of columns of one event.
        lag_1: of all pairs of one column of an event and another column of the next event.
        lag_1_itself: of each column of an event and the same column of the next event.
        lag_2_3_itself: the same for events that are two and three apart; None if no person has three.
        lengths: of the number of events of a person.
        gaps: of the time from an event to the next.
        within_person: mean over columns of numbers of the difference of the shares of variance that
            lie within persons; None without such columns.
    """

    role: TableRole
    static: Finite
    static_event: Finite
    within_event: Finite
    lag_1: Finite
    lag_1_itself: Finite
    lag_2_3_itself: Finite | None
    lengths: Finite
    gaps: Finite
    within_person: Finite | None


class ColumnOverTime(Part):
    """How one column of events remembers its earlier values.

    Attributes:
        name: the column.
        tvd, tvd_ceiling, tvd_floor: total variation distance of the column and the same column of
            the next event: of the synthetic table, of other real persons, and of events that were
            dealt to persons at random.
        real, synthetic: the association with itself (`PairFidelity`) at lags 1, 2 and 3, of the ranks
            of numbers; None where there are too few pairs of events.
        within_real, within_synthetic: the share of its variance that lies within persons; None for
            categories.
    """

    name: str
    tvd: Finite
    tvd_ceiling: Finite
    tvd_floor: Finite
    real: tuple[Finite | None, ...]
    synthetic: tuple[Finite | None, ...]
    within_real: Finite | None
    within_synthetic: Finite | None


class HistoryFidelity(Part):
    """Histories of the synthetic table, with their ceiling (the hold-out) and two floors.

    Attributes:
        persons_train, persons_holdout, persons_synthetic: numbers of persons.
        figures: of the tables synthetic, hold-out, dealt and independent, in this order.
        columns: every column of events.
    """

    persons_train: int
    persons_holdout: int
    persons_synthetic: int
    figures: tuple[HistoryFigures, ...]
    columns: tuple[ColumnOverTime, ...]

    def of(self, role: TableRole) -> HistoryFigures:
        """The figures of one table."""
        return next(figures for figures in self.figures if figures.role == role)
