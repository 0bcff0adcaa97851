//! Tests that span the crates of the workspace live in `main.rs`; this library exists for the examples of the READMEs.

/// The crates' READMEs, so that `cargo test --doc` runs the code in them.
#[cfg(doctest)]
mod readmes {
    #[doc = include_str!("../crates/core/README.md")]
    struct Core;
    #[doc = include_str!("../crates/model/README.md")]
    struct Model;
    #[doc = include_str!("../crates/inference/README.md")]
    struct Inference;
}
