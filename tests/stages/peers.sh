# shellcheck shell=bash
# Clients that no one here wrote, in both eras: over HTTP against two pods behind nginx, and over stdio.

# Smaller than the fixture's lists, so that clients have pages to turn.
page_size=5

stage_peers() {
    if ! need_node || ! need_python || ! build_fixture; then
        skip peers 'no Node, no Python or no fixture, see above'
        return
    fi
    local era before=$failed
    if ! need_nginx; then
        skip 'peers over HTTP' 'no nginx'
    elif behind_nginx peers-pod --page-size "$page_size"; then
        local http=(--log "$logs/peers-pod-a.log" --log "$logs/peers-pod-b.log" --url "$REPLY")
        for era in modern legacy; do
            peer typescript "$era" http "$node" tests/peers/client.mjs "${http[@]}"
            peer python "$era" http "$python" tests/peers/client.py "${http[@]}"
        done
        balanced peers-pod
        survived 'peers over HTTP' "$before"
    fi
    for era in modern legacy; do
        local stdio=(--stdio "${fixture[@]}" --stdio --page-size "$page_size")
        peer typescript "$era" stdio "$node" tests/peers/client.mjs "${stdio[@]}"
        peer python "$era" stdio "$python" tests/peers/client.py "${stdio[@]}"
    done
}

# peer SDK ERA TRANSPORT INTERPRETER SCRIPT ARGUMENT...: runs one client and counts the features it reports.
peer() {
    local sdk=$1 era=$2 transport=$3 interpreter=$4 script=$5 verdict=$logs/peer-$1-$2-$3.log
    shift 5
    timeout --kill-after=10 180 "$interpreter" "$script" --era "$era" "$@" >"$verdict" 2>&1 </dev/null || true
    tally "$sdk $era $transport" "$verdict"
}
