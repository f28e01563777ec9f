//! The kit, tried on servers that are right and on servers that are wrong.

#[path = "../../examples/hidden_map/basket.rs"]
mod basket;
mod caught;
mod client;
mod fleet;
mod legacy;
mod right;
mod script;
mod servers;
