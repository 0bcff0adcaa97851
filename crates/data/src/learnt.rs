//! Answers that a demonstration has and that are not to be learnt, in the spellings of those who write such rows.

use serde_json::Value;

use crate::error::Result;
use crate::row::{Row, flag};
use crate::types::{Message, Role};

/// Fields of an answer that say whether it is learnt: OpenAI's and Mistral's `weight`, Axolotl's `train` and `training`,
/// ms-swift's `loss`, the `loss_mask` of several, torchtune's `masked`; with what 1 or true stands for.
const FIELDS: [(&str, bool); 8] = [
    ("weight", true),
    ("train", true),
    ("training", true),
    ("trainable", true),
    ("loss", true),
    ("loss_mask", true),
    ("step_loss_mask", true),
    ("masked", false),
];

/// Fields that say so of parts of an answer, or of which nobody can tell what 1 stands for.
const NOT_READ: [&str; 3] = ["mask", "train_detail", "training_detail"];

const EXPECTED: &str = "true or false, 1 or 0: an answer is learnt or it is not";

impl Row {
    /// A conversation with answers, of which those are marked that are not to be learnt: the row says so, or they say nothing.
    ///
    /// # Errors
    /// An answer that is to be learnt in part, or with a weight; and those of [`Row::conversation`].
    pub(crate) fn demonstrated(&self) -> Result<Vec<Message>> {
        let mut messages = self.conversation()?;
        for field in ["messages", "prompt", "completion"] {
            let items = self.get(field).and_then(Value::as_array);
            for (index, item) in items.into_iter().flatten().enumerate() {
                if item["role"] == Role::Assistant.as_str() {
                    self.is_learnt(&format!("{field}[{index}]"), item)?;
                }
            }
        }
        for message in &mut messages {
            let says_nothing =
                message.role == Role::Assistant && message.content.trim().is_empty() && message.reasoning.is_none();
            message.learnt &= !says_nothing;
        }
        Ok(messages)
    }

    /// True if an answer is to be learnt.
    pub(crate) fn is_learnt(&self, place: &str, item: &Value) -> Result<bool> {
        let get = |field: &str| item.get(field).filter(|value| !value.is_null());
        for field in NOT_READ {
            if let Some(found) = get(field) {
                let expected = "nothing: `weight` says, with 0 or 1, whether an answer is learnt";
                return Err(self.wrong(format!("{place}.{field}"), expected, Some(found)));
            }
        }
        let mut said: Option<(&str, bool)> = None;
        for (field, means_learnt) in FIELDS {
            let Some(value) = get(field) else { continue };
            let Some(flag) = flag(value) else {
                return Err(self.wrong(format!("{place}.{field}"), EXPECTED, Some(value)));
            };
            let learnt = flag == means_learnt;
            match said {
                Some((other, before)) if before != learnt => {
                    let expected = format!("what `{other}` beside it says");
                    return Err(self.wrong(format!("{place}.{field}"), expected, Some(value)));
                }
                _ => said = Some((field, learnt)),
            }
        }
        Ok(said.is_none_or(|(_, learnt)| learnt))
    }

    /// False if the `weight` of the whole row is 0.
    ///
    /// # Errors
    /// A weight that is neither 0 nor 1.
    pub(crate) fn has_weight(&self) -> Result<bool> {
        match self.get("weight") {
            Some(weight @ (Value::Number(_) | Value::Bool(_))) => {
                let expected = "1 or 0: a row is learnt or it is not (the weight of a file is that of its source)";
                flag(weight).ok_or_else(|| self.wrong("weight", expected, Some(weight)))
            }
            // Something else by the same name.
            _ => Ok(true),
        }
    }
}
