//! What the rankings and votes of people say, as pure functions: no file, no clock, no network.
//!
//! - [`agreement`], [`leave_one_out`], [`self_agreement`]: how often people order two answers alike
//! - [`krippendorff_alpha`]: agreement beyond chance of categories, grades and ranks
//! - [`Bias`]: what is preferred for its place or its length
//! - [`ranked_pairs`]: one ranking of several people's (Tideman 1987)
//! - [`bradley_terry`]: strengths of contestants, with errors that do not believe the model
//! - [`Duel`]: whether a new version beats the old one, looked at as often as one likes
//!
//! A [`Vote`] is the smallest thing that everything else is made of: a person's order of some of a prompt's answers. Intervals are 95 % by a
//! bootstrap over prompts, since what people say of one prompt belongs together.
//!
//! ```
//! use rlhf_preference::{Vote, agreement};
//!
//! let vote = |labeler, ranks: [u32; 3]| Vote::of_ranks(0, labeler, &ranks);
//! let found = agreement(&[vote(0, [0, 1, 2]), vote(1, [0, 2, 1]), vote(2, [0, 1, 1])], 1);
//! // Of three pairs two people disagree on one, and the third person ties it.
//! assert_eq!(found.agreement.n, 7);
//! assert!((found.agreement.value - 6.0 / 7.0).abs() < 1e-12);
//! ```

mod agreement;
mod bias;
mod bradley_terry;
mod duel;
mod krippendorff;
mod merge;
mod vote;

pub use agreement::{LabelerAgreement, PairwiseAgreement, agreement, leave_one_out, self_agreement};
pub use bias::Bias;
pub use bradley_terry::{Game, Strength, bradley_terry, ratings};
pub use duel::Duel;
pub use krippendorff::{Scale, krippendorff_alpha};
pub use merge::{majorities, ranked_pairs};
pub use vote::{Opinions, Vote, pair_votes};
