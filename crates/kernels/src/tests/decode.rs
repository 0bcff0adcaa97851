//! Attention over a cache.

use burn::tensor::{Device, Tensor};
use proptest::prelude::*;
use rand::Rng;

use super::{Host, assert_close, ints, rng, values};
use crate::{KvLayer, causal_attention, composed, decode_attention};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn decoding_in_steps_is_causal_attention(
        batch in 1..5_usize,
        n_heads in 1..3_usize,
        d_head in prop::sample::select(vec![1, 8, 24, 32, 64, 80]),
        steps in prop::collection::vec(prop_oneof![Just(1_usize), 1..40_usize], 1..12),
        spare in 0..20_usize,
        seed: u64,
    ) {
        let rng = &mut rng(seed);
        let device = Device::flex();
        let row_len: usize = steps.iter().sum();
        let d_model = n_heads * d_head;
        let qkv = Host::random(rng, [batch * row_len, 3 * d_model], 1.5)
            .on(&device)
            .reshape([batch, row_len, 3 * d_model]);
        let padding: Vec<usize> = (0..batch).map(|_| rng.random_range(0..row_len)).collect();
        let visible_from: Vec<usize> =
            padding.iter().flat_map(|&p| (0..row_len).map(move |t| p.min(t))).collect();
        let expected =
            causal_attention(qkv.clone(), crate::visible_from(ints(&visible_from, &device).reshape([batch, row_len])), n_heads);

        for decode in [decode_attention, composed::decode_attention] {
            let mut cache = KvLayer::new([batch, n_heads, row_len + spare, d_head], &device);
            let mut filled = 0;
            for &new in &steps {
                let tokens = filled..filled + new;
                let part = qkv.clone().slice([0..batch, tokens.clone(), 0..3 * d_model]);
                let (output, next) = decode(cache, part, ints(&padding, &device), filled, n_heads);
                let expected = expected.clone().slice([0..batch, tokens, 0..d_model]);
                assert_close(&values(output), &values(expected), 2e-5, "step");
                cache = next;
                filled += new;
            }
        }
    }
}

#[test]
fn selected_rows_go_on_as_before() {
    let (rng, device) = (&mut rng(3), Device::flex());
    let qkv = Host::random(rng, [3 * 6, 3 * 16], 1.0).on(&device).reshape([3, 6, 48]);
    let tokens = |from: usize, to: usize| qkv.clone().slice([0..3, from..to, 0..48]);
    let start = || {
        let cache = KvLayer::new([3, 2, 6, 8], &device);
        decode_attention(cache, tokens(0, 5), ints(&[0, 1, 2], &device), 0, 2).1
    };
    let (all, _) = decode_attention(start(), tokens(5, 6), ints(&[0, 1, 2], &device), 5, 2);

    let kept = start().select_rows(&[2, 0]);
    assert_eq!((kept.batch(), kept.capacity()), (2, 6));
    let rows = |tensor: Tensor<3>| tensor.select(0, ints(&[2, 0], &device));
    let (some, _) = decode_attention(kept, rows(tokens(5, 6)), ints(&[2, 0], &device), 5, 2);
    assert_eq!(values(some), values(rows(all)));
}

#[test]
fn a_cache_shared_with_a_clone_is_not_written_through() {
    let device = Device::flex();
    let cache = KvLayer::new([1, 1, 4, 8], &device);
    let qkv = Tensor::<3>::ones([1, 1, 24], &device);
    let (_, written) = decode_attention(cache.clone(), qkv, ints(&[0], &device), 0, 1);
    assert_eq!(values(cache.values), [0.0; 32]);
    assert_eq!(values(written.values)[..8], [1.0; 8]);
}
