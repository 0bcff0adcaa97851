//! Memory that a stage is going to need.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::params::trained_flags;

/// Bytes of an `f32`.
pub const F32: u64 = 4;

/// Bytes in use at one moment of a stage, by what they are for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryForecast {
    /// Parameters of all models, copies that are kept for later included.
    pub weights: u64,
    /// Gradients of parameters.
    pub gradients: u64,
    /// Moments of the optimiser.
    pub optimizer: u64,
    /// Tensors that a pass through a network leaves between its layers, and those that the layers need while they work.
    pub activations: u64,
    /// Keys and values of answers that are being written.
    pub cache: u64,
}

impl MemoryForecast {
    /// The parts with their names.
    pub fn parts(&self) -> [(&'static str, u64); 5] {
        [
            ("weights", self.weights),
            ("gradients", self.gradients),
            ("optimizer", self.optimizer),
            ("activations", self.activations),
            ("cache", self.cache),
        ]
    }

    /// All parts together.
    pub fn total(&self) -> u64 {
        self.parts().iter().map(|(_, bytes)| bytes).sum()
    }

    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            weights: self.weights + other.weights,
            gradients: self.gradients + other.gradients,
            optimizer: self.optimizer + other.optimizer,
            activations: self.activations + other.activations,
            cache: self.cache + other.cache,
        }
    }

    /// The one of several moments at which most is in use.
    pub fn highest(moments: impl IntoIterator<Item = Self>) -> Self {
        moments.into_iter().max_by_key(Self::total).unwrap_or_default()
    }
}

/// Bytes of the parameters of a module.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ParameterBytes {
    /// All of them.
    pub all: u64,
    /// Those that are not frozen.
    pub trained: u64,
    /// The largest of those.
    pub largest_trained: u64,
}

impl ParameterBytes {
    /// Counts, and looks at no value: a module whose parameters were not filled in yet will do.
    pub fn of<M: Module>(module: &M) -> Self {
        struct Sizes(Vec<u64>);
        impl ModuleVisitor for Sizes {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let (dims, dtype) = (param.val().dims(), param.val().dtype());
                self.0.push((dims.iter().product::<usize>() * dtype.size()) as u64);
            }
        }
        let mut sizes = Sizes(Vec::new());
        module.visit(&mut sizes);
        let mut bytes = Self::default();
        for (size, trained) in sizes.0.into_iter().zip(trained_flags(module)) {
            bytes.all += size;
            if trained {
                bytes.trained += size;
                bytes.largest_trained = bytes.largest_trained.max(size);
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_moment_is_the_one_with_the_largest_sum() {
        let backward = MemoryForecast {
            weights: 10,
            activations: 7,
            ..MemoryForecast::default()
        };
        let sampling = MemoryForecast {
            weights: 10,
            activations: 1,
            cache: 8,
            ..MemoryForecast::default()
        };
        assert_eq!(MemoryForecast::highest([backward, sampling]), sampling);
        assert_eq!(sampling.total(), 19);
        assert_eq!(MemoryForecast::highest([]), MemoryForecast::default());
    }
}
