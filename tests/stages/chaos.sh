# shellcheck shell=bash
# Two replicas of the gateway and four pods that are killed, paused and restarted under load, for $CHAOS_SECONDS.

stage_chaos() {
    local limit=${CHAOS_SECONDS:-20}
    if [ -z "${BUILT-}" ]; then
        if ! need_rust; then
            skip chaos 'no Rust, see above'
            return
        fi
        step 'build chaos' 1500 cargo build --locked --workspace --bin anypod --example chaos || return 0
    fi
    # Whoever wants to see a run again gives it the seed that it printed.
    step chaos $((limit + 120)) "$built/examples/chaos" --seconds "$limit" --verbose \
        ${CHAOS_SEED:+--seed "$CHAOS_SEED"} || true
    grep '^figure ' "$logs/chaos.log" || true
}
