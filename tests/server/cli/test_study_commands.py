"""`fedsynth study`: folder in, exit codes out. The SuperLink itself is in tests/e2e/deployment."""

import json
import os

import pandas as pd
import pytest
from command import fedsynth
from hostile import FAST, changed_lines
from hypothesis import given
from killed_study import grid_of, make_folder
from small_study import SCHEMA

from fedsynth_common.errors import FedsynthError, InputError
from fedsynth_release.generator import Generator
from fedsynth_release.report import StudyHistory
from fedsynth_release.statement import PrivacyStatement
from fedsynth_server.app import run_study
from fedsynth_server.messages.waiting import NOT_THE_NAMED_KEY
from fedsynth_server.study.folder import StudyFolder, config_text
from fedsynth_server.study.planning import make_plan
from fedsynth_server.study.state import State

SITES = ["--site", "north", "--site", "south"]
NOBODY = "127.0.0.1:9"
"""The discard port: nothing listens there."""


@pytest.fixture
def schema(tmp_path):
    SCHEMA.save(tmp_path / "schema.json")
    return tmp_path / "schema.json"


def init(folder, schema, *options):
    size = ["--records-per-site", "500", "--epsilon", "3"]
    return fedsynth("study", "init", folder, "--schema", schema, *SITES, *size, *options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    study = make_folder(tmp_path_factory.mktemp("finished") / "study", "marginals")
    run_study(study, grid_of(study))
    return study


def test_init_writes_a_plan_and_settings_that_can_be_read(tmp_path, schema):
    done = init(tmp_path / "covid", schema, "--quorum", "2", "--superlink", NOBODY)
    assert done.returncode == 0, done.stderr
    study = StudyFolder(tmp_path / "covid")
    plan = study.plan()
    assert (plan.study, plan.sites, plan.epsilon) == ("covid", ("north", "south"), 3.0)
    assert plan.digest in done.stdout
    assert study.plan_file.read_bytes() == plan.to_json()
    config = study.config()
    assert (config.sites.quorum, config.superlink.address) == (2, NOBODY)
    assert not config.superlink.insecure


def test_a_drafted_schema_needs_a_word(tmp_path, schema):
    SCHEMA.model_copy(update={"origin": "drafted from data"}).save(schema)
    refused = init(tmp_path / "s", schema)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--drafted" in refused.stderr
    assert not (tmp_path / "s").exists()
    assert init(tmp_path / "s", schema, "--drafted").returncode == 0


@pytest.mark.parametrize(
    ("options", "mention"),
    [
        (("--site", "north"), "--site north: given more than once"),
        (("--root-certificate", "nowhere.pem"), "nowhere.pem: no such file"),
    ],
)
def test_a_slip_in_init_is_one_line_and_leaves_nothing(tmp_path, schema, options, mention):
    done = init(tmp_path / "s", schema, *options)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert mention in done.stderr
    assert not (tmp_path / "s").exists()


def test_explain_takes_the_folder_of_a_study(tmp_path, schema):
    init(tmp_path / "s", schema)
    by_folder = fedsynth("study", "explain", tmp_path / "s", "--json")
    by_file = fedsynth("study", "explain", tmp_path / "s/plan.json", "--json")
    steps = [json.loads(done.stdout)["steps"] for done in (by_folder, by_file)]
    assert steps[0] == steps[1] != []
    missing = fedsynth("study", "explain", tmp_path / "t")
    assert "or the folder of a study" in missing.stderr


def test_every_commented_setting_is_one(tmp_path):
    """What the file offers in comments can be switched on, and is what happens by default."""
    lines = config_text("127.0.0.1:8000", None, None).splitlines()
    chosen = [line[2:] if " = " in line and line.startswith("# ") else line for line in lines]
    text = "\n".join(line for line in chosen if not line.startswith("insecure"))
    (tmp_path / "study.toml").write_text(text)
    config = StudyFolder(tmp_path).config()
    assert config.superlink.root_certificate == tmp_path / "ca.crt"
    (tmp_path / "study.toml").write_text(config_text("127.0.0.1:8000", None, None))
    default = StudyFolder(tmp_path).config()
    assert config.sites.model_copy(update={"quorum": None}) == default.sites
    assert config.training == default.training


def test_init_has_a_place_for_the_key_of_every_site(tmp_path, schema):
    assert init(tmp_path / "covid", schema).returncode == 0
    study = StudyFolder(tmp_path / "covid")
    assert study.receipt_keys() == {}
    text = study.config_file.read_text()
    study.config_file.write_text(text.replace('# north = ""', f'north = "{"ab" * 32}"'))
    assert study.receipt_keys() == {"north": b"\xab" * 32}


def test_a_key_of_a_site_that_the_plan_does_not_have_is_refused(tmp_path, schema):
    assert init(tmp_path / "covid", schema).returncode == 0
    study = StudyFolder(tmp_path / "covid")
    text = study.config_file.read_text()
    study.config_file.write_text(text.replace('# north = ""', f'nord = "{"ab" * 32}"'))
    done = fedsynth("study", "run", tmp_path / "covid")
    assert done.returncode == 2
    assert "receipt_keys: nord: not a site of plan.json (north, south)" in done.stderr


def test_the_papers_say_whose_receipt_key_was_only_shown(tmp_path, finished):
    card = (finished.generator / "MODEL_CARD.md").read_text()
    assert "receipt key of north, south, west: taken as first shown" in card
    statement = PrivacyStatement.load(finished.generator / "privacy_statement.json")
    study = make_folder(tmp_path / "study", "marginals")
    named = "".join(f'{site.site} = "{site.receipt_key}"\n' for site in statement.sites[:2])
    study.config_file.write_text(f"{study.config_file.read_text()}[receipt_keys]\n{named}")
    run_study(study, grid_of(study))
    card = (study.generator / "MODEL_CARD.md").read_text()
    assert "receipt key of west: taken as first shown" in card


def test_watch_shows_who_was_refused_for_its_key(tmp_path):
    study = make_folder(tmp_path / "study", "marginals")
    with study.config_file.open("a") as file:
        file.write(f'[receipt_keys]\nsouth = "{"ab" * 32}"\n')
    why = f"south: {NOT_THE_NAMED_KEY}"
    with pytest.raises(FedsynthError, match=why):
        run_study(study, grid_of(study))
    state = State.read(study.state_file)
    assert why in state.error
    assert f"node 3: {why}" in state.notes


def test_init_replaces_nothing(tmp_path, schema):
    assert init(tmp_path / "covid", schema).returncode == 0
    again = init(tmp_path / "covid", schema)
    assert (again.returncode, "--force" in again.stderr) == (2, True)
    assert init(tmp_path / "covid", schema, "--force").returncode == 0


def test_init_does_not_change_the_plan_under_a_study_that_has_begun(finished, schema):
    refused = init(finished.path, schema, "--force")
    assert (refused.returncode, "a study has begun" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--quorum", "3"], "the study has 2 sites"),
        (["--superlink", "somewhere"], "superlink.address"),
        (["--epsilon", "1000"], "--epsilon 1000"),
    ],
)
def test_init_refuses_what_cannot_work(tmp_path, schema, options, expected):
    done = init(tmp_path / "covid", schema, *options)
    assert done.returncode == 2
    assert expected in done.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[superlink]\naddress = '10.0.0.1:8000'\ninsecure = true", "on this computer"),
        ("[superlink]\naddress = 'link.example.org:8000'\ninsecure = true", "on this computer"),
        ("[superlink]\ninsecure = true\nroot_certificate = 'ca.crt'", "exclude each other"),
        ("[superlink]\nadress = 'x:1'", "superlink.adress"),
        ("[sites]\nquorum = 0", "sites.quorum"),
        ("[sites]\ndeadline = -1", "sites.deadline"),
        ("[training]\nepsilon = 9", "training.epsilon"),
        ("[receipt_keys]\nnorth = 'abc'", "receipt_keys.north"),
        ("[sites", "not valid TOML"),
    ],
)
def test_settings_that_cannot_work_are_named(tmp_path, text, expected):
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(InputError, match=expected):
        StudyFolder(tmp_path).config()


@pytest.mark.parametrize("address", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000"])
def test_plaintext_is_for_this_computer(tmp_path, address):
    (tmp_path / "study.toml").write_text(f"[superlink]\naddress = '{address}'\ninsecure = true")
    assert StudyFolder(tmp_path).config().superlink.insecure


@pytest.mark.parametrize("command", ["run", "resume", "stop", "watch"])
def test_a_folder_without_a_study_is_refused(tmp_path, command):
    done = fedsynth("study", command, tmp_path)
    assert done.returncode == 2
    assert str(tmp_path) in done.stderr


def test_commands_that_come_too_early_or_too_late_say_what_to_do(tmp_path, schema, finished):
    init(tmp_path / "covid", schema, "--superlink", NOBODY)
    for command, expected in (
        ("resume", "nothing to resume"),
        ("stop", "was never run"),
        ("watch", "was never run"),
    ):
        done = fedsynth("study", command, tmp_path / "covid")
        assert (done.returncode, expected in done.stderr) == (2, True), command
    for command in ("run", "resume"):
        done = fedsynth("study", command, finished.path)
        assert (done.returncode, "fedsynth study export" in done.stderr) == (2, True)
    unfinished = fedsynth("study", "export", tmp_path / "covid", "--out", tmp_path / "out")
    assert (unfinished.returncode, "is not finished" in unfinished.stderr) == (2, True)


def test_a_superlink_that_is_not_there_is_named(tmp_path, schema):
    init(tmp_path / "covid", schema, "--superlink", NOBODY)
    done = fedsynth("study", "run", tmp_path / "covid")
    assert done.returncode == 1
    assert f"SuperLink {NOBODY}: cannot be reached" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert StudyFolder(tmp_path / "covid").run_id() is None


@pytest.mark.parametrize("content", [None, b"not a certificate"])
def test_an_unusable_root_certificate_is_named(tmp_path, schema, content):
    certificate = tmp_path / "ca.crt"
    certificate.write_bytes(content or b"")
    init(tmp_path / "covid", schema, "--superlink", NOBODY, "--root-certificate", certificate)
    if content is None:
        certificate.unlink()
    done = fedsynth("study", "run", tmp_path / "covid")
    assert (done.returncode, str(certificate) in done.stderr) == (2, True)


def test_watch_reports_a_finished_study_though_the_superlink_is_gone(finished):
    state = State.read(finished.state_file)
    finished.remember_run(77)
    state.run = "77"
    finished.state_file.write_text(json.dumps(vars(state)))
    settings = finished.config_file.read_text()
    finished.config_file.write_text(f"[superlink]\naddress = '{NOBODY}'\n{settings}")
    try:
        done = fedsynth("study", "watch", finished.path)
        assert done.returncode == 0, done.stderr
        assert "finished" in done.stdout
        as_json = fedsynth("study", "watch", finished.path, "--json")
        assert json.loads(as_json.stdout.splitlines()[-1])["outcome"] == "finished"
        state.outcome, state.error = "failed", "measure: 1 of 2 sites answered"
        finished.state_file.write_text(json.dumps(vars(state)))
        done = fedsynth("study", "watch", finished.path)
        assert (done.returncode, state.error in done.stdout) == (1, True)
    finally:
        finished.config_file.write_text(settings)


def test_the_state_says_who_takes_part_and_what_it_costs(finished):
    state = State.read(finished.state_file)
    assert state.plan == finished.plan().digest
    assert state.sites == dict.fromkeys(("north", "south", "west"), "enrolled")
    assert 0.9 * state.epsilon_planned < state.epsilon_spent <= state.epsilon_planned
    assert state.process == os.getpid()


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_export_writes_the_generator_and_a_table(finished, tmp_path, kind):
    out = tmp_path / "release"
    done = fedsynth(
        "study", "export", finished.path, "--out", out, "--rows", "120", "--format", kind
    )
    assert done.returncode == 0, done.stderr
    table = out / f"synthetic.{kind}"
    frame = pd.read_parquet(table) if kind == "parquet" else pd.read_csv(table)
    assert len(frame) == 120
    assert list(frame.columns) == [column.name for column in SCHEMA.columns]
    made = Generator.load(out / "generator")
    for place in (out, out / "generator"):  # readers are given the release as a whole
        assert fedsynth("verify", place).returncode == 0
        drawn = tmp_path / f"{place.name}.csv"
        assert fedsynth("sample", place, "--rows", 5, "--out", drawn).returncode == 0
        assert fedsynth("report", place, "--out", tmp_path / f"{place.name}.html").returncode == 0
    assert "no privacy_statement.json" in fedsynth("verify", tmp_path).stderr
    assert made.statement.plan_digest == finished.plan().digest
    assert "not private: seeded" in done.stdout
    assert f"release {made.statement.release_id}: tell it" in done.stdout
    told = StudyHistory.load(out / "history.json")
    assert [curve.name for curve in told.curves] == ["fit"]
    assert told == StudyHistory.load(finished.history).without_times()
    assert 'id="training"' in (out / "report.html").read_text()
    assert fedsynth("study", "export", finished.path, "--out", out).returncode == 2
    assert fedsynth("study", "export", finished.path, "--out", out, "--force").returncode == 0
    written = finished.plan()
    assert len(pd.read_parquet(out / "synthetic.parquet")) == 3 * written.records_per_site


def test_export_names_a_lost_site_and_states_its_cost(tmp_path):
    study = make_folder(tmp_path / "study", "marginals", quorum=2)
    grid = grid_of(study)
    original = grid._app

    def app(message, context):
        if message.metadata.message_type == "query.receipt":
            grid.down.add(4)
        return original(message, context)

    grid._app = app
    run_study(study, grid)
    done = fedsynth("study", "export", study.path, "--out", tmp_path / "out", "--rows", "10")
    assert "west gave no receipt" in done.stdout
    statement = json.loads((tmp_path / "out" / "generator" / "privacy_statement.json").read_text())
    [lost] = [site for site in statement["sites"] if site["status"] == "lost"]
    assert lost["site"] == "west"
    assert lost["epsilon"] == pytest.approx(study.plan().epsilon, rel=0.02)


def test_a_damaged_generator_is_not_exported(tmp_path, finished):
    study = make_folder(tmp_path / "study", "marginals")
    study.generator.mkdir()
    for path in finished.generator.iterdir():
        (study.generator / path.name).write_bytes(path.read_bytes())
    weights = study.generator / "generator.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    done = fedsynth("study", "export", study.path, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert not (tmp_path / "out").exists()


def test_a_default_study_takes_at_most_forty_messages_per_site(tmp_path):
    """Each costs a site seconds, since Flower starts a process for it. Counted at the sites."""
    study = make_folder(tmp_path / "study")
    grid = grid_of(study)
    run_study(study, grid)
    counts = {len(vault.asked) for vault in grid.vaults.values()}
    assert counts == {messages_of(study.plan())}
    assert messages_of(make_default_plan()) == 28


def messages_of(plan):
    """Enrolment, measurements, discriminators, receipt."""
    return 1 + len(plan.measure) + plan.discriminator.messages + 1


def make_default_plan():
    size = {"records_per_site": 5000, "epsilon": 1.0, "delta": 1e-5, "variant": "both"}
    return make_plan(study="default", table=SCHEMA, sites=["a", "b"], **size)


@FAST
@given(changed_lines(config_text("127.0.0.1:8000", None, 2)))
def test_a_study_toml_of_any_content(tmp_path, text):
    (tmp_path / "study.toml").write_bytes(text.encode("utf-8", "replace"))
    try:
        assert StudyFolder(tmp_path).config().sites
    except InputError as error:
        assert len(str(error)) < 3_000
