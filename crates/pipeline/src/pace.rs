//! Speed of a stage, beside the ceiling of the machine.

use std::path::Path;
use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use rlhf_core::stats::median;
use rlhf_core::{MetricRow, read_metrics, to_host};

use crate::error::Result;

/// The parts of a step by the name of their metric, for optimiser steps and for updates of PPO.
const PARTS: [(&str, &str); 5] = [
    ("forward", "time/forward_s"),
    ("backward", "time/backward_s"),
    ("optimizer", "time/optimizer_s"),
    ("rollout", "time/rollout_s"),
    ("update", "time/update_s"),
];

/// The pace of a stage that trained, as the metrics in `path` have it: tokens per second, share of the machine's matrix products,
/// where the time went. Nothing for a stage without steps.
///
/// # Errors
/// Metrics that cannot be read.
pub(crate) fn pace(path: &Path, device: &Device) -> Result<Option<String>> {
    if !path.exists() {
        return Ok(None);
    }
    let rows = read_metrics(path)?;
    Ok(describe(&rows, || ceiling_gflops(device)))
}

fn describe(rows: &[MetricRow], ceiling: impl FnOnce() -> f64) -> Option<String> {
    let column = |name: &str| -> Vec<f64> {
        let value = |row: &MetricRow| row.values.get(name).copied().flatten();
        rows.iter().filter_map(value).collect()
    };
    let rates = column("time/tokens_per_s");
    if rates.is_empty() {
        return None;
    }
    let mut words = vec![format!("{:.0} tokens/s", median(&rates))];
    let gflops = column("time/gflops");
    if !gflops.is_empty() {
        let (rate, ceiling) = (median(&gflops), ceiling());
        let share = 100.0 * rate / ceiling;
        words.push(format!("{rate:.0} of {ceiling:.0} GFLOP/s ({share:.0} %)"));
    }
    let seconds: Vec<(&str, f64)> = PARTS
        .iter()
        .map(|&(part, metric)| (part, column(metric).iter().sum::<f64>()))
        .filter(|part| part.1 > 0.0)
        .collect();
    let parts: f64 = seconds.iter().map(|part| part.1).sum();
    // Steps of one kind have no duration of their own beside their parts.
    let whole = column("time/step_s").iter().sum::<f64>().max(parts);
    let mut shares: Vec<String> = seconds
        .iter()
        .map(|(part, seconds)| format!("{part} {:.0} %", 100.0 * seconds / whole))
        .collect();
    if whole > parts {
        shares.push(format!("data {:.0} %", 100.0 * (whole - parts) / whole));
    }
    words.push(shares.join(", "));
    Some(words.join("; "))
}

/// Rate of a large product of matrices on a device, the best of some, in GFLOP/s: what no step can exceed.
pub fn ceiling_gflops(device: &Device) -> f64 {
    const DIMS: [usize; 3] = [4096, 256, 1024];
    let [rows, inner, columns] = DIMS;
    let random = |dims: [usize; 2]| Tensor::<2>::random(dims, Distribution::Default, device);
    let (a, b) = (random([rows, inner]), random([inner, columns]));
    let mut best = f64::INFINITY;
    for _ in 0..12 {
        let started = Instant::now();
        let product = rlhf_kernels::linear(a.clone(), b.clone(), None);
        // Reading one number waits for all of them.
        let _ = to_host(product.slice([0..1, 0..1]));
        best = best.min(started.elapsed().as_secs_f64());
    }
    2.0 * (rows * inner * columns) as f64 / best / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[(&str, f64)]) -> MetricRow {
        MetricRow {
            step: 1,
            values: values
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Some(*value)))
                .collect(),
        }
    }

    #[test]
    fn optimiser_steps_and_updates_of_ppo_each_say_where_their_time_went() {
        let step = row(&[
            ("time/tokens_per_s", 100.0),
            ("time/gflops", 30.0),
            ("time/step_s", 2.0),
            ("time/forward_s", 0.5),
            ("time/backward_s", 1.2),
            ("time/optimizer_s", 0.1),
        ]);
        let validation = row(&[("loss/validation", 1.0)]);
        assert_eq!(
            describe(&[validation.clone(), step], || 60.0).unwrap(),
            "100 tokens/s; 30 of 60 GFLOP/s (50 %); forward 25 %, backward 60 %, optimizer 5 %, data 10 %"
        );
        let update = row(&[
            ("time/tokens_per_s", 10.0),
            ("time/gflops", 6.0),
            ("time/rollout_s", 1.0),
            ("time/update_s", 3.0),
        ]);
        assert_eq!(
            describe(std::slice::from_ref(&update), || 10.0).unwrap(),
            "10 tokens/s; 6 of 10 GFLOP/s (60 %); rollout 25 %, update 75 %"
        );
        let mut uncounted = update;
        uncounted.values.remove("time/gflops");
        assert_eq!(
            describe(&[uncounted], || unreachable!("nothing to compare")).unwrap(),
            "10 tokens/s; rollout 25 %, update 75 %"
        );
        assert_eq!(describe(&[validation], || 60.0), None);
    }
}
