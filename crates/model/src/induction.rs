//! Random weights among which a way to copy from the context already works.
//!
//! A model learns to look up what its text said before through two heads in succession: one attends to the token before
//! each token, and a later one attends to where the present token stood before, and so finds what followed it (an
//! induction head; Olsson et al. 2022, arXiv 2209.11895). In training such a pair appears suddenly and late, for neither
//! half is of use alone; a model of a million parameters that reads a few million tokens may never come to it. Here the
//! pair is written into the first weights, as mimetic initialisation writes in what trained attention looks like
//! (Trockman and Kolter 2023, arXiv 2305.09828). Training keeps of it what the text rewards.
//!
//! For the pair to be exact, the first `d_head` features tell the place of a token and the others which token it is, all
//! tokens have embeddings of one length, and nothing else writes into the residual stream: layers that do so start at 0.
//! Embeddings are large beside what one step of the optimiser adds, or the first hundred steps, which teach how common
//! each token is, would leave little of what tells rare tokens apart. Hence the head cannot be tied to them.

use burn::tensor::Device;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rlhf_config::ConfigErrors;
use rlhf_core::{NamedTensor, TensorMap, load_parameters, named_parameters};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::Gpt2Config;
use crate::heads::CausalLm;
use crate::layers::normal;

/// Standard deviation of the embeddings of tokens and places.
const EMBEDDING_STD: f32 = 3.0;
/// By how much the score of the token before exceeds that of a token's own place, in nats.
const LOOK_BACK_NATS: f32 = 10.0;
/// Score of a token that the present one follows or followed, over that of others, in nats.
const MATCH_NATS: f32 = 22.0;
/// Strength with which the copied token is written, in units of its own embedding.
const COPY: f32 = 4.0;

/// Initial weights of a model that is trained from nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WeightInit {
    /// Every weight drawn alike, the head tied to the token embedding: GPT-2's way.
    #[default]
    Gpt2,
    /// A pair of heads that copy from the context among them, and a head of its own.
    Induction,
}

impl WeightInit {
    /// True if the head is the token embedding.
    pub fn ties_head(self) -> bool {
        self == Self::Gpt2
    }

    /// Reasons that a model of this shape cannot start so; paths are those of its configuration.
    pub fn validate(self, config: &Gpt2Config) -> ConfigErrors {
        let mut errors = ConfigErrors::new();
        if self == Self::Gpt2 {
            return errors;
        }
        errors.check(!config.tie_word_embeddings, "tie_word_embeddings", || {
            "true, expected a head of its own".to_owned()
        });
        errors.check(config.n_layer >= 2, "n_layer", || {
            format!("expected at least 2, found {}", config.n_layer)
        });
        let d_head = d_head(config);
        if !d_head.is_multiple_of(4) || 2 * d_head > config.n_embd {
            let message = format!("heads of width {d_head}, expected a multiple of 4 and at most half of n_embd");
            errors.push("n_head", message);
        }
        errors
    }

    /// A model with random weights; the same seed gives the same weights on every device.
    ///
    /// # Panics
    /// If [`WeightInit::validate`] names a fault.
    pub fn model(self, config: &Gpt2Config, seed: u64, device: &Device) -> CausalLm {
        let errors = self.validate(config);
        assert!(errors.is_empty(), "{errors}");
        let model = CausalLm::init(&config.clone().into(), seed, device);
        if self == Self::Gpt2 {
            return model;
        }
        let circuit = Circuit::new(config, seed);
        let mut tensors: TensorMap = named_parameters(&model)
            .into_iter()
            .map(|mut tensor| {
                circuit.plant(&mut tensor);
                (tensor.name, (tensor.shape, tensor.values))
            })
            .collect();
        load_parameters(model, &mut tensors).expect("the parameters are those of the model itself")
    }
}

/// Width of a head.
fn d_head(config: &Gpt2Config) -> usize {
    config.n_embd / config.n_head.max(1)
}

/// The pair of heads, and the directions in which they read and write.
struct Circuit {
    d_model: usize,
    d_head: usize,
    n_positions: usize,
    head_std: f32,
    /// The token itself: read as value by the first head and as query by the second.
    token: Frame,
    /// The token before: written by the first head, read as key by the second.
    previous: Frame,
    /// The token that is copied.
    copied: Frame,
    embeddings: Vec<f32>,
}

/// `d_head` orthonormal directions among the features that tell tokens apart, `[d_model, d_head]`.
struct Frame(Vec<f32>);

impl Frame {
    fn random(d_model: usize, d_head: usize, rng: &mut ChaCha8Rng) -> Self {
        let mut columns: Vec<Vec<f32>> = Vec::with_capacity(d_head);
        for _ in 0..d_head {
            let mut column = vec![0.0; d_head];
            column.extend(normal(d_model - d_head, 1.0, rng));
            for other in &columns {
                let overlap = dot(&column, other);
                column.iter_mut().zip(other).for_each(|(x, o)| *x -= overlap * o);
            }
            set_norm(&mut column, 1.0);
            columns.push(column);
        }
        let entry = |row: usize, k: usize| columns[k][row];
        Self((0..d_model * d_head).map(|i| entry(i / d_head, i % d_head)).collect())
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn set_norm(vector: &mut [f32], norm: f32) {
    let scale = norm / dot(vector, vector).sqrt();
    vector.iter_mut().for_each(|x| *x *= scale);
}

impl Circuit {
    fn new(config: &Gpt2Config, seed: u64) -> Self {
        let (d_model, d_head) = (config.n_embd, d_head(config));
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(1);
        let mut embeddings = normal(config.vocab_size * d_model, 1.0, &mut rng);
        for row in embeddings.chunks_exact_mut(d_model) {
            row[..d_head].fill(0.0);
            set_norm(row, EMBEDDING_STD * ((d_model - d_head) as f32).sqrt());
        }
        let [token, previous, copied] = [(); 3].map(|()| Frame::random(d_model, d_head, &mut rng));
        Self {
            d_model,
            d_head,
            n_positions: config.n_positions,
            head_std: config.initializer_range as f32,
            token,
            previous,
            copied,
            embeddings,
        }
    }

    /// Writes the part of the circuit that belongs into a parameter.
    fn plant(&self, tensor: &mut NamedTensor) {
        let values = &mut tensor.values;
        match tensor.name.as_str() {
            "transformer.wte.weight" => values.clone_from(&self.embeddings),
            "transformer.wpe.weight" => self.places(values),
            "transformer.h.0.attn.c_attn.weight" => self.look_back(values),
            "transformer.h.1.attn.c_attn.weight" => self.look_up(values),
            "transformer.h.0.attn.c_proj.weight" => self.write(values, &self.previous, 1.0),
            "transformer.h.1.attn.c_proj.weight" => self.write(values, &self.copied, COPY),
            // What was copied raises the logit of that token.
            "lm_head.weight" => {
                values.clone_from(&self.embeddings);
                values.iter_mut().for_each(|x| *x *= self.head_std / EMBEDDING_STD);
            }
            name if name.ends_with("c_proj.weight") => values.fill(0.0),
            _ => {}
        }
    }

    /// Radians a token of the wave that a place feature belongs to: from 1 down to one in as many tokens as there are places.
    fn frequency(&self, feature: usize) -> f32 {
        let waves = (self.d_head / 4) as f32;
        (self.n_positions as f32).powf(-((feature / 4) as f32) / waves)
    }

    /// The place of each token, `[n_positions, d_model]`: of each wave sine and cosine and both once more with the other
    /// sign, so that every place has mean 0 and one norm, which layer norm then leaves alone.
    fn places(&self, values: &mut [f32]) {
        let amplitude = EMBEDDING_STD * std::f32::consts::SQRT_2;
        for (place, row) in values.chunks_exact_mut(self.d_model).enumerate() {
            row.fill(0.0);
            for (feature, value) in row[..self.d_head].iter_mut().enumerate() {
                let (sin, cos) = (place as f32 * self.frequency(feature)).sin_cos();
                *value = amplitude * [sin, cos, -sin, -cos][feature % 4];
            }
        }
    }

    /// The first head of the first layer: its query is the place turned back by one token, its key the place, its value the
    /// token. Low frequencies, which tell neighbours less apart, count less.
    fn look_back(&self, values: &mut [f32]) {
        let weight = |feature: usize| 2f32.powf(-((feature / 4) as f32) / 2.0);
        // With layer norm each wave contributes 4 cos(frequency * distance) to the product of two places.
        let margin: f32 = (0..self.d_head)
            .map(|feature| weight(feature) * (1.0 - self.frequency(feature).cos()))
            .sum();
        let gain = LOOK_BACK_NATS * (self.d_head as f32).sqrt() / margin;
        for feature in 0..self.d_head {
            let (sin, cos) = self.frequency(feature).sin_cos();
            let strength = (gain * weight(feature)).sqrt();
            // sin(a - f) = sin a cos f - cos a sin f, and cos(a - f) = cos a cos f + sin a sin f.
            let partner = feature ^ 1;
            let turn = if feature.is_multiple_of(2) { -sin } else { sin };
            for row in 0..self.d_head {
                let query = match row {
                    _ if row == feature => cos,
                    _ if row == partner => turn,
                    _ => 0.0,
                };
                let key = f32::from(u8::from(row == feature));
                self.set(values, row, feature, [strength * query, strength * key, 0.0]);
            }
        }
        for row in self.d_head..self.d_model {
            for k in 0..self.d_head {
                self.set(values, row, k, [0.0, 0.0, self.token.0[row * self.d_head + k]]);
            }
        }
    }

    /// The first head of the second layer: its query is the present token, its key the token before each place, its value
    /// the token at that place.
    fn look_up(&self, values: &mut [f32]) {
        let gain = (MATCH_NATS / (self.d_head as f32).sqrt()).sqrt();
        for row in 0..self.d_model {
            for k in 0..self.d_head {
                let i = row * self.d_head + k;
                let qkv = [gain * self.token.0[i], gain * self.previous.0[i], self.copied.0[i]];
                self.set(values, row, k, qkv);
            }
        }
    }

    /// Query, key and value weight of the first head, in `[d_model, 3 * d_model]`.
    fn set(&self, values: &mut [f32], row: usize, k: usize, qkv: [f32; 3]) {
        for (part, value) in qkv.into_iter().enumerate() {
            values[(row * 3 + part) * self.d_model + k] = value;
        }
    }

    /// Output matrix `[d_model, d_model]` of the first head into the residual stream; the others write nothing yet.
    fn write(&self, values: &mut [f32], frame: &Frame, strength: f32) {
        values.fill(0.0);
        for row in 0..self.d_model {
            for k in 0..self.d_head {
                values[k * self.d_model + row] = strength * EMBEDDING_STD * frame.0[row * self.d_head + k];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::sequence_logprobs;
    use rand::seq::index::sample;

    fn config() -> Gpt2Config {
        Gpt2Config {
            vocab_size: 200,
            n_positions: 64,
            n_embd: 96,
            n_layer: 3,
            n_head: 4,
            initializer_range: 0.06,
            tie_word_embeddings: false,
            ..Gpt2Config::default()
        }
    }

    /// Mean log-probability of random tokens, and of the same tokens once more right after them.
    fn first_and_again(init: WeightInit) -> [f32; 2] {
        let device = Device::flex();
        let model = init.model(&config(), 1, &device);
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let sequences: Vec<Vec<u32>> = (0..16)
            .map(|_| {
                let once: Vec<u32> = sample(&mut rng, 200, 24).iter().map(|id| id as u32).collect();
                once.repeat(2)
            })
            .collect();
        let logprobs = sequence_logprobs(&model, &sequences, &[1; 16], 1.0, 4096).logprobs;
        // Entry t is the token t + 1; 23 is the first of the second time, which nothing foretells.
        [0..23, 24..47].map(|range| {
            let sum: f32 = logprobs.iter().flat_map(|row| &row[range.clone()]).sum();
            sum / (16.0 * 23.0)
        })
    }

    #[test]
    fn an_untrained_model_repeats_what_it_has_just_read() {
        let [first, again] = first_and_again(WeightInit::Induction);
        assert!(first < -5.0 && again > first + 1.5, "{first} {again}");
    }

    #[test]
    fn without_the_circuit_it_does_not() {
        let [first, again] = first_and_again(WeightInit::Gpt2);
        assert!((again - first).abs() < 0.5, "{first} {again}");
    }

    #[test]
    fn how_alike_two_places_are_depends_on_their_distance_alone() {
        let config = config();
        let circuit = Circuit::new(&config, 1);
        let mut places = vec![1.0; config.n_positions * config.n_embd];
        circuit.places(&mut places);
        let alike = |p: usize, q: usize| {
            let row = |p: usize| &places[p * config.n_embd..][..config.n_embd];
            dot(row(p), row(q)) / (EMBEDDING_STD * EMBEDDING_STD)
        };
        // A row has d_head features of mean square 1.
        assert!((alike(0, 0) - 24.0).abs() < 1e-3, "{}", alike(0, 0));
        for distance in 0..20 {
            for p in 0..40 {
                assert!(
                    (alike(0, distance) - alike(p, p + distance)).abs() < 1e-3,
                    "{p} {distance}"
                );
            }
        }
        assert!(alike(7, 7) > alike(7, 8) + 1.0);
    }

    #[test]
    fn the_first_head_looks_back_by_one_token() {
        let config = config();
        let circuit = Circuit::new(&config, 1);
        let (d_model, d_head) = (config.n_embd, d_head(&config));
        let mut places = vec![0.0; config.n_positions * d_model];
        circuit.places(&mut places);
        let mut weights = vec![0.0; 3 * d_model * d_model];
        circuit.look_back(&mut weights);
        let project = |place: usize, part: usize, k: usize| -> f32 {
            (0..d_model)
                .map(|row| places[place * d_model + row] / EMBEDDING_STD * weights[(row * 3 + part) * d_model + k])
                .sum()
        };
        let score = |query: usize, key: usize| -> f32 {
            let product: f32 = (0..d_head).map(|k| project(query, 0, k) * project(key, 1, k)).sum();
            product / (d_head as f32).sqrt()
        };
        for place in [1, 5, 30, 63] {
            let before = score(place, place - 1);
            assert!((before - score(place, place) - LOOK_BACK_NATS).abs() < 1e-2);
            assert!(
                (0..=place).all(|key| key + 1 == place || score(place, key) < before - 1.0),
                "{place}"
            );
        }
    }

    #[test]
    fn a_shape_without_room_for_the_circuit_is_refused_by_field() {
        let shallow = Gpt2Config {
            n_layer: 1,
            n_head: 1,
            tie_word_embeddings: true,
            ..config()
        };
        let errors = WeightInit::Induction.validate(&shallow);
        let fields: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
        assert_eq!(fields, ["tie_word_embeddings", "n_layer", "n_head"]);
        assert!(WeightInit::Gpt2.validate(&shallow).is_empty());
    }
}
