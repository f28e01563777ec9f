# shellcheck shell=bash
# The official conformance suite, at both revisions, against the fixture put up in three ways.

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
    printf '%-9s %-11s %-9s %s\n' topology revision required beyond "${scores[@]}"
}

# conform TOPOLOGY URL: runs and judges the suite; the results stay beside the logs.
conform() {
    local topology=$1 url=$2 before=$failed revision results log score
    for revision in 2026-07-28 2025-11-25; do
        results=$logs/conformance-$topology-$revision
        log=$results.log
        rm -rf "$results"
        # The exit code is the judge's business, not the suite's.
        timeout --kill-after=10 300 "$node" tests/peers/node_modules/@modelcontextprotocol/conformance/dist/index.js \
            server --url "$url" --requirements "$revision" --output-dir "$results" >"$log" 2>&1 </dev/null || true
        "$node" tests/peers/judge.mjs "$results" "$topology" "$revision" >"$results.verdict" 2>>"$log" || true
        grep '^note ' "$results.verdict" || true
        tally "conformance $topology $revision" "$results.verdict"
        read -ra score < <(sed -n 's/^score //p' "$results.verdict") || true
        scores+=("$topology" "$revision" "${score[0]-?}" "${score[1]-?}")
    done
    survived "conformance $topology" "$before"
}
