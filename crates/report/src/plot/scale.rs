//! Axes: where numbers lie on them, and which are written beside them.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use crate::number::{percent, tick};

/// Words beside an axis at most.
const TICKS: f64 = 5.0;

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Linear,
    Logarithmic,
    /// Names at 0, 1, … from the top.
    Names(Vec<String>),
}

/// One axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scale {
    kind: Kind,
    low: f64,
    high: f64,
    in_percent: bool,
}

impl Scale {
    /// An axis that holds all finite ones of `values`, with some room at both ends; around 0 if there are none.
    pub(crate) fn linear(values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = ends(values).unwrap_or((0.0, 1.0));
        let room = if high > low {
            0.04 * (high - low)
        } else {
            (0.1 * low.abs()).max(0.5)
        };
        // What is never negative is not shown as if it could be.
        let floor = if low >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        Self::new(Kind::Linear, (low - room).max(floor), high + room)
    }

    /// From `low` to `high`.
    pub(crate) fn exactly(low: f64, high: f64) -> Self {
        Self::new(Kind::Linear, low, high)
    }

    /// A logarithmic axis, if all finite ones of `values` are positive and the largest is at least eight times the smallest: less
    /// than three doublings are read as well on a linear one.
    pub(crate) fn logarithmic(values: impl IntoIterator<Item = f64> + Clone) -> Option<Self> {
        let (low, high) = ends(values)?;
        (low > 0.0 && high >= 8.0 * low).then(|| Self::new(Kind::Logarithmic, low / 1.1, high * 1.1))
    }

    /// An axis of names, the first at the top.
    pub(crate) fn names(names: Vec<String>) -> Self {
        let high = names.len() as f64 - 0.5;
        // Values are 0, -1, … so that the first is uppermost.
        Self::new(Kind::Names(names), -high, 0.5)
    }

    /// Shares, written as percentages.
    pub(crate) fn in_percent(mut self) -> Self {
        self.in_percent = true;
        self
    }

    fn new(kind: Kind, low: f64, high: f64) -> Self {
        Self {
            kind,
            low,
            high,
            in_percent: false,
        }
    }

    /// The place of the name of that number.
    pub(crate) fn place(number: usize) -> f64 {
        -(number as f64)
    }

    /// The axis has a place for the number.
    pub(crate) fn holds(&self, number: f64) -> bool {
        number.is_finite() && (self.low..=self.high).contains(&number)
    }

    /// The number, or the end of the axis that is nearest to it.
    pub(crate) fn nearest(&self, number: f64) -> f64 {
        if number.is_nan() {
            self.low
        } else {
            number.clamp(self.low, self.high)
        }
    }

    /// Ends of the axis.
    pub(crate) fn ends(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    pub(crate) fn is_logarithmic(&self) -> bool {
        self.kind == Kind::Logarithmic
    }

    /// The words at a number.
    pub(crate) fn word(&self, number: f64) -> String {
        match &self.kind {
            Kind::Names(names) => names.get(-number.round() as usize).cloned().unwrap_or_default(),
            _ if self.in_percent => percent(number).replace(".0 %", " %"),
            _ => tick(number),
        }
    }

    fn ticks(&self) -> Vec<f64> {
        match &self.kind {
            Kind::Names(names) => (0..names.len()).map(Self::place).collect(),
            Kind::Linear => linear_ticks(self.low, self.high),
            Kind::Logarithmic => logarithmic_ticks(self.low, self.high),
        }
    }
}

fn ends(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let finite = values.into_iter().filter(|value| value.is_finite());
    finite.fold(None, |ends, value| match ends {
        None => Some((value, value)),
        Some((low, high)) => Some((value.min(low), value.max(high))),
    })
}

/// Multiples of 1, 2 or 5 times a power of ten.
fn linear_ticks(low: f64, high: f64) -> Vec<f64> {
    let least = (high - low) / TICKS;
    let power = 10f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= least * (1.0 - 1e-9))
        .unwrap_or(10.0 * power);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|number| number as f64 * step).collect()
}

/// Powers of ten, or 1, 2 and 5 times them where those would be few.
fn logarithmic_ticks(low: f64, high: f64) -> Vec<f64> {
    let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let of = |factors: &[f64]| -> Vec<f64> {
        powers
            .clone()
            .flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)))
            .filter(|tick| (low..=high).contains(tick))
            .collect()
    };
    let tens = of(&[1.0]);
    if tens.len() < 3 { of(&[1.0, 2.0, 5.0]) } else { tens }
}

impl Ranged for Scale {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let (value, low, high) = match self.kind {
            Kind::Logarithmic => (value.ln(), self.low.ln(), self.high.ln()),
            _ => (*value, self.low, self.high),
        };
        let share = (value - low) / (high - low);
        from + (f64::from(to - from) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Scale {
    fn format_ext(&self, value: &f64) -> String {
        self.word(*value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(scale: &Scale) -> Vec<String> {
        scale.ticks().into_iter().map(|tick| scale.word(tick)).collect()
    }

    #[test]
    fn linear_axes_are_marked_at_round_numbers() {
        assert_eq!(words(&Scale::linear([0.0, 5596.0])), ["0", "2,000", "4,000"]);
        assert_eq!(
            words(&Scale::exactly(0.5, 1.0).in_percent()),
            ["50 %", "60 %", "70 %", "80 %", "90 %", "100 %"]
        );
        assert_eq!(words(&Scale::linear([-1.0, 1.0])), ["−1", "−0.5", "0", "0.5", "1"]);
    }

    #[test]
    fn an_axis_of_one_number_or_none_has_a_width() {
        for scale in [
            Scale::linear([3.0]),
            Scale::linear([0.0]),
            Scale::linear([f64::NAN]),
            Scale::linear([]),
        ] {
            let (low, high) = scale.ends();
            assert!(high > low && !scale.ticks().is_empty(), "{scale:?}");
        }
    }

    #[test]
    fn logarithmic_axes_are_for_numbers_that_span_three_doublings() {
        assert_eq!(Scale::logarithmic([1.0, 2.0]), None);
        assert_eq!(Scale::logarithmic([0.0, 2.0]), None);
        let scale = Scale::logarithmic([0.7, 7.5, f64::NAN]).expect("ten times as large");
        assert_eq!(words(&scale), ["1", "2", "5"]);
        let wide = Scale::logarithmic([1e-4, 1.0]).expect("ten thousand times as large");
        assert_eq!(wide.ticks().len(), 5);
        // ln 1 lies in the middle between ln 0.1 and ln 10.
        assert_eq!(Scale::new(Kind::Logarithmic, 0.1, 10.0).map(&1.0, (0, 100)), 50);
    }

    #[test]
    fn names_stand_from_the_top() {
        let scale = Scale::names(vec!["SFT".into(), "PPO".into()]);
        assert_eq!(words(&scale), ["SFT", "PPO"]);
        // Pixels grow downwards: plotters maps from the lower end of the area.
        assert!(scale.map(&Scale::place(0), (100, 0)) < scale.map(&Scale::place(1), (100, 0)));
    }
}
