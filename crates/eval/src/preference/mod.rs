//! Which of several models people, or whoever judges, would rather have: win rates of every two, ratings, what length explains.
//!
//! Pure functions of who won: [`Outcomes`] in, a [`PreferenceMatrix`] out. Who answers and who judges is the caller's.

mod length;
mod matrix;
mod outcomes;
mod report;

pub use matrix::{ModelRating, PairPreference, PreferenceMatrix};
pub use outcomes::Outcomes;
pub use report::{JudgeCost, PREFERENCE_SCHEMA, PositionBias, PreferenceModel, PreferenceSettings, PreferenceSummary};
