//! The arithmetic of number types: blocks to `f32` and back.

mod decode;
mod encode;
mod super_blocks;
