//! A chat template, rendered for a fixed conversation: it must end, with a text or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rlhf_data::{Chat, ChatTemplate};
use serde_json::json;

fuzz_target!(|source: &str| {
    let Ok(template) = ChatTemplate::new(source, "fuzz") else {
        return;
    };
    let messages = [
        json!({"role": "system", "content": "Be kind."}),
        json!({"role": "user", "content": "  \u{1f469}\u{200d}\u{1f467} How many? "}),
        json!({"role": "assistant", "content": "Two.", "reasoning": "one and one"}),
    ];
    let tools = json!([{"type": "function", "function": {"name": "count", "parameters": {"n": 1.5}}}]);
    let _ = template.render(&Chat::new(&messages));
    let _ = template.text(&Chat {
        tools: Some(&tools),
        ..Chat::prompt(&messages[..2])
    });
});
