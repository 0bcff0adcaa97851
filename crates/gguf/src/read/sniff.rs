//! Guesses at what a file is that does not begin as GGUF does.

/// What a file is that begins with `start`, at most some 64 bytes of it.
pub(super) fn other_format(start: &[u8]) -> String {
    let text = String::from_utf8_lossy(start);
    let lower = text.trim_start().to_ascii_lowercase();
    let known = if start.is_empty() {
        "it is empty"
    } else if text.starts_with("version https://git-lfs") {
        "a Git LFS pointer; `git lfs pull` fetches the file itself"
    } else if lower.starts_with("<!doctype") || lower.starts_with("<html") {
        "a page of HTML, so the download was refused or led elsewhere"
    } else if [b"tjgg".as_slice(), b"fmgg", b"lmgg", b"algg"]
        .iter()
        .any(|magic| start.starts_with(magic))
    {
        "an older format of GGML (GGJT, GGMF, GGML or GGLA), which llama.cpp has given up"
    } else if start.get(8) == Some(&b'{') && start[4..8] == [0; 4] {
        "safetensors, which belong in a folder beside config.json"
    } else if start.starts_with(b"PK\x03\x04") || start.starts_with(b"\x80\x02") {
        "weights pickled by PyTorch"
    } else if start.len() < 4 {
        "it ends within its first 4 bytes"
    } else {
        return format!("it begins with {:02x?}, expected the letters GGUF", &start[..4]);
    };
    known.to_owned()
}
