//! The smallest useful program with rumqttc: see `cargo xtask bench peers --sizes`.

use peers::clients::{Error, Version, rumqttc_v4::Rumqttc};

fn main() -> Result<(), Error> {
    peers::smallest::<Rumqttc>(Version::V3_1_1)
}
