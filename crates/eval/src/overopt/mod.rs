//! Over-optimisation: what is optimised, the proxy, beside what was meant, the gold score, as a model moves away from the one it began as
//! (Gao, Schulman and Hilton 2022, arXiv 2210.10760).

mod best_of_n;
mod fit;
mod report;

pub use best_of_n::{BestOfN, best_of_n_weights};
pub use fit::{Fit, Form};
pub use report::{OVEROPT_SCHEMA, Overopt, OveroptFit, OveroptPeak, PolicyPoint, ProxyAndGold, SampledPrompt};
