//! The whole loop: it learns, it keeps the right policy, and an interrupted run ends like an undisturbed one.

mod bandit;
mod interruption;
mod learning;
mod selection;
