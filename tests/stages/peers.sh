# shellcheck shell=bash
# Clients that no one here wrote, in both eras: over HTTP against two pods behind nginx, and over stdio. The client of the
# Tasks extension against two pods that share a store, and through two replicas of the gateway.

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
    stop_all
    task_peers
}

# task_peers: the client of the Tasks extension, wherever tasks are kept, and the tasks of legacy sessions where there are such.
task_peers() {
    if ! need_nginx; then
        skip 'peers tasks' 'no nginx'
        return
    fi
    rm -f "$logs"/peers-tasks*.db*
    local task_eras=(modern legacy) task_prefix=()
    task_peer sqlite behind_nginx --store "sqlite:$logs/peers-tasks.db"
    stop_all
    if ! need_postgres; then
        skip 'peers tasks postgres' 'no PostgreSQL'
    elif start_postgres peers-postgres; then
        task_peer postgres behind_nginx --store "$REPLY"
        stop_postgres
    fi
    stop_all
    if [ ! -x "$built/anypod" ]; then
        skip 'peers tasks gateway' "no $built/anypod"
        return
    fi
    # The gateway's own legacy sessions have no tasks.
    task_eras=(modern)
    task_peer gateway fixture_through_gateway --store "sqlite:$logs/peers-tasks-gateway.db"
    stop_all
    task_prefix=(--prefix one)
    task_peer federated fixture_federated --store "sqlite:$logs/peers-tasks-federated.db"
}

# task_peer TOPOLOGY PUT_UP ARGUMENT...: has the client try the pods that a command puts up, in all of $task_eras, with
# $task_prefix.
task_peer() {
    local name=peers-tasks-$1 before=$failed url era
    "$2" "$name" "${@:3}" || return 0
    url=$REPLY
    for era in "${task_eras[@]}"; do
        peer typescript "$era" "tasks-$1" "$node" tests/peers/tasks.mjs \
            --url "$url" --pod "${pods[0]}" --pod "${pods[1]}" "${task_prefix[@]}"
    done
    balanced "$name"
    survived "$name" "$before"
}

# fixture_through_gateway NAME ARGUMENT...: two pods of the fixture behind two replicas of the gateway.
fixture_through_gateway() {
    through_gateway "$1" "${fixture[@]}" --port 0 "${@:2}"
}

# fixture_federated NAME ARGUMENT...: the same, as the upstream `one` of a route that has another one beside it, with the same
# tools.
fixture_federated() {
    local name=$1 config=$logs/$1.toml one
    two_pods "$name" "${fixture[@]}" --port 0 "${@:2}" || return
    one=("${pods[@]}")
    pod "$name-other" "${fixture[@]}" --port 0 || return
    cat >"$config" <<TOML
[[listener]]
address = "127.0.0.1:0"

[fleet]
replicas = 2
key-file = "$keys"

[[upstream]]
name = "one"
pods = ["${one[0]}", "${one[1]}"]

[[upstream]]
name = "other"
pods = ["$REPLY"]

[[route]]
path = "/mcp"
upstreams = ["one", "other"]
names = { prefix = "always", delimiter = "__" }
TOML
    two_pods "$name-gateway" "$built/anypod" gateway --config "$config" || return
    round_robin "$name" "${pods[@]}"
}

# peer SDK ERA TRANSPORT INTERPRETER SCRIPT ARGUMENT...: runs one client and counts the features it reports.
peer() {
    local sdk=$1 era=$2 transport=$3 interpreter=$4 script=$5 verdict=$logs/peer-$1-$2-$3.log
    shift 5
    timeout --kill-after=10 180 "$interpreter" "$script" --era "$era" "$@" >"$verdict" 2>&1 </dev/null || true
    tally "$sdk $era $transport" "$verdict"
}
