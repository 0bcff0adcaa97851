//! Curves of a run as lines that a plot can hold.

use std::collections::BTreeMap;
use std::path::Path;

use rlhf_curves::METRICS_FILE;

use crate::folder::Problem;

/// Points of one metric, in order of steps.
pub(crate) type Points = Vec<(f64, f64)>;
/// Metrics of a stage by name.
pub(crate) type Metrics = BTreeMap<String, Points>;
/// Metrics by stage.
pub(crate) type Curves = BTreeMap<String, Metrics>;

/// Points of a line at most: a phone has no more pixels for them.
const MOST_POINTS: usize = 150;

/// The curves of a run; lines that are no rows are problems. A value that was not finite is a point that is no number.
pub(crate) fn read_curves(path: &Path, problems: &mut Vec<Problem>) -> Curves {
    let read = rlhf_curves::Curves::read(path).unwrap_or_else(|error| {
        problems.push(Problem {
            file: METRICS_FILE.to_owned(),
            what: error.to_string(),
        });
        rlhf_curves::Curves::default()
    });
    let mut curves = Curves::new();
    for (stage, found) in read.stages {
        if let Some(first) = found.faults.first() {
            problems.push(Problem {
                file: format!("{stage}/{METRICS_FILE}"),
                what: format!(
                    "{} of its lines are no rows, the first is line {}: {}",
                    found.n_faults, first.line, first.message
                ),
            });
        }
        let points = |series: rlhf_curves::Series| -> Points {
            let point = |point: &rlhf_curves::Point| (point.step as f64, point.value.unwrap_or(f64::NAN));
            series.points.iter().map(point).collect()
        };
        let metrics = found.series.into_iter().map(|(name, series)| (name, points(series)));
        curves.insert(stage, metrics.collect());
    }
    curves
}

/// A curve with few enough points to draw.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Thinned {
    /// Means of equal numbers of neighbouring points.
    pub(crate) line: Points,
    /// Their steps with the lowest and the highest of these points; empty if every point stands for itself.
    pub(crate) band: Vec<(f64, f64, f64)>,
}

/// A curve of no more than [`MOST_POINTS`] points. Points that are no numbers are left out.
pub(crate) fn thinned(points: &[(f64, f64)]) -> Thinned {
    let points: Points = points
        .iter()
        .copied()
        .filter(|(x, y)| x.is_finite() && y.is_finite())
        .collect();
    if points.len() <= MOST_POINTS {
        return Thinned {
            line: points,
            band: Vec::new(),
        };
    }
    let mut thinned = Thinned::default();
    for part in points.chunks(points.len().div_ceil(MOST_POINTS)) {
        let count = part.len() as f64;
        let x = part.iter().map(|point| point.0).sum::<f64>() / count;
        let y = part.iter().map(|point| point.1).sum::<f64>() / count;
        let low = part.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
        let high = part.iter().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max);
        thinned.line.push((x, y));
        thinned.band.push((x, low, high));
    }
    thinned
}

/// Mean of the points in a part of a curve, `from` and `to` being shares of its points; nothing without a point there.
pub(crate) fn mean_between(points: &[(f64, f64)], from: f64, to: f64) -> Option<f64> {
    let count = points.len() as f64;
    let first = ((from * count).floor() as usize).min(points.len().checked_sub(1)?);
    let last = ((to * count).ceil() as usize).clamp(first + 1, points.len());
    let part: Vec<f64> = (points[first..last].iter())
        .map(|point| point.1)
        .filter(|y| y.is_finite())
        .collect();
    (!part.is_empty()).then(|| part.iter().sum::<f64>() / part.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_curve_becomes_means_with_their_range() {
        // 0, 1, 0, 1, …
        let points: Points = (0..600).map(|step| (f64::from(step), f64::from(step % 2))).collect();
        let thinned = thinned(&points);
        assert_eq!(thinned.line.len(), 150);
        // Steps 0 to 3 with values 0, 1, 0, 1.
        assert_eq!((thinned.line[0], thinned.band[0]), ((1.5, 0.5), (1.5, 0.0, 1.0)));
    }

    #[test]
    fn a_short_curve_stays_as_it_is_without_what_is_no_number() {
        let found = thinned(&[(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0)]);
        assert_eq!((found.line, found.band), (vec![(0.0, 1.0), (2.0, 3.0)], Vec::new()));
    }

    #[test]
    fn the_mean_of_a_part_is_of_its_points() {
        let points: Points = (0..10).map(|step| (f64::from(step), f64::from(step))).collect();
        assert_eq!(mean_between(&points, 0.9, 1.0), Some(9.0));
        assert_eq!(mean_between(&points, 0.0, 0.2), Some(0.5));
        assert_eq!(mean_between(&points[..1], 0.9, 1.0), Some(0.0));
        assert_eq!(mean_between(&[], 0.0, 1.0), None);
        assert_eq!(mean_between(&[(0.0, f64::NAN)], 0.0, 1.0), None);
    }
}
