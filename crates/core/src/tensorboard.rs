//! TensorBoard event files: protobuf messages by hand, in TFRecord frames.
//!
//! Field numbers are those of TensorFlow's `event.proto` and `summary.proto`; only scalars are written.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::error::{Error, Result};

/// Begins the name of every event file; TensorBoard looks for it.
const PREFIX: &str = "events.out.tfevents.";

/// One event file, written scalar by scalar.
#[derive(Debug)]
pub(crate) struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Starts a new event file in `dir`. With `restarted_at`, it tells TensorBoard to forget that step and later ones
    /// of the files before it.
    pub(crate) fn create(dir: &Path, restarted_at: Option<u64>) -> Result<Self> {
        // TensorBoard reads the files in the order of their names: the time, then a number within one second.
        let path = dir.join(format!(
            "{PREFIX}{:010}.{:04}.rlhf",
            now().as_secs(),
            event_files(dir)?.len()
        ));
        let file = File::create_new(&path).map_err(|e| Error::io("create", &path, e))?;
        let mut events = Self { path, file };
        events.write(0, |event| put_bytes(event, 3, b"brain.Event:2"))?; // file_version
        if let Some(step) = restarted_at {
            events.write(step, |event| put_bytes(event, 7, &[0x08, 1]))?; // session_log { status: START }
        }
        Ok(events)
    }

    /// Writes the values of one step.
    pub(crate) fn scalars(&mut self, step: u64, values: &[(&str, f64)]) -> Result<()> {
        let mut summary = Vec::new();
        for (name, value) in values {
            let mut entry = Vec::new();
            put_bytes(&mut entry, 1, name.as_bytes()); // tag
            put_tag(&mut entry, 2, 5); // simple_value, a 32-bit float
            entry.extend((*value as f32).to_le_bytes());
            put_bytes(&mut summary, 1, &entry); // value
        }
        self.write(step, |event| put_bytes(event, 5, &summary)) // summary
    }

    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|e| Error::io("sync", &self.path, e))
    }

    fn write(&mut self, step: u64, fill: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let mut event = Vec::new();
        put_tag(&mut event, 1, 1); // wall_time, a 64-bit float
        event.extend(now().as_secs_f64().to_le_bytes());
        put_tag(&mut event, 2, 0); // step
        put_varint(&mut event, step);
        fill(&mut event);
        self.file
            .write_all(&frame(&event))
            .map_err(|e| Error::io("write", &self.path, e))
    }
}

/// The event files of `dir`.
pub(crate) fn event_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| Error::io("list", dir, e))? {
        let entry = entry.map_err(|e| Error::io("list", dir, e))?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn now() -> std::time::Duration {
    // A clock before 1970 is no reason to stop a run.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn put_tag(out: &mut Vec<u8>, field: u64, wire_type: u64) {
    put_varint(out, field << 3 | wire_type);
}

fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_tag(out, field, 2);
    put_varint(out, bytes.len() as u64);
    out.extend(bytes);
}

/// Seven bits a byte, the lowest first; the top bit says that more follow.
fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A TFRecord: length, its checksum, data, their checksum.
fn frame(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend(length);
    record.extend(masked_crc32c(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked_crc32c(data).to_le_bytes());
    record
}

/// TFRecord rotates checksums and adds a constant, so that a checksum of data holding checksums stays meaningful.
fn masked_crc32c(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32 with Castagnoli's polynomial, reflected.
fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0_u32; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut crc = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
                bit += 1;
            }
            table[byte] = crc;
            byte += 1;
        }
        table
    };
    !bytes
        .iter()
        .fold(!0, |crc, &byte| crc >> 8 ^ TABLE[(crc as u8 ^ byte) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_the_published_ones() {
        // RFC 3720, appendix B.4, and the check value of the CRC catalogue.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        // What TensorBoard 2 computes for the same bytes.
        assert_eq!(masked_crc32c(b"123456789"), 0xc78a_b0e5);
    }

    #[test]
    fn a_scalar_event_is_encoded_field_by_field() {
        let dir = tempfile::tempdir().unwrap();
        let mut events = EventFile::create(dir.path(), None).unwrap();
        events.scalars(300, &[("lr", 0.5)]).unwrap();
        let bytes = fs::read(&events.path).unwrap();
        // First record: 8 + 4 + (9 wall time + 2 step + 15 file version) + 4.
        let (first, second) = bytes.split_at(8 + 4 + 26 + 4);
        assert!(first[12 + 11..].starts_with(b"\x1a\x0dbrain.Event:2"));
        let event = &second[12..second.len() - 4];
        assert_eq!(&second[..8], (event.len() as u64).to_le_bytes());
        assert_eq!(event[0], 0x09);
        // step: 300 = 0b10_0101100; summary of 11 bytes holding one value of 9: tag "lr", simple_value 0.5.
        let rest = [
            0x10, 0xac, 0x02, 0x2a, 11, 0x0a, 9, 0x0a, 2, b'l', b'r', 0x15, 0, 0, 0, 0x3f,
        ];
        assert_eq!(&event[9..], rest);
        assert_eq!(&second[second.len() - 4..], masked_crc32c(event).to_le_bytes());
    }

    #[test]
    fn a_restart_tells_tensorboard_from_which_step_on_to_forget() {
        let dir = tempfile::tempdir().unwrap();
        let events = EventFile::create(dir.path(), Some(4)).unwrap();
        let bytes = fs::read(&events.path).unwrap();
        // After the first record: frame head 12, wall time 9, then step 4 and session_log { status: START }.
        assert_eq!(bytes[42 + 12 + 9..bytes.len() - 4], [0x10, 4, 0x3a, 2, 0x08, 1]);
    }

    #[test]
    fn files_of_the_same_second_have_names_in_the_order_they_were_made() {
        let dir = tempfile::tempdir().unwrap();
        let first = EventFile::create(dir.path(), None).unwrap();
        let second = EventFile::create(dir.path(), Some(4)).unwrap();
        assert!(first.path < second.path);
        assert_eq!(event_files(dir.path()).unwrap().len(), 2);
    }
}
