# shellcheck shell=bash
# A PostgreSQL server of the tests' own: a cluster in a temporary directory, on a free port of 127.0.0.1.

postgres_data='' postgres_restart='' postgres_away='' postgres_back=''

# start_postgres NAME: leaves in $REPLY the address of a new, empty database. Whoever reaches the loopback interface may
# use it, with or without encryption; commits are flushed as they are in production. Its log is NAME.log.
start_postgres() {
    local bin as=()
    bin=$(postgres_bin)
    postgres_data=$(mktemp -d "${TMPDIR:-/tmp}/anypod-postgres.XXXXXX")
    if [ "$(id -u)" -eq 0 ]; then
        # The server refuses to be run by root.
        as=(setpriv --reuid postgres --regid postgres --init-groups --)
        chown postgres: "$postgres_data"
    fi
    if ! "${as[@]}" "$bin/initdb" --pgdata "$postgres_data/data" --username postgres --auth trust \
        --encoding UTF8 --locale C --no-instructions >"$logs/$1-initdb.log" 2>&1; then
        fail "start $1" 'initdb failed' "$logs/$1-initdb.log"
        stop_postgres
        return 1
    fi
    # With what the tests of the client have: certificate and key in one file, which the server wants for itself.
    install -m 600 crates/client/tests/tls/server.pem "$postgres_data/server.pem"
    [ "$(id -u)" -ne 0 ] || chown postgres: "$postgres_data/server.pem"
    free_port
    local port=$REPLY
    local options=(-p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200 -c ssl=on
        -c "ssl_cert_file=$postgres_data/server.pem" -c "ssl_key_file=$postgres_data/server.pem")
    start "$1" "${as[@]}" "$bin/postgres" -D "$postgres_data/data" "${options[@]}"
    if ! started "$1" '.*(ready to accept connections)$'; then
        stop_postgres
        return 1
    fi
    local control="${as[*]} $bin/pg_ctl -D $postgres_data/data -w -t 60"
    # What restarts it as if the machine had: with `immediate`, it recovers from its log.
    postgres_restart="$control restart -m immediate -l $postgres_data/log"
    # What ends it for a while, and what starts it again as it was.
    postgres_away="$control stop -m immediate"
    postgres_back="$control start -l $postgres_data/log -o '${options[*]}'"
    REPLY=postgres://postgres@127.0.0.1:$port/postgres
}

# postgres_bin: prints where the newest server's programs are.
postgres_bin() {
    local found
    found=$(command -v initdb || printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort --version-sort | tail -n 1)
    dirname "$found"
}

# stop_postgres: ends the server, whoever is still connected, and deletes what it has stored.
stop_postgres() {
    local end=$((SECONDS + 15)) pid=''
    # After a restart it is another process than the one that was started here.
    [ -z "$postgres_data" ] || pid=$(head -n 1 "$postgres_data/data/postmaster.pid" 2>/dev/null || true)
    if [ -n "$pid" ]; then
        kill -INT "$pid" 2>/dev/null || true
        while kill -0 "$pid" 2>/dev/null && [ $SECONDS -lt $end ]; do sleep 0.05; done
    fi
    # Whatever is still there after that is ended, and complained about, by stop_all.
    [ -z "$postgres_data" ] || rm -rf "$postgres_data"
    postgres_data='' postgres_restart='' postgres_away='' postgres_back=''
}
