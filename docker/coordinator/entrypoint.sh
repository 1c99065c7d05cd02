#!/bin/sh
# The coordinator's image: `superlink`, `superexec`, or any other command (fedsynth, flwr) as given.
# /certs holds ca.crt, server.pem and server.key; /run/secrets/superexec the secret that both share.
set -eu

export NO_PROXY='*' no_proxy='*'    # Docker may set proxies in every container; nothing here leaves it
superlink=${SUPERLINK:-superlink:8000}
mkdir -p "$FLWR_HOME"
if [ ! -e "$FLWR_HOME/config.toml" ]; then
    printf '[superlink]\ndefault = "federation"\n\n[superlink.federation]\naddress = "%s"\nroot-certificates = "/certs/ca.crt"\n' \
        "$superlink" >"$FLWR_HOME/config.toml"
fi

case ${1:-} in
    superlink)
        exec flower-superlink \
            --ssl-ca-certfile=/certs/ca.crt --ssl-certfile=/certs/server.pem --ssl-keyfile=/certs/server.key \
            --enable-supernode-auth --database=/state/superlink.db \
            --host=0.0.0.0 --port=8000 --health-server-address=127.0.0.1:8999 \
            --isolation=process --superexec-auth-secret-file=/run/secrets/superexec
        ;;
    superexec)
        exec flower-superexec --root-certificates=/certs/ca.crt --runtime-api-address="$superlink" \
            --health-server-address=127.0.0.1:8999 --superexec-auth-secret-file=/run/secrets/superexec
        ;;
    *) exec "$@" ;;
esac
