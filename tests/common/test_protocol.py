"""The wire: generated stubs belong to the .proto beside them; what travels is closed and light."""

import re
import subprocess
import sys
from pathlib import Path

import fedsynth_common.protocol as protocol
from fedsynth_common.errors import ErrorCode, FedsynthError, InputError, RefusalError
from fedsynth_common.protocol import PROTOCOL_VERSION
from fedsynth_common.protocol import vault_pb2 as pb

PROTO = Path(protocol.__file__).with_name("vault.proto")


def declared(text):
    """Message name -> {field name: number} as written in the .proto."""
    text = re.sub(r"//.*", "", text)
    found = {}
    for name, body in re.findall(r"message (\w+) \{(.*?)\}", text, re.S):
        found[name] = {f: int(n) for f, n in re.findall(r"(\w+) = (\d+);", body)}
    return found


def test_the_generated_messages_are_those_of_the_proto():
    messages = declared(PROTO.read_text())
    generated = {
        name: {field.name: field.number for field in message.fields}
        for name, message in pb.DESCRIPTOR.message_types_by_name.items()
    }
    assert generated == messages
    assert pb.DESCRIPTOR.package == "fedsynth.vault.v1"


def test_the_service_has_eight_methods_and_no_more():
    (service,) = pb.DESCRIPTOR.services_by_name.values()
    of_a_study = ["Enroll", "Measure", "Discriminate", "Receipt"]
    of_a_secure_sum = ["Keys", "Shares", "Agree", "Unmask"]
    assert [m.name for m in service.methods] == [*of_a_study, *of_a_secure_sum]
    assert not any(m.client_streaming or m.server_streaming for m in service.methods)


def test_replies_hold_a_code_and_bytes_never_a_text_or_number():
    """The only texts are code, version and site name: nothing in which a value could travel."""
    texts = set()
    for name, message in pb.DESCRIPTOR.message_types_by_name.items():
        if not name.endswith("Reply"):
            continue
        assert message.fields[0].name == "status"
        for field in message.fields:
            assert field.type in (field.TYPE_STRING, field.TYPE_BYTES)
            if field.type == field.TYPE_STRING:
                texts.add(field.name)
    assert texts == {"status", "package_version", "site"}


def test_codes_are_fixed():
    assert PROTOCOL_VERSION == 5
    assert all(code == "OK" or code.startswith("ERR_") for code in ErrorCode)
    assert len(ErrorCode) == 12


def test_errors_know_their_exit_code():
    assert (FedsynthError("x").exit_code, InputError("x").exit_code) == (1, 2)
    assert str(RefusalError(ErrorCode.BUDGET)) == "ERR_BUDGET"


def test_the_protocol_is_light():
    code = (
        "import sys, fedsynth_common, fedsynth_common.errors, fedsynth_common.protocol, "
        "fedsynth_common.protocol.vault_pb2\n"
        "print(sorted({'torch', 'pandas', 'opacus', 'sklearn'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
