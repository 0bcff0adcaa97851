//! The entries of the metadata, as bytes.

/// Entries one after the other.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    bytes: Vec<u8>,
    count: u64,
}

pub(super) fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

impl Entries {
    /// The bytes, and how many entries they are.
    pub(super) fn finish(self) -> (Vec<u8>, u64) {
        (self.bytes, self.count)
    }

    fn entry(&mut self, key: &str, kind: u32) {
        push_text(&mut self.bytes, key);
        self.bytes.extend(kind.to_le_bytes());
        self.count += 1;
    }

    pub(crate) fn u32(&mut self, key: &str, number: u32) {
        self.entry(key, 4);
        self.bytes.extend(number.to_le_bytes());
    }

    pub(crate) fn f32(&mut self, key: &str, number: f32) {
        self.entry(key, 6);
        self.bytes.extend(number.to_le_bytes());
    }

    pub(crate) fn bool(&mut self, key: &str, flag: bool) {
        self.entry(key, 7);
        self.bytes.push(u8::from(flag));
    }

    pub(crate) fn text(&mut self, key: &str, text: &str) {
        self.entry(key, 8);
        push_text(&mut self.bytes, text);
    }

    fn array(&mut self, key: &str, kind: u32, len: usize) {
        self.entry(key, 9);
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend((len as u64).to_le_bytes());
    }

    pub(crate) fn texts<'t>(&mut self, key: &str, texts: impl ExactSizeIterator<Item = &'t str>) {
        self.array(key, 8, texts.len());
        texts.for_each(|text| push_text(&mut self.bytes, text));
    }

    pub(crate) fn i32s(&mut self, key: &str, numbers: impl ExactSizeIterator<Item = i32>) {
        self.array(key, 5, numbers.len());
        numbers.for_each(|number| self.bytes.extend(number.to_le_bytes()));
    }

    pub(crate) fn f32s(&mut self, key: &str, numbers: impl ExactSizeIterator<Item = f32>) {
        self.array(key, 6, numbers.len());
        numbers.for_each(|number| self.bytes.extend(number.to_le_bytes()));
    }
}
