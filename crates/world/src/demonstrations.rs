//! The simulated writers of demonstrations: most write well, all slip now and then.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rlhf_tasks::stream;

use crate::task::Flaw;
use crate::tasks::Manner;

/// A writer's habits.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    pub(crate) id: String,
    /// This writer's share of slips, relative to the others.
    pub(crate) haste: f64,
    pub(crate) manner: Manner,
    /// The flaw this writer is given to.
    pub(crate) weakness: Option<Flaw>,
}

pub(crate) const WRITERS: usize = 12;

/// The writers of a world.
pub(crate) fn writers(seed: u64) -> Vec<Writer> {
    const WEAKNESSES: [Option<Flaw>; 6] = [
        None,
        Some(Flaw::Curt),
        Some(Flaw::Careless),
        None,
        Some(Flaw::Rambling),
        Some(Flaw::Missed),
    ];
    let mut rng = stream(seed, "writers", 0);
    let mut writers: Vec<Writer> = (0..WRITERS)
        .map(|i| Writer {
            id: format!("writer-{i:02}"),
            haste: rng.random_range(0.3..1.7),
            manner: Manner {
                opener: rng.random_range(0.2..0.8),
                closing: rng.random_range(0.4..0.95),
            },
            weakness: WEAKNESSES[i % WEAKNESSES.len()],
        })
        .collect();
    let mean = writers.iter().map(|w| w.haste).sum::<f64>() / WRITERS as f64;
    for writer in &mut writers {
        writer.haste /= mean;
    }
    writers
}

impl Writer {
    /// The flaw with which this writer slips on a task of a kind, if at all, when `share` of all demonstrations are flawed.
    pub(crate) fn slip(&self, rng: &mut ChaCha8Rng, kind: crate::TaskKind, share: f64) -> Option<Flaw> {
        if !rng.random_bool((share * self.haste).clamp(0.0, 1.0)) {
            return None;
        }
        let possible = crate::tasks::flaws(kind);
        match self.weakness {
            Some(weakness) if possible.iter().any(|f| f.0 == weakness) && rng.random_bool(0.5) => Some(weakness),
            _ => Some(crate::tasks::choose_flaw(rng, kind)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_differ_and_slip_as_often_as_asked() {
        let writers = writers(1);
        let mut rng = stream(1, "test", 0);
        let mut slips = 0;
        for i in 0..12_000 {
            let writer = &writers[i % WRITERS];
            slips += usize::from(writer.slip(&mut rng, crate::TaskKind::Fact, 0.3).is_some());
        }
        let share = slips as f64 / 12_000.0;
        assert!((share - 0.3).abs() < 0.02, "{share}");
        assert!(writers.iter().any(|w| w.haste < 0.8) && writers.iter().any(|w| w.haste > 1.2));
    }
}
