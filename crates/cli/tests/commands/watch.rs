//! `rlhf watch` where there is no terminal.

use crate::support::{argument, folder, rlhf};

#[test]
fn without_a_terminal_the_curves_are_printed_once() {
    let dir = folder("watch_once");
    let run = argument(&dir);
    let nothing = rlhf(&["watch", "--run", &run]).printed();
    assert!(nothing.contains("no stage has written metrics yet"), "{nothing}");
    std::fs::create_dir(dir.join("sft")).expect("a new folder");
    let rows = "{\"step\":1,\"loss/train\":2.5}\n{\"step\":2,\"loss/train\":1.25}\n{\"step\":3,\"lo";
    std::fs::write(dir.join("sft/metrics.jsonl"), rows).expect("a file in it");
    for arguments in [&["watch", "--run", &run][..], &["watch", "--once", "--run", &run]] {
        let printed = rlhf(arguments).printed();
        for part in ["sft: step 2", "loss/train", "2.5000", "1.2500"] {
            assert!(printed.contains(part), "{part:?} is not in {printed}");
        }
    }
}
