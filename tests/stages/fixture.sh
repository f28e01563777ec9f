# shellcheck shell=bash
# The server under test and the ways to put it up. Everything is on loopback; pods choose their ports.

# Those that the tests of the stage `rust` are built with, so that nothing is built twice.
built=${BUILT:-${CARGO_TARGET_DIR:-target}/debug}
keys=$logs/keys
fixture=()
pods=()

# build_fixture: leaves the fixture's command in $fixture and a fresh key ring in $keys.
build_fixture() {
    if [ -n "${FIXTURE-}" ]; then
        read -ra fixture <<<"$FIXTURE"
        return
    fi
    [ ${#fixture[@]} -eq 0 ] || return 0
    if [ -z "${BUILT-}" ]; then
        need_rust || return
        step 'build fixture' 1500 cargo build --locked --workspace --bin anypod \
            --example conformance --example conformance_client --example exercise || return
    fi
    rm -f "$keys"
    step 'make keys' 10 "$built/anypod" keys new --out "$keys" || return
    fixture=("$built/examples/conformance" --key-file "$keys")
}

# pod NAME COMMAND...: leaves its URL in $REPLY.
pod() {
    start "$@"
    started "$1" '^listening on (http://[^ ;]+).*'
}

# one_pod NAME ARGUMENT...: a pod of the fixture.
one_pod() {
    local name=$1
    shift
    pod "$name" "${fixture[@]}" --port 0 "$@"
}

# two_pods NAME COMMAND...: NAME-a and NAME-b; leaves their URLs in $pods.
two_pods() {
    local name=$1
    shift
    pods=()
    pod "$name-a" "$@" && pods+=("$REPLY") && pod "$name-b" "$@" && pods+=("$REPLY")
}

# round_robin NAME URL URL: nginx in front of two pods; leaves its URL in $REPLY.
round_robin() {
    local name=$1-nginx a=${2#http://} b=${3#http://} prefix=$logs/$1-nginx port
    free_port
    port=$REPLY
    rm -rf "$prefix" && mkdir -p "$prefix"
    sed -e "s/@PORT@/$port/" -e "s/@POD_A@/${a%%/*}/" -e "s/@POD_B@/${b%%/*}/" tests/peers/nginx.conf.in \
        >"$prefix/nginx.conf"
    start "$name" nginx -p "$prefix" -c nginx.conf -e stderr
    started "$name" '.*(start worker process|using the "epoll" event method).*' || return
    REPLY=http://127.0.0.1:$port/mcp
}

# behind_nginx NAME ARGUMENT...: two pods of the fixture in plain round robin; leaves nginx's URL in $REPLY.
behind_nginx() {
    local name=$1
    shift
    two_pods "$name" "${fixture[@]}" --port 0 "$@" && round_robin "$name" "${pods[@]}"
}

# through_gateway NAME COMMAND...: two pods, two replicas of the gateway, NAME-gateway-a and -b, that each know both, and
# nginx in front of these; leaves nginx's URL in $REPLY.
through_gateway() {
    local name=$1
    [ -s "$keys" ] || step 'make keys' 10 "$built/anypod" keys new --out "$keys" || return
    two_pods "$@" || return
    two_pods "$name-gateway" "$built/anypod" gateway --port 0 --key-file "$keys" \
        --upstream "${pods[0]}" --upstream "${pods[1]}" || return
    round_robin "$name" "${pods[@]}"
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
