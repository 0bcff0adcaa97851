//! Parts of a batch side by side.
//!
//! A small model keeps few cores busy: its matrices are too small to be shared out. Where no gradient is asked for, on a CPU,
//! the parts of a batch therefore go through the network at the same time, each on a thread of its own. How a batch is divided
//! depends on the batch and the model, never on the machine: the bytes are the same for any number of threads.
//!
//! Training gains nothing by this: half a batch costs more than half, for every part sums up gradients of its own.

use std::ops::Range;

use burn::module::Module;
use burn::tensor::Device;

use crate::batch::micro_batches;

/// Tokens that are worth a lane of their own.
const LANE_TOKENS: usize = 128;
/// Most parts that a batch is divided into beyond what memory asks for.
const MOST_LANES: usize = 8;
/// The parts go through larger models one after the other: their matrices are large enough to be shared out.
const MOST_PARAMETERS: usize = 1 << 24;

/// Splits consecutive items into parts of about equal size that are worth a lane each, none of more than `max_tokens` unless
/// an item alone is longer.
pub fn lanes(lens: &[usize], max_tokens: usize) -> Vec<Range<usize>> {
    let total: usize = lens.iter().sum();
    let count = (total / LANE_TOKENS).clamp(1, MOST_LANES);
    let mut ends = Vec::with_capacity(count);
    let (mut before, mut lane) = (0, 0);
    for (i, len) in lens.iter().enumerate() {
        // The lane that the middle of the item falls into.
        let own = ((2 * before + len) * count / (2 * total.max(1))).min(count - 1);
        if own > lane && i > 0 {
            ends.push(i);
            lane = own;
        }
        before += len;
    }
    ends.push(lens.len());
    let mut start = 0;
    let mut parts = Vec::new();
    for end in ends {
        let within = micro_batches(&lens[start..end], max_tokens);
        parts.extend(within.into_iter().map(|part| start + part.start..start + part.end));
        start = end;
    }
    parts
}

/// `task` of every part, in the order of the parts; at the same time where the model is small enough and the device a CPU.
pub fn in_lanes<M: Module, P: Send, R: Send>(
    model: &M,
    device: &Device,
    parts: Vec<P>,
    task: impl Fn(P) -> R + Sync,
) -> Vec<R> {
    if parts.len() < 2 || !side_by_side(model, device) {
        return parts.into_iter().map(task).collect();
    }
    #[cfg(feature = "flex")]
    return pools::run(parts, &task);
    #[cfg(not(feature = "flex"))]
    parts.into_iter().map(task).collect()
}

/// Number of parts, of `parts`, that [`in_lanes`] has in work at the same time.
pub fn at_once<M: Module>(model: &M, device: &Device, parts: usize) -> usize {
    if side_by_side(model, device) {
        parts.min(threads()).max(1)
    } else {
        1
    }
}

/// Number of lanes of this process.
fn threads() -> usize {
    #[cfg(feature = "flex")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "flex"))]
    1
}

/// True if passes of the model on the device are worth running at the same time.
pub fn side_by_side<M: Module>(model: &M, device: &Device) -> bool {
    crate::device::is_flex(device) && model.num_params() <= MOST_PARAMETERS
}

#[cfg(feature = "flex")]
mod pools {
    use std::sync::{Mutex, OnceLock, PoisonError};

    use rayon::{ThreadPool, ThreadPoolBuilder};

    /// One pool of a single thread per thread of the process. Kernels inside a lane see a pool of one and do not share out
    /// their work.
    fn pools() -> &'static [ThreadPool] {
        static POOLS: OnceLock<Vec<ThreadPool>> = OnceLock::new();
        POOLS.get_or_init(|| {
            (0..rayon::current_num_threads())
                .map_while(|i| {
                    let builder = ThreadPoolBuilder::new().num_threads(1);
                    builder.thread_name(move |_| format!("lane {i}")).build().ok()
                })
                .collect()
        })
    }

    pub(super) fn run<P: Send, R: Send>(parts: Vec<P>, task: &(impl Fn(P) -> R + Sync)) -> Vec<R> {
        let pools = pools();
        if pools.len() < 2 {
            return parts.into_iter().map(task).collect();
        }
        let count = parts.len();
        let waiting = Mutex::new(parts.into_iter().enumerate());
        let done: Mutex<Vec<Option<R>>> = Mutex::new((0..count).map(|_| None).collect());
        std::thread::scope(|scope| {
            let lanes: Vec<_> = pools[..count.min(pools.len())]
                .iter()
                .map(|pool| {
                    scope.spawn(|| {
                        pool.install(|| {
                            loop {
                                let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
                                let Some((i, part)) = next else { break };
                                let result = task(part);
                                done.lock().unwrap_or_else(PoisonError::into_inner)[i] = Some(result);
                            }
                        });
                    })
                })
                .collect();
            // A panic goes on as what it was.
            for lane in lanes {
                lane.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            }
        });
        let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.into_iter()
            .map(|r| r.expect("every part was taken by a lane"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_batch_is_divided_evenly_and_by_its_own_size_alone() {
        assert_eq!(lanes(&[256, 256], 4096), [0..1, 1..2]);
        assert_eq!(lanes(&[60, 60], 4096), vec![0..2; 1]);
        assert_eq!(lanes(&[60, 0], 4096), vec![0..2; 1]);
        // 620 tokens are worth four lanes of 155; the middle of the third item, 387, falls into the third.
        assert_eq!(lanes(&[155, 155, 155, 155], 4096), [0..1, 1..2, 2..3, 3..4]);
        assert_eq!(lanes(&[400, 100, 100, 20], 4096), [0..1, 1..2, 2..4]);
        assert!(lanes(&[], 10).iter().all(|part| part.is_empty()));
    }

    proptest! {
        #[test]
        fn parts_follow_each_other_and_hold_every_item(
            lens in prop::collection::vec(0usize..300, 0..40), max_tokens in 1usize..900
        ) {
            let parts = lanes(&lens, max_tokens);
            let mut next = 0;
            for part in &parts {
                prop_assert_eq!(part.start, next);
                prop_assert!(part.end > part.start);
                let tokens: usize = lens[part.clone()].iter().sum();
                prop_assert!(tokens <= max_tokens || part.len() == 1);
                next = part.end;
            }
            prop_assert_eq!(next, lens.len());
        }
    }
}
