"""Container health: `health.py TARGET` asks a gRPC health service, `health.py --tls PORT` a TLS port.

Exit code 0 if it serves. TARGET is host:port or unix:/path. Nothing is printed: Docker keeps outputs.
"""

import socket
import ssl
import sys


def serves(target: str) -> bool:
    """Whether the gRPC health service at `target` says SERVING."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    direct = (("grpc.enable_http_proxy", 0),)  # whatever the surroundings say
    with grpc.insecure_channel(target, options=direct) as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=5
            )
        except grpc.RpcError:
            return False
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


def speaks_tls(port: int) -> bool:
    """Whether something completes a TLS handshake on a port of this container; no data is sent."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain),
        ):
            return True
    except OSError:
        return False


if __name__ == "__main__":
    good = speaks_tls(int(sys.argv[2])) if sys.argv[1] == "--tls" else serves(sys.argv[1])
    sys.exit(0 if good else 1)
