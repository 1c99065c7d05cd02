#!/bin/sh
# A private authority and the coordinator's server certificate, for trials and demonstrations.
#
#   docker/make-certs.sh DIR [DNS-NAME | IPv4]...      e.g.  docker/make-certs.sh certs fed.example.org
#
# Writes DIR/ca.crt (goes to every site), ca.key (keep it off the server), server.pem, server.key.
# The certificate is also good for localhost and, within the compose files, superlink and coordinator.
# Never overwrites. For real federations take the certificate from your own authority if you have one.
set -eu

out=${1:?usage: make-certs.sh DIR [DNS-NAME | IPv4]...}
shift
for file in ca.key ca.crt server.key server.pem; do
    if [ -e "$out/$file" ]; then
        echo "error: $out/$file exists and is not replaced; choose a new folder" >&2
        exit 2
    fi
done
mkdir -p "$out"

names="DNS:localhost,DNS:superlink,DNS:coordinator,IP:127.0.0.1"
for name; do
    case $name in
        *[!0-9.]*) names="$names,DNS:$name" ;;
        *) names="$names,IP:$name" ;;
    esac
done

umask 077
curve="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
# shellcheck disable=SC2086 # several words on purpose
openssl req -x509 $curve -days 1825 -keyout "$out/ca.key" -out "$out/ca.crt" \
    -subj "/CN=fedsynth trial authority" -addext "keyUsage=critical,keyCertSign,cRLSign" 2>/dev/null
# shellcheck disable=SC2086
openssl req $curve -keyout "$out/server.key" -out "$out/server.csr" \
    -subj "/CN=fedsynth coordinator" 2>/dev/null
printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\nkeyUsage=critical,digitalSignature\nbasicConstraints=critical,CA:FALSE\n' \
    "$names" >"$out/server.ext"
openssl x509 -req -in "$out/server.csr" -CA "$out/ca.crt" -CAkey "$out/ca.key" -CAcreateserial \
    -days 397 -out "$out/server.pem" -extfile "$out/server.ext" 2>/dev/null
rm -f "$out/server.csr" "$out/server.ext" "$out/ca.srl"
chmod 644 "$out/ca.crt" "$out/server.pem"

echo "wrote $out: ca.crt (for the sites), ca.key, server.pem, server.key"
echo "names $names"
openssl x509 -in "$out/ca.crt" -noout -fingerprint -sha256
