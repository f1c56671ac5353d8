//! The smallest useful program with gneiss-mqtt: see `cargo xtask bench peers --sizes`.

use peers::clients::{Error, Version, gneiss::Gneiss};

fn main() -> Result<(), Error> {
    peers::smallest::<Gneiss>(Version::V5)
}
