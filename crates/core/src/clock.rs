//! Seconds that the parts of an optimiser step take.

use std::time::Instant;

/// Seconds spent on the parts of a step. On a device that computes behind the host's back a part is what the host waited
/// for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PartTimes {
    /// From tokens to the loss.
    pub forward: f64,
    /// From the loss to gradients, their clipping included.
    pub backward: f64,
    /// From gradients to new weights.
    pub optimizer: f64,
}

impl PartTimes {
    /// The metrics of a step that took `seconds`, of which these are parts, and `flops` operations.
    pub fn metrics(&self, seconds: f64, flops: f64) -> [(&'static str, f64); 5] {
        [
            ("time/step_s", seconds),
            ("time/gflops", flops / seconds / 1e9),
            ("time/forward_s", self.forward),
            ("time/backward_s", self.backward),
            ("time/optimizer_s", self.optimizer),
        ]
    }
}

/// Runs `work` and adds the seconds it took to `spent`.
pub fn timed<R>(spent: &mut f64, work: impl FnOnce() -> R) -> R {
    let started = Instant::now();
    let result = work();
    *spent += started.elapsed().as_secs_f64();
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_of_a_step_is_operations_over_seconds() {
        let metrics = PartTimes::default().metrics(2.0, 12e9);
        assert_eq!(metrics[1], ("time/gflops", 6.0));
    }

    #[test]
    fn time_adds_up_over_calls() {
        let mut spent = 0.0;
        assert_eq!(timed(&mut spent, || 3), 3);
        let first = spent;
        timed(&mut spent, || std::hint::black_box((0..10_000).sum::<u64>()));
        assert!(first >= 0.0 && spent >= first);
    }
}
