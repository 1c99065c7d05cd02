#!/bin/sh
# nginx as `fleet` (the coordinator's only published port) or as `gate` (a site's only way out).
set -eu

case ${1:-} in
    fleet) template=/opt/nginx.conf ;;
    gate) template=/opt/gate.conf ;;
    *) exec "$@" ;;
esac
sed -e "s|@RUN@|/tmp|g" -e "s|@CERTS@|/certs|g" -e "s|@LISTEN@|${LISTEN:-8443}|g" \
    -e "s|@SUPERLINK@|${SUPERLINK:-superlink:8000}|g" -e "s|@COORDINATOR@|${COORDINATOR:-}|g" \
    "$template" >/tmp/nginx.conf
exec nginx -e stderr -c /tmp/nginx.conf
