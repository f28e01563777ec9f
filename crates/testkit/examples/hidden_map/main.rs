//! Catches a server that keeps baskets in the memory of one process, and shows two ways to repair it.

mod basket;

use anypod_testkit::Check;

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    let report = |name: &str, outcome| match outcome {
        Ok(()) => println!("{name}: every replica answers the same\n"),
        Err(error) => println!("{name}: {error}\n"),
    };
    report("forgetful", Check::new(basket::forgetful).run(basket::shop_by_name).await);
    report("stored", Check::new(basket::stored).run(basket::shop_by_name).await);
    report("carried", Check::new(basket::carried).run(basket::shop_by_hand).await);
}
