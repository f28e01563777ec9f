# shellcheck shell=bash
# The client against servers that no one here wrote, in both eras, over HTTP and stdio.

stage_servers() {
    if ! need_node || ! build_fixture; then
        skip servers 'no Node or no client, see above'
        return
    fi
    local whole=true
    runs=$logs/servers
    rm -rf "$runs" && mkdir -p "$runs"
    serve typescript "$node" tests/peers/servers/typescript.mjs
    serve typescript1 "$node" tests/peers/servers/typescript1.mjs
    serve_everything
    if need_python; then
        serve python "$python" tests/peers/servers/python.py
    else
        whole=false && skip 'servers python' 'no Python, see above'
    fi
    if build_rmcp; then
        serve rmcp "$rmcp"
    else
        whole=false && skip 'servers rmcp' 'no fixture, see above'
    fi
    if $whole; then table_is_fresh; else skip 'servers table' 'not every server was tried'; fi
}

build_rmcp() {
    local target=${CARGO_TARGET_DIR:-target}/peers
    rmcp=$target/debug/rmcp-peer
    step 'build rmcp peer' 900 \
        cargo build --locked --manifest-path tests/peers/servers/rmcp/Cargo.toml --target-dir "$target"
}

# serve SERVER COMMAND...: tries the client on a fixture that prints where it listens, or serves with --stdio.
serve() {
    local server=$1 before=$failed era eras
    shift
    eras=$(eras "$server")
    start "servers-$server" "$@"
    if started "servers-$server" '^listening on (http://[^ ]+)$'; then
        local url=$REPLY
        for era in $eras; do exercise "$server" "$era" http "$url"; done
        survived servers "$before"
    fi
    stop_all
    for era in $eras; do exercise "$server" "$era" stdio -- "$@" --stdio; done
}

# The server chooses no port by itself.
serve_everything() {
    local port before=$failed command=("$node" tests/peers/node_modules/@modelcontextprotocol/server-everything/dist/index.js)
    free_port
    port=$REPLY
    start servers-everything env "PORT=$port" "${command[@]}" streamableHttp
    if started servers-everything '.*listening on port ([0-9]+)$'; then
        exercise everything legacy http "http://127.0.0.1:$port/mcp"
        survived servers "$before"
    fi
    stop_all
    exercise everything legacy stdio -- "${command[@]}" stdio
}

# eras SERVER: those that it speaks.
eras() {
    "$node" tests/peers/servers.mjs eras "$1"
}

# exercise SERVER ERA TRANSPORT WHERE...: tries every feature and counts them. A server's better era is found, not told.
exercise() {
    local server=$1 era=$2 run=$1-$2-$3 arguments=(--era "$2")
    shift 3
    [ "$server" != everything ] || arguments+=(--script everything)
    [ "$era" = modern ] || [ "$(eras "$server")" = legacy ] || arguments+=(--pin)
    timeout --kill-after=10 120 "$built/examples/exercise" "${arguments[@]}" "$@" \
        >"$runs/$run.jsonl" 2>"$logs/servers-$run.log" </dev/null || true
    "$node" tests/peers/servers.mjs judge "$runs/$run.jsonl" >"$runs/$run.verdict" 2>>"$logs/servers-$run.log" ||
        true
    tally "${run//-/ }" "$runs/$run.verdict"
}

# table_is_fresh: fails unless docs/peers.md says what was exercised.
table_is_fresh() {
    "$node" tests/peers/servers.mjs table "$runs" >"$logs/peers.md"
    if cmp --silent "$logs/peers.md" docs/peers.md; then
        pass
    else
        fail 'servers table' "docs/peers.md is stale: cp $logs/peers.md docs/peers.md"
    fi
}
