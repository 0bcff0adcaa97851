//! Chat templates: a conversation to the text that a model was taught to read, as transformers renders it.
//!
//! A template is Jinja with what transformers adds: see [`ChatTemplate`]. What it renders says which characters are the
//! assistant's, from its `{% generation %}` blocks, or from what each answer adds to the text before it.

mod answers;
mod clock;
mod json;
mod literal;
mod load;
mod python;
mod rewrite;
mod template;

pub use answers::Rendered;
pub use clock::Clock;
pub(crate) use load::{TEMPLATE, TOOL_USE};
pub use template::{Chat, ChatTemplate};
