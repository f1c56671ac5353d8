//! The smallest useful program with mqtt5: see `cargo xtask bench peers --sizes`.

use peers::clients::{Error, Version, mqtt5::Mqtt5};

fn main() -> Result<(), Error> {
    peers::smallest::<Mqtt5>(Version::V5)
}
