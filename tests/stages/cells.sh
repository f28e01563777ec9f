# shellcheck shell=bash
# The four cells: clients that no one here wrote on servers that no one here wrote, through two gateways behind nginx.

stage_cells() {
    if ! need_node || ! need_python || ! need_nginx || ! build_fixture; then
        skip cells 'no Node, no Python, no nginx or no gateway, see above'
        return
    fi
    if [ ! -x "$built/anypod" ] || [ ! -e "$keys" ]; then
        skip cells "no $built/anypod, or no $keys"
        return
    fi
    local server era sessions
    cells=$logs/cells
    rm -rf "$cells" && mkdir -p "$cells"
    while read -r server era sessions; do
        cell_row "$server" "$era" "$sessions"
        stop_all
    done < <("$node" tests/peers/cells.mjs servers)
    cells_are_fresh
}

# cell_row SERVER ERA SESSIONS: every client on two pods of a server.
cell_row() {
    local server=$1 era=$2 name=cells-$1-$2 script=peer before=$failed client client_era pods=() pod
    [ "$server" != everything ] || script=everything
    for pod in a b; do
        cell_pod "$server" "$name-$pod" || return 0
        pods+=("$REPLY")
    done
    two_gateways "$name" "$era" "$3" "${pods[@]}" || return 0
    local where=(--script "$script" --url "$REPLY" --log "$logs/$name-a.log" --log "$logs/$name-b.log")
    while read -r client client_era; do
        case $client in
            typescript1) cell "$client" "$client_era" "$server" "$era" "$node" tests/peers/cell.mjs --sdk 1 "${where[@]}" ;;
            typescript) cell "$client" "$client_era" "$server" "$era" "$node" tests/peers/cell.mjs --sdk 2 "${where[@]}" ;;
            python) cell "$client" "$client_era" "$server" "$era" "$python" tests/peers/cell.py "${where[@]}" ;;
        esac
    done < <("$node" tests/peers/cells.mjs clients)
    balanced "$name"
    survived "$name" "$before"
}

# cell_pod SERVER NAME: leaves the URL of a new pod in $REPLY.
cell_pod() {
    case $1 in
        python) start "$2" "$python" tests/peers/servers/python.py ;;
        everything)
            # The server chooses no port by itself.
            free_port
            start "$2" env "PORT=$REPLY" "$node" \
                tests/peers/node_modules/@modelcontextprotocol/server-everything/dist/index.js streamableHttp
            started "$2" '.*listening on port ([0-9]+)$' || return
            REPLY=http://127.0.0.1:$REPLY/mcp
            return
            ;;
        *) start "$2" "$node" "tests/peers/servers/$1.mjs" ;;
    esac
    started "$2" '^listening on (http://[^ ]+)$'
}

# two_gateways NAME ERA SESSIONS POD...: two replicas before the pods, behind nginx; leaves nginx's URL in $REPLY.
two_gateways() {
    local name=$1 era=$2 sessions=$3 replica pods
    local -A port
    shift 3
    pods=$(printf '"%s", ' "$@")
    for replica in a b; do
        free_port
        port[$replica]=$REPLY
    done
    for replica in a b; do
        cat >"$logs/$name-$replica.toml" <<TOML
[[listener]]
address = "127.0.0.1:${port[$replica]}"

[fleet]
replicas = 2
key-file = "$keys"
peers = ["http://127.0.0.1:${port[a]}", "http://127.0.0.1:${port[b]}"]

[[upstream]]
name = "server"
era = "$era"
sessions = "$sessions"
pods = [${pods%, }]
TOML
        start "$name-gateway-$replica" "$built/anypod" gateway --config "$logs/$name-$replica.toml"
        started "$name-gateway-$replica" '^listening on (http://[^ ;]+).*' || return
    done
    round_robin "$name" "127.0.0.1:${port[a]}" "127.0.0.1:${port[b]}"
}

# cell CLIENT ERA SERVER ERA INTERPRETER SCRIPT ARGUMENT...: runs one client and counts the features it reports.
cell() {
    local client=$1 era=$2 run=$1-$2-$3-$4 interpreter=$5 script=$6
    shift 6
    timeout --kill-after=10 60 "$interpreter" "$script" --era "$era" "$@" \
        >"$cells/$run.verdict" 2>"$cells/$run.log" </dev/null || true
    tally "cell ${run//-/ }" "$cells/$run.verdict"
}

# cells_are_fresh: fails unless docs/gateway-cells.md says what was seen.
cells_are_fresh() {
    "$node" tests/peers/cells.mjs table "$cells" >"$logs/gateway-cells.md"
    if cmp --silent "$logs/gateway-cells.md" docs/gateway-cells.md; then
        pass
    else
        fail 'cells table' "docs/gateway-cells.md is stale: cp $logs/gateway-cells.md docs/gateway-cells.md"
    fi
}
