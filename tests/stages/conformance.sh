# shellcheck shell=bash
# The official conformance suite, at both revisions: against the fixture put up in three ways, and of the client.

stage_conformance() {
    if ! need_node || ! build_fixture; then
        skip conformance 'no Node or no fixture, see above'
        return
    fi
    scores=()
    if one_pod conformance-alone; then
        conform one-pod "$REPLY"
    fi
    stop_all
    if ! need_nginx; then
        skip 'conformance nginx' 'no nginx'
    elif behind_nginx conformance-pod; then
        conform nginx "$REPLY"
        balanced conformance-pod
    fi
    stop_all
    if [ ! -x "$built/anypod" ]; then
        skip 'conformance up' "no $built/anypod"
    elif supervised conformance-supervisor; then
        conform up "$REPLY"
    fi
    stop_all
    conform_client
    printf '%-9s %-11s %-9s %s\n' topology revision required beyond "${scores[@]}"
}

# conform TOPOLOGY URL: has the suite try a server.
conform() {
    local topology=$1 before=$failed revision
    for revision in 2026-07-28 2025-11-25; do
        judged "$topology" "$revision" server --url "$2"
    done
    survived "conformance $topology" "$before"
}

# conform_client: has the suite try the client, with all scenarios at once.
conform_client() {
    local revision
    if [ ! -x "$built/examples/conformance_client" ]; then
        skip 'conformance client' "no $built/examples/conformance_client"
        return
    fi
    for revision in 2026-07-28 2025-11-25; do
        judged client "$revision" client --command "$(realpath "$built")/examples/conformance_client" --timeout 60000
    done
}

# judged TOPOLOGY REVISION ARGUMENT...: runs and judges the suite.
judged() {
    local verdict=$logs/conformance-$1-$2.verdict
    tried "$@"
    grep '^note ' "$verdict" | grep -v ': pending$' || true
    tally "conformance $1 $2" "$verdict"
}

# tried TOPOLOGY REVISION ARGUMENT...: runs the suite; results and verdict stay beside the logs.
tried() {
    local topology=$1 revision=$2 results=$logs/conformance-$1-$2 log score
    shift 2
    log=$results.log
    rm -rf "$results"
    # The exit code is the judge's business, not the suite's.
    timeout --kill-after=10 300 "$node" tests/peers/node_modules/@modelcontextprotocol/conformance/dist/index.js \
        "$@" --requirements "$revision" --output-dir "$results" >"$log" 2>&1 </dev/null || true
    "$node" tests/peers/judge.mjs "$results" "$topology" "$revision" >"$results.verdict" 2>>"$log" || true
    read -ra score < <(sed -n 's/^score //p' "$results.verdict") || true
    scores+=("$topology" "$revision" "${score[0]-?}" "${score[1]-?}")
}
