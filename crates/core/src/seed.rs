//! Randomness without a state to save: every stream is derived from what it is for.

use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// Stands first in what is hashed, so that another derivation can never collide with this one.
const DOMAIN: &[u8] = b"rlhf.rng.1";

/// The random stream of a run's `seed` for one `purpose` and, say, one update and one episode.
///
/// Equal arguments give equal streams on every machine; different ones give unrelated streams, so that neither the
/// order of calls nor the number of threads can change a run, and a resumed run simply asks again.
///
/// ```
/// use rand::Rng;
/// let a: u64 = rlhf_core::rng(7, "ppo.sample", &[3, 12]).random();
/// let b: u64 = rlhf_core::rng(7, "ppo.sample", &[3, 12]).random();
/// assert_eq!(a, b);
/// ```
pub fn rng(seed: u64, purpose: &str, counters: &[u64]) -> ChaCha8Rng {
    let mut hasher = Sha256::new();
    hasher.update(DOMAIN);
    hasher.update(seed.to_le_bytes());
    // Lengths go in front of the variable parts: ("a", [1]) and any other split of the same bytes must differ.
    hasher.update((purpose.len() as u64).to_le_bytes());
    hasher.update(purpose.as_bytes());
    hasher.update((counters.len() as u64).to_le_bytes());
    for counter in counters {
        hasher.update(counter.to_le_bytes());
    }
    ChaCha8Rng::from_seed(hasher.finalize().into())
}

/// The numbers `0..n` in a random order.
pub fn permutation<R: Rng + ?Sized>(n: usize, rng: &mut R) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(rng);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(seed: u64, purpose: &str, counters: &[u64]) -> u64 {
        rng(seed, purpose, counters).random()
    }

    #[test]
    fn equal_arguments_give_equal_streams() {
        assert_eq!(first(1, "a", &[2, 3]), first(1, "a", &[2, 3]));
    }

    #[test]
    fn every_argument_and_its_place_changes_the_stream() {
        let streams = [
            first(1, "a", &[2, 3]),
            first(2, "a", &[2, 3]),
            first(1, "b", &[2, 3]),
            first(1, "a", &[3, 2]),
            first(1, "a", &[2, 3, 0]),
            first(1, "a", &[]),
            first(1, "", &[2, 3]),
        ];
        for (i, a) in streams.iter().enumerate() {
            assert!(streams[i + 1..].iter().all(|b| a != b), "stream {i} is repeated");
        }
    }

    #[test]
    fn a_stream_never_changes_between_versions() {
        // Written down on the day the derivation was fixed: a change would silently re-draw every run.
        assert_eq!(first(0, "test", &[1]), 13_884_024_770_909_718_550_u64);
    }

    #[test]
    fn a_permutation_holds_every_number_once() {
        for n in [0, 1, 2, 17] {
            let mut order = permutation(n, &mut rng(3, "permutation", &[n as u64]));
            order.sort_unstable();
            assert_eq!(order, (0..n).collect::<Vec<_>>());
        }
    }

    #[test]
    fn permutations_of_three_are_equally_likely() {
        let mut seen = std::collections::BTreeMap::new();
        for draw in 0..6000 {
            *seen.entry(permutation(3, &mut rng(5, "six", &[draw]))).or_insert(0_u32) += 1;
        }
        assert_eq!(seen.len(), 6);
        // 1000 each, standard deviation sqrt(6000 · 1/6 · 5/6) = 29.
        assert!(seen.values().all(|&n| (880..1120).contains(&n)), "{seen:?}");
    }
}
