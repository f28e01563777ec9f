# shellcheck shell=bash
# The server under test and the ways to put it up. Everything is on loopback; pods choose their ports.

built=${CARGO_TARGET_DIR:-target}/release
keys=$logs/keys
fixture=()

# build_fixture: leaves the fixture's command in $fixture and a fresh key ring in $keys.
build_fixture() {
    if [ -n "${FIXTURE-}" ]; then
        read -ra fixture <<<"$FIXTURE"
        return
    fi
    [ ${#fixture[@]} -eq 0 ] || return 0
    need_rust || return
    step 'build fixture' 1500 cargo build --release --locked --workspace --bin anypod \
        --example conformance --example conformance_client --example exercise || return
    rm -f "$keys"
    step 'make keys' 10 "$built/anypod" keys new --out "$keys" || return
    fixture=("$built/examples/conformance" --key-file "$keys")
}

# one_pod NAME ARGUMENT...: leaves its URL in $REPLY.
one_pod() {
    local name=$1
    shift
    start "$name" "${fixture[@]}" --port 0 "$@"
    started "$name" '^listening on (http://[^ ]+)$'
}

# behind_nginx NAME ARGUMENT...: two pods, NAME-a and NAME-b, in plain round robin; leaves nginx's URL in $REPLY.
behind_nginx() {
    local name=$1 prefix=$logs/$1-nginx a b port
    shift
    one_pod "$name-a" "$@" || return
    a=${REPLY#http://}
    one_pod "$name-b" "$@" || return
    b=${REPLY#http://}
    free_port
    port=$REPLY
    rm -rf "$prefix" && mkdir -p "$prefix"
    sed -e "s/@PORT@/$port/" -e "s/@POD_A@/${a%%/*}/" -e "s/@POD_B@/${b%%/*}/" tests/peers/nginx.conf.in \
        >"$prefix/nginx.conf"
    start "$name-nginx" nginx -p "$prefix" -c nginx.conf -e stderr
    started "$name-nginx" '.*(start worker process|using the "epoll" event method).*' || return
    REPLY=http://127.0.0.1:$port/mcp
}

# balanced NAME: fails unless both pods behind nginx had their share; otherwise one pod may have proved it all.
balanced() {
    local counts
    mapfile -t counts < <(sort "$logs/$1-nginx/access.log" | uniq -c | awk '{ print $1 }' | sort -n)
    # Streams that are still open are not in the log yet, so the counts need not be equal.
    if [ ${#counts[@]} -eq 2 ] && [ $((counts[0] * 10)) -ge $((counts[1] * 9 - 40)) ]; then
        pass
    else
        fail "$1 round robin" "the pods answered ${counts[*]-no} requests"
    fi
}

# supervised NAME: two pods under `anypod up`; leaves its URL in $REPLY.
supervised() {
    local pod
    pod=$(printf '%q ' "${fixture[@]}")
    start "$1" "$built/anypod" up --pods 2 --port 0 --pod "$pod --port {port}"
    started "$1" '^(http://[^ ]+/mcp) round robin.*'
}
