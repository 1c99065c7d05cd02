#!/bin/sh
# Installs fedsynth from this folder, without a network, into a new virtual environment.
#
#   ./install.sh /opt/fedsynth FINGERPRINT
#
# FINGERPRINT is the SHA-256 of publisher.pub, which the publisher told you by another way than this
# archive. Every file is then as it was signed, or nothing is installed. PYTHON names another Python.
set -eu

target=${1:?usage: ./install.sh FOLDER FINGERPRINT}
told=${2:?usage: ./install.sh FOLDER FINGERPRINT (SHA-256 of publisher.pub, told by another way)}
cd "$(dirname "$0")"

if [ -e "$target" ]; then
    echo "error: $target exists and is not replaced; choose a new folder" >&2
    exit 2
fi
if [ "$(sha256sum publisher.pub | cut -d' ' -f1)" != "$told" ]; then
    echo "error: publisher.pub has another fingerprint; do not install, ask the publisher" >&2
    exit 1
fi
openssl pkeyutl -verify -rawin -pubin -inkey publisher.pub -sigfile SHA256SUMS.sig -in SHA256SUMS \
    >/dev/null || { echo "error: SHA256SUMS is not signed by the publisher; do not install" >&2; exit 1; }
sha256sum --check --strict --quiet SHA256SUMS || {
    echo "error: the files above were changed or damaged; do not install" >&2
    exit 1
}
unlisted=$(find . -type f ! -name SHA256SUMS ! -name SHA256SUMS.sig | sed 's|^\./||' | while read -r file; do
    grep -qF "  $file" SHA256SUMS || echo "$file"
done)
if [ -n "$unlisted" ]; then
    echo "error: not among the signed files: $unlisted" >&2
    exit 1
fi

"${PYTHON:-python3}" -m venv "$target"
"$target/bin/python" -m pip --isolated --disable-pip-version-check install --quiet --no-index \
    --find-links wheels --require-hashes -r requirements.txt
"$target/bin/fedsynth" --version
echo "installed in $target; read docs/ first"
