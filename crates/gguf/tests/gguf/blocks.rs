//! Numbers of blocks, and blocks of numbers, to the last bit.

use rlhf_gguf::TensorType;

use crate::golden::{floats, json};

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    (0..hex.len()).step_by(2).map(byte).collect()
}

#[test]
fn blocks_of_every_type_hold_the_numbers_of_the_reference() {
    let blocks = json("gguf/blocks.json");
    for kind in TensorType::all().filter(|kind| *kind != TensorType::F32) {
        let expected = &blocks["types"][kind.name()];
        assert_eq!(expected["block"], kind.block_len(), "{kind}");
        assert_eq!(expected["bytes"], kind.block_bytes(), "{kind}");
        for block in expected["blocks"].as_array().expect("a list") {
            let wanted = floats(&block["values"]);
            let mut found = vec![0.0; wanted.len()];
            kind.decode(&bytes(block["hex"].as_str().expect("a text")), &mut found);
            let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
            assert_eq!(bits(&found), bits(&wanted), "{kind} {block}");
        }
    }
}

#[test]
fn numbers_become_the_bytes_of_the_reference_quantizers() {
    let rows = json("gguf/quantize.json");
    for row in rows["rows"].as_array().expect("a list") {
        let values = floats(&row["values"]);
        for kind in TensorType::all().filter(|kind| kind.can_encode() && *kind != TensorType::F32) {
            let wanted = bytes(row[kind.name()].as_str().expect("a text"));
            assert_eq!(kind.encode(&values), wanted, "{kind} of {values:?}");
        }
    }
}

#[test]
fn a_number_beyond_the_range_of_a_type_is_told() {
    for (kind, large) in [
        (TensorType::F16, 65520.0),
        (TensorType::Q8_0, 65520.0 * 127.0),
        (TensorType::Q4_0, 65520.0 * 8.0),
        (TensorType::Q4_1, -65520.0),
        (TensorType::BF16, f32::MAX),
    ] {
        let mut numbers = [0.0; 64];
        numbers[40] = large;
        assert!(kind.overflows(&kind.encode(&numbers)), "{kind}");
        numbers[40] = large / 2.0;
        assert!(!kind.overflows(&kind.encode(&numbers)), "{kind}");
    }
}
