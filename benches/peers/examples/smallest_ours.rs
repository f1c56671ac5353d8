//! The smallest useful program with aws-iot: see `cargo xtask bench peers --sizes`.

use peers::clients::{Error, Version, ours::Ours};

fn main() -> Result<(), Error> {
    peers::smallest::<Ours>(Version::V5)
}
