#!/bin/sh
# Used by the Dockerfile: puts what the lock files list into /opt/fedsynth, and nothing else.
#
#   install.sh LOCK...          for example: install.sh locks/vault.txt locks/torch.txt
#
# Every file must have a hash that its lock lists. With wheels in ./wheelhouse pip asks no index at all.
set -eu

locks=
for lock; do
    [ -f "$lock" ] || { echo "error: no lock file $lock; see locks/README.md" >&2; exit 2; }
    locks="$locks --requirement $lock"
done
offline=
if ls wheelhouse/*.whl >/dev/null 2>&1; then
    offline="--no-index --find-links wheelhouse"
fi
# shellcheck disable=SC2086 # several words on purpose
exec /opt/fedsynth/bin/pip install --require-hashes $offline $locks
