//! Black-box tests of the `rlhf` binary: what it prints, what it refuses, and how it says so.
//!
//! `support` runs the binary and makes small models; `arguments`, `configuration`, `rows`, `inspect` and `stages` hold
//! what users get wrong; `numbers` compares with PyTorch; `generation` and `chat` let a model speak; `template` shows how
//! conversations are written; `merge` merges adapters; `init` writes configurations; `likelihood` evaluates by log-likelihood; `gguf` reads and writes files of llama.cpp; `summaries` scores summaries; `watch` prints curves; `report` writes pages of runs; `reward_evaluation` measures
//! reward models; `hub` names models and data by `hf://…`, with the server of the hub's
//! own tests.

mod arguments;
mod chat;
mod configuration;
mod generation;
mod gguf;
mod hub;
mod init;
mod inspect;
mod labels;
mod likelihood;
mod merge;
mod numbers;
mod report;
mod reward_evaluation;
mod rows;
#[path = "../../../hub/tests/support/mod.rs"]
mod server;
mod stages;
mod summaries;
mod support;
mod template;
mod watch;
