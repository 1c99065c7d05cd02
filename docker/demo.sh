#!/bin/sh
# A federation of three hospitals on this host, up to the point where a study can be run.
#
#   docker/demo.sh TABLES          as root, with the four images built; afterwards docker/check.sh
#
# TABLES holds dayton.csv, massachusetts.csv, seattle.csv and schema.json, for example the RAND tables:
#   .venv/bin/python -c 'from fedsynth_simulations.demo_data import write_demo; write_demo("tables")'
# With TRUST=secure-sum the hospitals make one noise together (docs/SECURE_SUM.md).
# Everything is written to $FEDERATION_DIR [default: docker/run], which must not exist yet.
set -eu

tables=$(cd "${1:?usage: demo.sh TABLES}" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
export FEDERATION_DIR="${FEDERATION_DIR:-$here/run}" COMPOSE_PROJECT_NAME="${COMPOSE_PROJECT_NAME:-fedsynth}"
compose="${COMPOSE:-docker-compose} -f $here/compose.yml"
sites="dayton massachusetts seattle"
trust=${TRUST:-local}
[ ! -e "$FEDERATION_DIR" ] || { echo "error: $FEDERATION_DIR exists; remove it first" >&2; exit 2; }

say() { printf '\n--- %s\n' "$*"; }
operator() { $compose exec -T superexec "$@"; }

say "coordinator: certificates, secret, processes"
mkdir -p "$FEDERATION_DIR"
"$here/new-coordinator.sh" "$FEDERATION_DIR/coordinator"
cp "$tables/schema.json" "$FEDERATION_DIR/coordinator/studies/"
chown 64010 "$FEDERATION_DIR/coordinator/studies/schema.json"
$compose up -d superlink superexec proxy
tries=0
until operator flwr supernode list >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 30 ] || { $compose logs superlink; exit 1; }
    sleep 2
done

options=""
[ "$trust" = local ] || options="--trust $trust"
for site in $sites; do
    say "$site: init, check, key"
    dir=$FEDERATION_DIR/$site
    mkdir -p "$dir/data" "$dir/inbox"
    cp "$tables/$site.csv" "$dir/data/records.csv"
    cp "$tables/schema.json" "$dir/data/"
    "$here/site.sh" "$dir" init --data /data/records.csv --schema /data/schema.json \
        --dataset "people of $site" --site "$site" --max-epsilon 3 --superlink coordinator:8443
    cp "$FEDERATION_DIR/coordinator/certs/ca.crt" "$dir/courier/"
    "$here/site.sh" "$dir" check
    "$here/site.sh" "$dir" key
    if [ "$trust" != local ]; then # the second cap, without which a site takes part in no secure sum
        sed -i 's/^# max_epsilon_alone = .*/max_epsilon_alone = 6.0/' "$dir/vault/policy.toml"
        grep -q '^max_epsilon_alone' "$dir/vault/policy.toml"
        options="$options --receipt-key $("$here/site.sh" "$dir" key --json </dev/null |
            sed -n 's/.*"site": "\([^"]*\)".*"receipt_key": "\([^"]*\)".*/\1=\2/p')"
    fi
done

say "coordinator: plan and bundle"
# shellcheck disable=SC2086 # several words on purpose
operator fedsynth study init /studies/demo --schema /studies/schema.json --records-per-site 4000 \
    --epsilon 1 --variant "${VARIANT:-marginals}" --superlink superlink:8000 \
    --root-certificate /certs/ca.crt $(for site in $sites; do echo "--site $site"; done) $options
# a demonstration: less training than the default
printf 'fit_steps = 200\nlatents = 512\n' >>"$FEDERATION_DIR/coordinator/studies/demo/study.toml"
operator fedsynth study bundle --out /studies

for site in $sites; do
    say "$site: approve, bundle"
    dir=$FEDERATION_DIR/$site
    cp "$FEDERATION_DIR"/coordinator/studies/*.fab "$FEDERATION_DIR/coordinator/studies/demo/plan.json" \
        "$dir/inbox/"
    "$here/site.sh" "$dir" approve /inbox/plan.json --yes
    "$here/site.sh" "$dir" bundle "/inbox/$(cd "$dir/inbox" && ls ./*.fab)"
    cp "$dir/courier/node.key.pub" "$FEDERATION_DIR/coordinator/studies/$site.pub"
    chown 64010 "$FEDERATION_DIR/coordinator/studies/$site.pub"
    operator flwr supernode register "/studies/$site.pub" --name "$site"
done

say "sites: vaults and couriers"
$compose up -d
say "next: docker/check.sh"
