//! The names that transformers gives today to tensors that a file calls otherwise.

use super::{Family, Head};

/// Parts of names that come from what a model was wrapped in when it was saved: `torch.compile`, FSDP, activation
/// checkpointing, TRL's models with a value head.
const WRAPPERS: [&str; 4] = [
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
    "pretrained_model",
];
/// The same of DistributedDataParallel, which wraps the whole.
const OUTER_WRAPPER: &str = "module.";
/// Beginnings of the names of heads for other purposes: value heads of TRL, prediction of several tokens.
const OTHER_HEADS: [&str; 2] = ["v_head.", "mtp."];

/// The name that a tensor had before its model was wrapped.
fn unwrapped(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').filter(|part| !WRAPPERS.contains(part)).collect();
    let name = parts.join(".");
    name.strip_prefix(OUTER_WRAPPER).map_or(name.clone(), str::to_owned)
}

/// The names of the embeddings and of the language-model head, which tied models have in one.
pub(crate) fn tied_names(family: Family) -> [String; 2] {
    let names = family.names();
    [
        format!("{}{}.weight", names.trunk, names.tokens),
        format!("{}.weight", names.lm_head),
    ]
}

/// The name that transformers gives today to a tensor called `name` in some checkpoint of the family: older ones lack
/// what stands before the trunk, others were wrapped when they were saved. `None` for a buffer or for a head other than
/// `head`.
pub(crate) fn standard_names(family: Family, head: Head, name: &str) -> Option<String> {
    let names = family.names();
    let name = unwrapped(name);
    let is_buffer = names.buffers.iter().any(|end| name.ends_with(end));
    if is_buffer || OTHER_HEADS.iter().any(|other| name.starts_with(other)) {
        return None;
    }
    let of_lm_head = name
        .strip_prefix(names.lm_head)
        .is_some_and(|rest| rest.starts_with('.'));
    if of_lm_head {
        return (head == Head::Language).then_some(name);
    }
    if name.starts_with("score.") {
        return (head == Head::Scalar).then_some(name);
    }
    if name.starts_with(names.trunk) {
        Some(name)
    } else {
        Some(format!("{}{name}", names.trunk))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_names_get_their_trunk_and_buffers_and_other_heads_are_left_out() {
        let language = |family, name| standard_names(family, Head::Language, name);
        assert_eq!(language(Family::Gpt2, "h.0.attn.bias"), None);
        assert_eq!(
            language(Family::Gpt2, "h.0.ln_1.bias").as_deref(),
            Some("transformer.h.0.ln_1.bias")
        );
        assert_eq!(
            language(Family::GptNeox, "gpt_neox.layers.0.attention.masked_bias"),
            None
        );
        assert_eq!(
            language(Family::GptNeox, "embed_out.weight").as_deref(),
            Some("embed_out.weight")
        );
        assert_eq!(language(Family::Llama, "layers.3.self_attn.rotary_emb.inv_freq"), None);
        assert_eq!(
            language(Family::Llama, "norm.weight").as_deref(),
            Some("model.norm.weight")
        );
        assert_eq!(language(Family::Llama, "score.weight"), None);
        assert_eq!(standard_names(Family::Llama, Head::Scalar, "lm_head.weight"), None);
    }

    #[test]
    fn what_a_model_was_wrapped_in_is_no_part_of_a_name() {
        for (name, expected) in [
            ("_orig_mod.model.norm.weight", "model.norm.weight"),
            ("module.model.norm.weight", "model.norm.weight"),
            ("module._orig_mod.model.norm.weight", "model.norm.weight"),
            (
                "_fsdp_wrapped_module.model.layers.0._checkpoint_wrapped_module.mlp.up_proj.weight",
                "model.layers.0.mlp.up_proj.weight",
            ),
            (
                "model.layers.0._orig_mod.mlp.up_proj.weight",
                "model.layers.0.mlp.up_proj.weight",
            ),
            ("pretrained_model.model.norm.weight", "model.norm.weight"),
            ("model.norm.weight", "model.norm.weight"),
        ] {
            assert_eq!(
                standard_names(Family::Llama, Head::Language, name).as_deref(),
                Some(expected)
            );
        }
        for name in ["v_head.summary.weight", "mtp.fc.weight"] {
            assert_eq!(standard_names(Family::Llama, Head::Language, name), None);
        }
    }
}
