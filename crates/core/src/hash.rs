//! Digests of files, and fingerprints of what a result depends on.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The SHA-256 of a file's bytes, in lowercase hexadecimal.
pub fn file_sha256(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    let mut file = File::open(path).map_err(|e| Error::io("read", path, e))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(|e| Error::io("read", path, e))? {
            0 => return Ok(hex(&hasher.finalize())),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// The SHA-256 of some bytes, in lowercase hexadecimal.
pub(crate) fn bytes_sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Dependencies of a checkpoint or a finished stage: every field of its configuration and inputs, and their digest.
///
/// The fields are kept, not only the digest, so that a mismatch can say which of them differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    sha256: String,
    fields: BTreeMap<String, Value>,
}

/// The first field in which two fingerprints differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The field, as a dotted path.
    pub field: String,
    /// Its value in the fingerprint that was asked for.
    pub expected: String,
    /// Its value in the fingerprint that was found.
    pub found: String,
}

impl Difference {
    /// The error that says that `path` was made with another configuration.
    pub(crate) fn into_error(self, path: impl Into<std::path::PathBuf>) -> Error {
        let Self { field, expected, found } = self;
        Error::OtherConfig {
            path: path.into(),
            field,
            expected,
            found,
        }
    }
}

/// The fingerprint of anything that can be written as JSON. The order of fields does not matter.
pub fn fingerprint(of: &impl Serialize) -> Result<Fingerprint> {
    let encode = |e: serde_json::Error| Error::Encode {
        what: "a fingerprint".into(),
        message: e.to_string(),
    };
    let mut fields = BTreeMap::new();
    flatten("", serde_json::to_value(of).map_err(encode)?, &mut fields);
    let canonical = serde_json::to_vec(&fields).map_err(encode)?;
    Ok(Fingerprint {
        sha256: bytes_sha256(&canonical),
        fields,
    })
}

/// Lists the leaves of `value` under dotted paths; an empty table or list is a leaf of its own.
fn flatten(path: &str, value: Value, into: &mut BTreeMap<String, Value>) {
    let join = |key: &str| {
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    };
    match value {
        Value::Object(table) if !table.is_empty() => {
            for (key, value) in table {
                flatten(&join(&key), value, into);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, value) in items.into_iter().enumerate() {
                flatten(&format!("{path}[{index}]"), value, into);
            }
        }
        leaf => {
            into.insert(path.to_owned(), leaf);
        }
    }
}

impl Fingerprint {
    /// Difference of `found` from this one, if there is one: a field that both have, before one that is new or gone.
    pub fn difference(&self, found: &Self) -> Option<Difference> {
        const ABSENT: &str = "absent";
        let show = |value: Option<&Value>| value.map_or(ABSENT.to_owned(), Value::to_string);
        let field = self
            .fields
            .keys()
            .chain(found.fields.keys())
            .filter(|field| self.fields.get(*field) != found.fields.get(*field))
            .min_by_key(|field| {
                let is_in_both = self.fields.contains_key(*field) && found.fields.contains_key(*field);
                (!is_in_both, *field)
            });
        if let Some(field) = field {
            let (expected, found) = (show(self.fields.get(field)), show(found.fields.get(field)));
            return Some(Difference {
                field: field.clone(),
                expected,
                found,
            });
        }
        (self.sha256 != found.sha256).then(|| Difference {
            field: "sha256".into(),
            expected: self.sha256.clone(),
            found: found.sha256.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn file_digest_is_the_published_one_of_abc() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(file_sha256(&path).unwrap(), expected);
        assert_eq!(bytes_sha256(b"abc"), expected);
        assert!(matches!(
            file_sha256(dir.path().join("none")),
            Err(Error::NotFound { .. })
        ));
    }

    #[test]
    fn order_of_fields_changes_nothing_and_their_values_do() {
        let a = fingerprint(&json!({"lr": 0.1, "seed": 1, "data": ["x", "y"]})).unwrap();
        let b = fingerprint(&json!({"data": ["x", "y"], "seed": 1, "lr": 0.1})).unwrap();
        let c = fingerprint(&json!({"data": ["x", "z"], "seed": 1, "lr": 0.1})).unwrap();
        assert_eq!(a, b);
        assert_eq!(a.difference(&b), None);
        assert_ne!(a.sha256, c.sha256);
        let expected = Difference {
            field: "data[1]".into(),
            expected: "\"y\"".into(),
            found: "\"z\"".into(),
        };
        assert_eq!(a.difference(&c), Some(expected));
    }

    #[test]
    fn a_missing_field_is_named() {
        let a = fingerprint(&json!({"ppo": {"kl_coef": 0.05}})).unwrap();
        let b = fingerprint(&json!({"ppo": {"kl_coef": 0.05, "gamma": 1.0}})).unwrap();
        let difference = a.difference(&b).unwrap();
        assert_eq!(
            (difference.field.as_str(), difference.expected.as_str()),
            ("ppo.gamma", "absent")
        );
        assert_eq!(b.difference(&a).unwrap().found, "absent");
    }

    #[test]
    fn a_field_that_changed_is_named_before_those_that_came_and_went_with_it() {
        let constant = fingerprint(&json!({"lr": {"kind": "constant"}})).unwrap();
        let linear = fingerprint(&json!({"episodes": 96, "lr": {"kind": "linear"}})).unwrap();
        assert_eq!(constant.difference(&linear).unwrap().field, "lr.kind");
        assert_eq!(linear.difference(&constant).unwrap().field, "lr.kind");
    }

    #[test]
    fn a_fingerprint_survives_being_written() {
        let a = fingerprint(&json!({"lr": 3e-6, "third": 1.0 / 3.0, "single": 0.1_f32, "none": null})).unwrap();
        let text = serde_json::to_string(&a).unwrap();
        assert_eq!(serde_json::from_str::<Fingerprint>(&text).unwrap(), a);
    }
}
