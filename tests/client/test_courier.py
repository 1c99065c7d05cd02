"""The courier carries bytes, turns every failure into a code, and imports nothing heavy."""

import subprocess
import sys

import grpc
import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity
from small_site import Site

from fedsynth_client.courier import app, make_courier
from fedsynth_client.vault.callers import LocalVault
from fedsynth_common.protocol import PROTOCOL_VERSION
from fedsynth_common.protocol import vault_pb2 as pb

TYPES = {
    "enroll": ("query.enroll", pb.EnrollReply),
    "measure": ("query.measure", pb.MeasureReply),
    "discriminate": ("train.discriminate", pb.DiscriminateReply),
    "receipt": ("query.receipt", pb.ReceiptReply),
}


@pytest.fixture(autouse=True)
def _flower_process(monkeypatch):
    """Messages can only be made inside a Flower process: these names make this one look like it."""
    for name in ("_run_id", "_task_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


def context(**node_config):
    return Context(run_id=1, node_id=2, node_config=node_config, state=RecordDict(), run_config={})


def message(method, body):
    content = RecordDict({"request": ConfigRecord({"body": body})})
    return Message(content, dst_node_id=2, message_type=TYPES[method][0])


def carry(courier, sent, **node_config):
    reply = courier(sent, context(**node_config))
    assert list(reply.content) == ["reply"]
    assert list(reply.content["reply"]) == ["body"]
    return reply.content["reply"]["body"]


def test_all_four_messages_reach_the_vault_and_come_back_untouched():
    site = Site()
    courier = make_courier(lambda _: LocalVault(site.vault))
    plan = pb.EnrollRequest(protocol_version=PROTOCOL_VERSION, plan_json=site.plan.to_json())
    requests = {
        "enroll": plan,
        "measure": site.measure_request(),
        "discriminate": site.discriminate_request(),
        "receipt": site.receipt_request(),
    }
    for method, request in requests.items():
        body = request.SerializeToString()
        answer = carry(courier, message(method, body))
        assert TYPES[method][1].FromString(answer).status == "OK"
        if method != "receipt":  # the same request again: the same bytes
            assert site.vault.call(method, body) == answer


@pytest.mark.parametrize("method", TYPES)
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RuntimeError("ZZCANARY"), "ERR_INTERNAL"),
        (KeyError("ZZCANARY"), "ERR_INTERNAL"),
        (OSError("ZZCANARY"), "ERR_UNAVAILABLE"),
        (grpc.RpcError("ZZCANARY"), "ERR_UNAVAILABLE"),
    ],
)
def test_failures_become_codes_without_text(method, error, code):
    def broken(_):
        raise error

    body = carry(make_courier(broken), message(method, b""))
    assert TYPES[method][1].FromString(body) == TYPES[method][1](status=code)


@pytest.mark.parametrize(
    "content",
    [
        RecordDict({}),
        RecordDict({"request": ConfigRecord({})}),
        RecordDict({"request": ConfigRecord({"body": "text"})}),
    ],
)
def test_messages_of_another_form_are_refused(content):
    sent = Message(content, dst_node_id=2, message_type="query.measure")
    body = carry(make_courier(lambda _: LocalVault(Site().vault)), sent)
    assert pb.MeasureReply.FromString(body).status == "ERR_PAYLOAD"


def test_a_vault_that_is_not_there_is_unavailable(tmp_path):
    body = carry(app, message("enroll", b""), **{"vault-socket": str(tmp_path / "none.sock")})
    assert pb.EnrollReply.FromString(body).status == "ERR_UNAVAILABLE"


def test_a_node_without_vault_socket_says_no_more_than_a_code():
    body = carry(app, message("enroll", b""))
    assert pb.EnrollReply.FromString(body).status == "ERR_INTERNAL"


@pytest.mark.parametrize("module", ["fedsynth_client.courier", "fedsynth_client.vault.callers"])
def test_the_courier_imports_neither_torch_nor_pandas(module):
    code = (
        f"import sys, {module}; print({{'torch', 'pandas', 'numpy', 'opacus'}} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() in {"set()", "{'numpy'}"}
