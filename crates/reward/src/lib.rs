//! K-wise reward modelling on ranked completions.
