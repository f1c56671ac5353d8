//! `cargo xtask bench peers`: see the library of this package.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: peers::allocations::Counting = peers::allocations::Counting;

fn main() -> ExitCode {
    match peers::main(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
