//! A GGUF file, or blocks of a number type.
//!
//! The first byte says which; before blocks, the second says of which type.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rlhf_gguf::{Gguf, TensorType};

/// Numbers of tensors that are decoded; the rest is more of the same.
const MOST_NUMBERS: usize = 1 << 16;

fuzz_target!(|input: &[u8]| match input.split_first() {
    Some((b'f', file)) => read(file),
    Some((b'b', blocks)) => decode(blocks),
    _ => {}
});

fn read(bytes: &[u8]) {
    let Ok(file) = Gguf::parse(bytes, "fuzzed.gguf") else {
        return;
    };
    let _ = (file.config(), file.generation_config(), file.tokenizer());
    let mut left = MOST_NUMBERS;
    for tensor in file.tensors().unwrap_or_default() {
        if tensor.numbers() > left {
            break;
        }
        left -= tensor.numbers();
        let range = tensor.stored.range.start as usize..tensor.stored.range.end as usize;
        let mut numbers = vec![0.0; tensor.numbers()];
        let _ = file.read_tensor(&tensor, &bytes[range], &mut numbers);
    }
}

fn decode(input: &[u8]) {
    let Some((&kind, bytes)) = input.split_first() else {
        return;
    };
    let Some(kind) = TensorType::all().nth(usize::from(kind)) else {
        return;
    };
    let blocks = bytes.len() / kind.block_bytes();
    let mut numbers = vec![0.0; blocks * kind.block_len()];
    kind.decode(&bytes[..blocks * kind.block_bytes()], &mut numbers);
    if kind.can_encode() && numbers.iter().all(|number| number.is_finite()) {
        let bytes = kind.encode(&numbers);
        kind.overflows(&bytes);
    }
}
