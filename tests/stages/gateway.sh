# shellcheck shell=bash
# The gateway: two replicas behind nginx, which send every request of a session to the other one than before, in front
# of two pods of three servers. The official suite at both revisions, and clients that no one here wrote.

stage_gateway() {
    if ! need_node || ! need_nginx || ! build_fixture; then
        skip gateway 'no Node, no nginx or no fixture, see above'
        return
    fi
    if [ ! -x "$built/anypod" ]; then
        skip gateway "no $built/anypod"
        return
    fi
    local typescript1=("$node" tests/peers/servers/typescript1-conformance.mjs) legacy=("${fixture[@]}" --legacy-only)
    local with_python=true
    need_python || with_python=false
    $with_python || skip 'gateway python' 'no Python, see above'
    scores=()
    conform_through gateway "${fixture[@]}" --port 0
    peers_through gateway "${fixture[@]}"
    if [ -n "${FIXTURE-}" ]; then
        skip 'gateway legacy' 'the fixture may have no --legacy-only'
    else
        conform_through gateway-legacy "${legacy[@]}" --port 0
        peers_through gateway-legacy "${legacy[@]}"
    fi
    conform_through gateway-typescript1 "${typescript1[@]}"
    without_gateway "${typescript1[@]}"
    printf '%-19s %-11s %-9s %s\n' topology revision required beyond "${scores[@]}"
}

# conform_through TOPOLOGY COMMAND...: has the suite try a server through the gateway.
conform_through() {
    if through_gateway "$@"; then
        conform "$1" "$REPLY"
        balanced "$1"
    fi
    stop_all
}

# peers_through TOPOLOGY COMMAND...: the same for the clients.
peers_through() {
    local name=$1-peers before=$failed era
    shift
    if through_gateway "$name" "$@" --port 0 --page-size "$page_size"; then
        local http=(--log "$logs/$name-a.log" --log "$logs/$name-b.log" --url "$REPLY")
        for era in modern legacy; do
            peer typescript "$era" "$name" "$node" tests/peers/client.mjs "${http[@]}"
            ! $with_python || peer python "$era" "$name" "$python" tests/peers/client.py "${http[@]}"
        done
        balanced "$name"
        survived "$name" "$before"
    fi
    stop_all
}

# without_gateway COMMAND...: what a server that keeps sessions is worth alone, which is judged, and behind nginx, which
# shows what the gateway is for.
without_gateway() {
    if pod typescript1-alone "$@"; then
        judged typescript1-alone 2025-11-25 server --url "$REPLY"
    fi
    stop_all
    if two_pods typescript1-nginx "$@" && round_robin typescript1-nginx "${pods[@]}"; then
        tried typescript1-nginx 2025-11-25 server --url "$REPLY"
    fi
    stop_all
}
