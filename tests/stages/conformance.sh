# shellcheck shell=bash
# The official conformance suite, at both revisions: against the fixture put up in several ways, and of the client. The
# scenarios of the Tasks extension are in no revision's requirements, so they are tried one by one.

task_scenarios=(lifecycle capability-negotiation wire-fields request-state-removal mrtr-input request-headers
    dispatch-and-envelope required-task-error mrtr-composition)

stage_conformance() {
    if ! need_node || ! build_fixture; then
        skip conformance 'no Node or no fixture, see above'
        return
    fi
    scores=()
    if one_pod conformance-alone; then
        local url=$REPLY
        conform one-pod "$url"
        conform_tasks one-pod "$url"
    fi
    stop_all
    if ! need_nginx; then
        skip 'conformance nginx' 'no nginx'
    else
        rm -f "$logs"/conformance.db*
        conform_shared nginx "sqlite:$logs/conformance.db"
        stop_all
        if ! need_postgres; then
            skip 'conformance postgres' 'no PostgreSQL'
        elif start_postgres conformance-postgres; then
            conform_shared postgres "$REPLY"
            stop_postgres
        fi
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

# conform_shared TOPOLOGY STORE: has the suite try two pods behind nginx that share a store.
conform_shared() {
    local url
    behind_nginx "conformance-$1" --store "$2" || return 0
    url=$REPLY
    conform "$1" "$url"
    conform_tasks "$1" "$url"
    balanced "conformance-$1"
}

# conform_tasks TOPOLOGY URL: has the suite try the Tasks extension.
conform_tasks() {
    local topology=$1 url=$2 before=$failed verdict=$logs/conformance-$1-tasks.verdict scenario tries=()
    : >"$verdict"
    for scenario in "${task_scenarios[@]}"; do
        try_tasks "$topology" "$url" "$scenario" >>"$verdict" &
        tries+=($!)
    done
    wait "${tries[@]}" || true
    tally "conformance $topology tasks" "$verdict"
    survived "conformance $topology" "$before"
}

# try_tasks TOPOLOGY URL SCENARIO: one of them; every check has to succeed without a warning.
try_tasks() {
    local log=$logs/conformance-$1-tasks-$3.log result
    timeout --kill-after=10 120 "$node" tests/peers/node_modules/@modelcontextprotocol/conformance/dist/index.js \
        server --url "$2" --scenario "tasks-$3" --force >"$log" 2>&1 </dev/null || true
    result=$(grep '^Passed: ' "$log" || true)
    if [[ $result =~ ^Passed:\ ([0-9]+)/([0-9]+),\ 0\ failed,\ 0\ warnings ]] &&
        [ "${BASH_REMATCH[1]}" -gt 0 ] && [ "${BASH_REMATCH[1]}" -eq "${BASH_REMATCH[2]}" ]; then
        echo "ok tasks-$3"
    else
        echo "FAIL tasks-$3: ${result:-reported nothing}, see $log"
    fi
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
