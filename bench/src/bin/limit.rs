//! Peer: see [`limits::borrowed`].

use anypod_bench::{allocations::Counting, limits, peer};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> anyhow::Result<()> {
    peer::run(async |_, listener| Ok(peer::serve(listener, limits::borrowed()).await?))
}
