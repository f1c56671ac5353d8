//! What is measured: see `benches/`. Run by `cargo bench -p benches`.
