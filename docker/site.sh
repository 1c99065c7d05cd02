#!/bin/sh
# `fedsynth site ...` for a site in containers: types the command in an image and locks the files again.
#
#   docker/site.sh DIR init --data /data/records.csv --schema /data/schema.json --dataset people --site NAME ...
#   docker/site.sh DIR check | key | status | ledger
#   docker/site.sh DIR approve /inbox/plan.json
#   docker/site.sh DIR bundle /inbox/FILE.fab
#
# As root. DIR/data holds the table and the schema, DIR/inbox what the coordinator sent. No network.
set -eu

dir=$(cd "${1:?usage: site.sh DIR COMMAND...}" && pwd)
shift
vault=64001 courier=64002 group=64000
image=${FEDSYNTH_VAULT_IMAGE:-fedsynth-vault}

case ${1:-} in
    init)
        shift
        set -- init /site --courier /courier --socket /run/fedsynth/vault.sock --ledger /ledger/ledger.db "$@"
        ;;
    bundle)
        image=${FEDSYNTH_COURIER_IMAGE:-fedsynth-courier}
        set -- "$@" --install /courier/flower
        ;;
    *) set -- "$@" --config /site/site.toml ;;
esac

lock() {
    chown -R "$vault:$group" "$dir/vault" "$dir/ledger" "$dir/data"
    find "$dir/courier" -path "$dir/courier/flower" -prune -o -exec chown "$courier:$group" {} +
    chmod 700 "$dir/vault" "$dir/ledger" "$dir/courier"
    chmod 500 "$dir/data"
    find "$dir/data" -type f -exec chmod 400 {} +
}

mkdir -p "$dir/vault" "$dir/ledger" "$dir/courier" "$dir/data" "$dir/inbox"
trap lock EXIT
terminal=$([ -t 0 ] && echo "-it" || echo "-i")
docker run --rm $terminal --network none --read-only --tmpfs /tmp --user 0 \
    --cap-drop ALL --cap-add DAC_OVERRIDE --cap-add FOWNER --security-opt no-new-privileges \
    -v "$dir/data:/data:ro" -v "$dir/inbox:/inbox:ro" -v "$dir/vault:/site" -v "$dir/ledger:/ledger" \
    -v "$dir/courier:/courier" --tmpfs /run/fedsynth "$image" site "$@"
