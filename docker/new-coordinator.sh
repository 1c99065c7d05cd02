#!/bin/sh
# The files of a coordinator: certificates, the secret of its processes, folders for state and studies.
#
#   docker/new-coordinator.sh DIR [DNS-NAME | IPv4]...     as root, once; replaces nothing
#
# DIR/authority/ca.key signs the next server certificate: move it to a safe place.
set -eu

dir=${1:?usage: new-coordinator.sh DIR [DNS-NAME | IPv4]...}
shift
here=$(dirname "$0")
user=64010

"$here/make-certs.sh" "$dir/authority" "$@"
mkdir -p "$dir/certs" "$dir/secrets" "$dir/state" "$dir/studies"
mv "$dir/authority/server.pem" "$dir/authority/server.key" "$dir/certs/"
cp "$dir/authority/ca.crt" "$dir/certs/"
(umask 077 && head -c 32 /dev/urandom >"$dir/secrets/superexec")
chown -R "$user:$user" "$dir/certs" "$dir/secrets" "$dir/state" "$dir/studies"
chmod 750 "$dir/certs"
chmod 640 "$dir/certs/server.key"
chmod 700 "$dir/authority" "$dir/secrets" "$dir/state" "$dir/studies"
