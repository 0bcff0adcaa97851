//! Parquet, the format in which the Hub keeps data sets, as rows of JSON values.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::errors::ParquetError;
use parquet::file::reader::SerializedFileReader;
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use serde_json::{Map, Number, Value};

/// The rows of a file, read group by group.
pub(crate) struct ParquetRows {
    rows: RowIter<'static>,
}

impl ParquetRows {
    /// Reads the file's footer.
    ///
    /// # Errors
    /// The fault of the file, in words.
    pub(crate) fn open(file: File) -> Result<Self, String> {
        let rows = guarded(|| SerializedFileReader::new(file).map(SerializedFileReader::into_iter))?;
        Ok(Self { rows })
    }

    /// The next row; nothing after the last.
    ///
    /// # Errors
    /// The fault of the file, in words.
    pub(crate) fn next_row(&mut self) -> Result<Option<Map<String, Value>>, String> {
        let row = guarded(|| self.rows.next().transpose())?;
        Ok(row.map(|row| object(&row)))
    }
}

/// The `parquet` crate answers some damaged files with a panic; here that is an error like any other.
fn guarded<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("a damaged file".to_owned()),
    }
}

fn object(row: &Row) -> Map<String, Value> {
    row.get_column_iter()
        .map(|(name, field)| (name.clone(), value(field)))
        .collect()
}

/// A column's value: lists, structures and maps as JSON has them, points in time as text, bytes only if they are text.
fn value(field: &Field) -> Value {
    let float = |number: f64| Number::from_f64(number).map_or(Value::Null, Value::Number);
    match field {
        Field::Null => Value::Null,
        Field::Bool(value) => (*value).into(),
        Field::Byte(value) => (*value).into(),
        Field::Short(value) => (*value).into(),
        Field::Int(value) => (*value).into(),
        Field::Long(value) => (*value).into(),
        Field::UByte(value) => (*value).into(),
        Field::UShort(value) => (*value).into(),
        Field::UInt(value) => (*value).into(),
        Field::ULong(value) => (*value).into(),
        Field::Float16(value) => float(value.to_f64()),
        Field::Float(value) => float(f64::from(*value)),
        Field::Double(value) => float(*value),
        Field::Str(text) => text.as_str().into(),
        Field::Bytes(bytes) => std::str::from_utf8(bytes.data()).map_or(Value::Null, Value::from),
        Field::Group(row) => Value::Object(object(row)),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        Field::MapInternal(map) => {
            let entry = |(key, entry): &(Field, Field)| (key_text(key), value(entry));
            Value::Object(map.entries().iter().map(entry).collect())
        }
        other => other.to_string().into(),
    }
}

/// A map's key, without the quotes that a text has when printed.
fn key_text(key: &Field) -> String {
    match key {
        Field::Str(text) => text.clone(),
        other => other.to_string(),
    }
}
