"""The same study with every site's vault behind a real gRPC server on a unix socket."""

import pytest
from flwr.app import Context
from small_study import SITES, make_frames, make_small_plan, run_seeded, start

from fedsynth_client.courier import app as courier
from fedsynth_client.vault.socket_server import start_server
from fedsynth_common.errors import FedsynthError
from fedsynth_server.study.export import export
from fedsynth_simulations.federation import make_vault
from fedsynth_simulations.grid import InProcessGrid


@pytest.fixture
def sockets(tmp_path):
    """A served vault per site, with the seeds that the in-process study gives them."""
    plan, servers, paths = make_small_plan("both"), [], []
    for number, (site, frame) in enumerate(make_frames().items()):
        vault = make_vault(site, frame, plan, tmp_path / f"{site}.ledger", 1000 + number)
        paths.append(str(tmp_path / f"{site}.sock"))
        servers.append(start_server(vault, tmp_path / f"{site}.sock"))
    yield servers, paths
    for server in servers:
        server.stop(None).wait()


def nodes(paths):
    return InProcessGrid(courier, [{"vault-socket": path} for path in paths])


def test_sockets_change_nothing(sockets, tmp_path):
    """The production courier, gRPC and a ledger on disk: bit for bit the in-process study."""
    plan = make_small_plan("both")
    direct = export(plan, run_seeded(plan, seed=1), tmp_path / "direct")
    served = export(plan, start(nodes(sockets[1]), plan).run(), tmp_path / "served")
    same = [(tmp_path / f / "generator.safetensors").read_bytes() for f in ("direct", "served")]
    assert same[0] == same[1]
    assert [s.epsilon for s in served.statement.sites] == [
        s.epsilon for s in direct.statement.sites
    ]
    assert {s.status for s in served.statement.sites} == {"complete"}
    assert (tmp_path / "north.ledger").stat().st_size > 0


def test_a_vault_that_stops_is_unavailable_and_the_quorum_carries_on(sockets, tmp_path):
    plan = make_small_plan("both")
    servers, paths = sockets
    study = start(nodes(paths), plan, quorum=2)
    original = study.measure_histograms

    def measure():
        histograms = original()
        servers[1].stop(None).wait()
        return histograms

    study.measure_histograms = measure
    outcome = study.run()
    assert any(note.endswith("south: ERR_UNAVAILABLE") for note in outcome.notes)
    statement = export(plan, outcome, tmp_path / "g").statement
    assert [s.status for s in statement.sites] == ["complete", "lost", "complete"]


def test_the_same_study_again_is_answered_from_the_outbox_at_no_charge(sockets):
    plan = make_small_plan("both")
    first = start(nodes(sockets[1]), plan).run()
    again = start(nodes(sockets[1]), plan).run()
    assert set(first.receipts) == set(SITES)
    for site in SITES:
        assert first.receipts[site].receipt_json == again.receipts[site].receipt_json


def test_another_study_is_refused_since_the_cap_is_reached(sockets):
    plan = make_small_plan("both")
    start(nodes(sockets[1]), plan).run()
    with pytest.raises(FedsynthError, match=r"enroll: 0 of 3 sites .*ERR_"):
        start(nodes(sockets[1]), make_small_plan("both", study="another")).run()


def test_node_configuration_without_a_socket_is_a_code(tmp_path):
    grid = InProcessGrid(courier, [{}, {}, {}])
    assert isinstance(grid._contexts[2], Context)
    with pytest.raises(FedsynthError, match="ERR_INTERNAL"):
        start(grid, make_small_plan("both")).run()
