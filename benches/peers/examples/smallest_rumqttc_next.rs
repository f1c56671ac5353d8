//! The smallest useful program with rumqttc-next: see `cargo xtask bench peers --sizes`.

use peers::clients::{Error, Version, rumqttc_next_v5::Rumqttc};

fn main() -> Result<(), Error> {
    peers::smallest::<Rumqttc>(Version::V5)
}
