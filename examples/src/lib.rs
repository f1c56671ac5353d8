//! What the samples share: nothing but this page. Each sample is one file in `examples/`.
