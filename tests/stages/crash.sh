# shellcheck shell=bash
# Pods that are killed and paused while they run tasks, for $CRASH_SECONDS: on SQLite, and on PostgreSQL, which is restarted
# once meanwhile. Then stores that are away for $OUTAGE_SECONDS: a database that is ended, one that hangs, a full disk.

stage_crash() {
    local seconds=${CRASH_SECONDS:-20} tasks=${CRASH_TASKS:-300}
    if [ -z "${BUILT-}" ]; then
        if ! need_rust; then
            skip crash 'no Rust, see above'
            return
        fi
        step 'build crash' 1500 cargo build --locked --workspace --example crash || return 0
    fi
    rm -f "$logs"/crash.db*
    crashed sqlite --store "sqlite:$logs/crash.db" --seconds "$seconds" --tasks "$tasks"
    if ! need_postgres; then
        skip 'crash postgres' 'no PostgreSQL'
    elif start_postgres crash-postgres; then
        crashed postgres --store "$REPLY" --seconds "$seconds" --tasks "$tasks" \
            --halfway "$postgres_restart"
        stop_postgres
    fi
    outages
}

# outages: takes stores away while tasks are open and clients ask.
outages() {
    local seconds=${OUTAGE_SECONDS:-12}
    if ! need_postgres; then
        skip 'crash outage' 'no PostgreSQL'
    else
        if start_postgres outage-ended; then
            outage ended --store "$REPLY" --seconds "$seconds" --away "$postgres_away" --back "$postgres_back"
            stop_postgres
        fi
        if start_postgres outage-hangs; then
            # A statement may take 5 s, and waits 2 s at most until it is sent.
            outage hangs --store "$REPLY" --seconds "$seconds" --most 9000 \
                --away "$(hung STOP)" --back "$(hung CONT)"
            stop_postgres
        fi
    fi
    full_disk "$seconds"
}

# hung SIGNAL: prints a command that sends it to the whole database server, whose processes have groups of their own.
hung() {
    printf 'pid=$(head -n 1 %q/data/postmaster.pid) && kill -%s $pid $(cat /proc/$pid/task/$pid/children)' \
        "$postgres_data" "$1"
}

# full_disk SECONDS: a file system so small that a file can fill it.
full_disk() {
    local disk
    disk=$(mktemp -d "${TMPDIR:-/tmp}/anypod-full.XXXXXX")
    if ! mount -t tmpfs -o size=16m anypod-full "$disk" 2>/dev/null; then
        skip 'crash outage full' 'only root can mount a file system that is small enough to be filled'
    else
        outage full --store "sqlite:$disk/tasks.db" --seconds "$1" --full \
            --away "! cat /dev/zero >$disk/ballast" --back "rm $disk/ballast"
        umount "$disk"
    fi
    rmdir "$disk"
}

# outage KIND ARGUMENT...: one run.
outage() {
    local kind=$1
    shift
    step "outage $kind" 200 "$built/examples/crash" outage "$@" || true
    grep -E '^(figure|BROKEN) ' "$logs/outage-$kind.log" || true
}

# crashed STORE ARGUMENT...: one run. Whoever wants to see it again gives it the seed that it printed.
crashed() {
    local store=$1
    shift
    step "crash $store" 400 "$built/examples/crash" --verbose "$@" ${CRASH_SEED:+--seed "$CRASH_SEED"} || true
    grep -E '^(figure|BROKEN) ' "$logs/crash-$store.log" || true
}
