# shellcheck shell=bash
# Pods that are killed and paused while they run tasks, for $CRASH_SECONDS: on SQLite, and on PostgreSQL, which is restarted
# once meanwhile.

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
}

# crashed STORE ARGUMENT...: one run. Whoever wants to see it again gives it the seed that it printed.
crashed() {
    local store=$1
    shift
    step "crash $store" 400 "$built/examples/crash" --verbose "$@" ${CRASH_SEED:+--seed "$CRASH_SEED"} || true
    grep -E '^(figure|BROKEN) ' "$logs/crash-$store.log" || true
}
