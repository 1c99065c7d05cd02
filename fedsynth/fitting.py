"""`fedsynth.fit` and `fedsynth.plan`: a study of simulated sites on this computer.

The study is that of `fedsynth simulate`: real vaults, ledgers, couriers and noise, in this process.
"""

from pathlib import Path

from fedsynth.inputs import Sites, Table
from fedsynth.notices import in_python
from fedsynth.options import Device, Options, Trust, Variant
from fedsynth.plans import Plan
from fedsynth.result import Result
from fedsynth.studies import caveats_of, check_installed, prepared, run, simulation_of, tell
from fedsynth.threads import few_threads
from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_REPAIRED
from fedsynth_common.schema import Schema as PlainSchema


@in_python()
def fit(
    data: Table | Sites,
    *,
    epsilon: float = 1.0,
    delta: float = 1e-5,
    target: str | None = None,
    schema: PlainSchema | str | Path | None = None,
    sites: int = 5,
    site_column: str | None = None,
    partition: str = "iid",
    person_key: str | None = None,
    order: str | None = None,
    records_per_site: int | None = None,
    trust: Trust = "local",
    colluders: int | None = None,
    site_marginals: bool = False,
    variant: Variant = "auto",
    max_repaired: float = MAX_REPAIRED,
    seed: int | None = None,
    device: Device = "cpu",
    quick: bool = False,
) -> Result:
    """Train one generator of synthetic rows from the tables of several sites, under ε.

    Nothing is written to disk but a temporary folder that is gone afterwards. Warnings say what the
    study does, about how long it takes, and what makes its result not private: a schema drafted from
    the data, a seed, a size or a division into sites that was taken from the records.

    Args:
        data: one table, which is dealt out to simulated sites; or `{site: table}`, whose names have to
            be public. A table is a pandas DataFrame or the path of a .csv, .csv.gz or .parquet file.
        epsilon: the privacy budget ε of the records of each site.
        delta: the δ of the guarantee.
        target: the column that models will predict. A schema that is given declares it.
        schema: a reviewed schema or its path; by default one is drafted from the data.
        sites: the number of simulated sites, if `data` is one table.
        site_column: the column that names the site of each row; it replaces `sites` and `partition`.
        partition: how rows are dealt out: `iid`, `dirichlet:ALPHA` or `quantity:ALPHA`.
        person_key: the column that names the person, if a person has several rows.
        order: with `person_key`, the column that orders a person's events: rows are then histories.
        records_per_site: a public order of magnitude of the size of a site.
        trust: `local`: each site adds all noise itself; `secure-sum`: they add it together.
        colluders: with a secure sum, how many sites may collude or be missing.
        site_marginals: with a secure sum, also measure each site's own margins of single columns.
        variant: what ε is spent on: `marginals`, `three-way`, `gan`, `both`, `listen` or `auto`
            (`three-way` where triples of columns can be told from noise, else `marginals`).
        max_repaired: the largest share of a column's cells that may not fit a given schema.
        seed: makes the run repeatable; its result is then not private.
        device: where the generator trains.
        quick: train for a few steps only, to test a set-up; the rows are poor.

    Raises:
        WrongTypeError: an argument has the wrong type.
        InputError: an option or a table cannot be used.
        FedsynthError: the study failed.
    """
    options = Options(
        epsilon=epsilon, delta=delta, target=target, schema=schema, sites=sites,
        site_column=site_column, partition=partition, person_key=person_key, order=order,
        records_per_site=records_per_site, trust=trust, colluders=colluders,
        site_marginals=site_marginals, variant=variant, max_repaired=max_repaired, seed=seed,
        device=device, quick=quick,
    )  # fmt: skip
    check_installed()
    study = prepared(data, options)
    tell(study)
    return run(data, study, options)


@in_python()
def plan(
    data: Table | Sites | None = None,
    *,
    epsilon: float = 1.0,
    delta: float = 1e-5,
    target: str | None = None,
    schema: PlainSchema | str | Path | None = None,
    sites: int = 5,
    site_column: str | None = None,
    partition: str = "iid",
    person_key: str | None = None,
    order: str | None = None,
    records_per_site: int | None = None,
    trust: Trust = "local",
    colluders: int | None = None,
    site_marginals: bool = False,
    variant: Variant = "auto",
    max_repaired: float = MAX_REPAIRED,
    seed: int | None = None,
    device: Device = "cpu",
    quick: bool = False,
) -> Plan:
    """What `fit` with the same arguments would do, cost and take; nothing is asked of any record.

    Without `data` the plan is made from public facts alone: `schema` and `records_per_site`.

    Args:
        data: as for `fit`, or None.
        epsilon: as for `fit`.
        delta: as for `fit`.
        target: as for `fit`.
        schema: as for `fit`.
        sites: as for `fit`.
        site_column: as for `fit`.
        partition: as for `fit`.
        person_key: as for `fit`.
        order: as for `fit`.
        records_per_site: as for `fit`.
        trust: as for `fit`.
        colluders: as for `fit`.
        site_marginals: as for `fit`.
        variant: as for `fit`.
        max_repaired: as for `fit`.
        seed: as for `fit`.
        device: as for `fit`.
        quick: as for `fit`.

    Raises:
        InputError: an option or a table cannot be used.
    """
    options = Options(
        epsilon=epsilon, delta=delta, target=target, schema=schema, sites=sites,
        site_column=site_column, partition=partition, person_key=person_key, order=order,
        records_per_site=records_per_site, trust=trust, colluders=colluders,
        site_marginals=site_marginals, variant=variant, max_repaired=max_repaired, seed=seed,
        device=device, quick=quick,
    )  # fmt: skip
    check_installed()
    from fedsynth_server.study.method import duration_of
    from fedsynth_simulations.simulate import plan_of_size, simulation_plan

    declared = options.declared
    if data is not None:
        study = prepared(data, options)
        simulation, declared = study.simulation, study.tables.schema
        made = simulation_plan(study.tables.sites, declared, simulation)
    elif declared is None or records_per_site is None:
        raise InputError("data: pass a table, or both schema and records_per_site")
    else:
        simulation = simulation_of(options, pooled=False)
        names = [f"site-{k + 1}" for k in range(sites)]
        made = plan_of_size(names, records_per_site, declared, simulation)
    caveats = caveats_of(declared, simulation)
    with few_threads():
        return Plan(made, duration_of(made, simulation.settings), caveats)
