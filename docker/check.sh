#!/bin/sh
# On the running federation of docker/compose.yml: are the containers locked, and does a study complete?
#
#   docker/check.sh [--no-study]        exit code 0 if every line says ok
set -u

here=$(cd "$(dirname "$0")" && pwd)
export FEDERATION_DIR="${FEDERATION_DIR:-$here/run}" COMPOSE_PROJECT_NAME="${COMPOSE_PROJECT_NAME:-fedsynth}"
compose="${COMPOSE:-docker-compose} -f $here/compose.yml"
sites="dayton massachusetts seattle"
faults=0

expect() { # WHAT COMMAND...: the command succeeds
    what=$1
    shift
    if said=$("$@" 2>&1); then
        echo "ok    $what"
    else
        echo "FAULT $what"
        echo "$said" | tail -5
        faults=$((faults + 1))
    fi
}
operator() { $compose exec -T superexec "$@" </dev/null; }

for site in $sites; do
    for role in vault courier; do
        echo "--- $site's $role, from inside"
        $compose exec -T "$site-$role" python3 - "$role" <"$here/inside.py" || faults=$((faults + 1))
    done
done

if [ "${1:-}" != --no-study ]; then
    echo "--- a study"
    expect "runs to its generator" operator fedsynth study run /studies/demo
    expect "is exported" operator fedsynth study export /studies/demo --out /studies/release --rows 1000 --force
    keys=$(for site in $sites; do
        "$here/site.sh" "$FEDERATION_DIR/$site" key --json </dev/null |
            sed -n 's/.*"site": "\([^"]*\)".*"receipt_key": "\([^"]*\)".*/--key \1=\2/p'
    done)
    # shellcheck disable=SC2086 # several words on purpose
    expect "has papers that fit the sites' own keys" operator fedsynth verify /studies/demo/generator $keys
    for site in $sites; do
        expect "$site's ledger is sound and was charged" sh -c "
            '$here/site.sh' '$FEDERATION_DIR/$site' status --json </dev/null |
                grep -q '\"steps\": [1-9].*\"sound\": true'"
    done
fi
[ "$faults" -eq 0 ] && echo "all ok" || { echo "$faults faults"; exit 1; }
