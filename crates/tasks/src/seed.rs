//! Streams of randomness: each purpose has its own, so that adding a draw in one place changes nothing elsewhere.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A hash that is the same on every machine and in every version: FNV-1a over the parts, a separator after each, finished by
/// the SplitMix64 mixer.
pub fn stable_hash(parts: &[&str]) -> u64 {
    let mut state: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        for byte in part.bytes().chain([0xff]) {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// The random stream of `seed` for a purpose and a counter.
pub fn stream(seed: u64, purpose: &str, counter: u64) -> ChaCha8Rng {
    let (seed, counter) = (seed.to_string(), counter.to_string());
    ChaCha8Rng::seed_from_u64(stable_hash(&[&seed, purpose, &counter]))
}

/// A standard normal number that depends on the parts alone (Box and Muller's transform).
pub(crate) fn normal(parts: &[&str]) -> f64 {
    let bits = stable_hash(parts);
    let other = stable_hash(&[&bits.to_string(), "second"]);
    // 53 bits each, shifted by half a step so that neither is 0.
    let unit = |x: u64| ((x >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    (-2.0 * unit(bits).ln()).sqrt() * (std::f64::consts::TAU * unit(other)).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_kept_apart() {
        assert_ne!(stable_hash(&["ab", "c"]), stable_hash(&["a", "bc"]));
    }

    #[test]
    fn normal_has_mean_0_and_variance_1() {
        let draws: Vec<f64> = (0..20_000).map(|i| normal(&["x", &i.to_string()])).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.03, "{mean}");
        assert!((variance - 1.0).abs() < 0.05, "{variance}");
    }
}
