//! The list of tensors.

use std::collections::HashMap;
use std::io::BufRead;
use std::ops::Range;

use super::cursor::Cursor;
use crate::error::{Error, Result};
use crate::tensor_type::TensorType;

/// Dimensions of a tensor, at most.
const MOST_DIMS: u32 = 4;
/// Bytes of an entry with the shortest name and one dimension.
const SHORTEST_ENTRY: u64 = 8 + 4 + 8 + 4 + 8;

/// A tensor as the file lists it; its bytes are known to lie within the file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorInfo {
    /// The name: `blk.0.attn_q.weight`.
    pub name: String,
    /// Sizes, the length of a row first, at least one; none is 0.
    pub dims: Vec<u64>,
    /// The type of its numbers.
    pub tensor_type: TensorType,
    /// The place of its bytes in the file.
    pub range: Range<u64>,
}

impl TensorInfo {
    /// Numbers in the tensor.
    pub fn numbers(&self) -> usize {
        // Their bytes lie within a file, so that they can be counted.
        self.dims.iter().product::<u64>() as usize
    }
}

/// Reads `count` entries; ranges still count from the start of the data.
pub(super) fn read<R: BufRead>(cursor: &mut Cursor<'_, R>, count: u64) -> Result<Vec<TensorInfo>> {
    let place = format!("the list of {count} tensors");
    cursor.need(count.saturating_mul(SHORTEST_ENTRY), &place)?;
    let mut tensors = Vec::new();
    for index in 0..count {
        tensors.push(read_one(cursor, index)?);
    }
    Ok(tensors)
}

fn read_one<R: BufRead>(cursor: &mut Cursor<'_, R>, index: u64) -> Result<TensorInfo> {
    let place = format!("the name of tensor {index}");
    let name = match cursor.text(&place)? {
        Ok(name) if !name.is_empty() => name,
        Ok(_) => return Err(Error::tensor(cursor.path(), &format!("#{index}"), "has no name")),
        Err(message) => {
            return Err(Error::tensor(
                cursor.path(),
                &format!("#{index}"),
                format!("its name: {message}"),
            ));
        }
    };
    let place = format!("the entry of tensor `{name}`");
    let n_dims = cursor.u32(&place)?;
    if !(1..=MOST_DIMS).contains(&n_dims) {
        let message = format!("{n_dims} dimensions, expected 1 to {MOST_DIMS}");
        return Err(Error::tensor(cursor.path(), &name, message));
    }
    let mut dims = Vec::new();
    for _ in 0..n_dims {
        dims.push(cursor.u64(&place)?);
    }
    let type_id = cursor.u32(&place)?;
    let offset = cursor.u64(&place)?;
    let tensor_type = TensorType::from_id(type_id).map_err(|m| Error::tensor(cursor.path(), &name, m))?;
    let size = bytes(&dims, tensor_type).map_err(|m| Error::tensor(cursor.path(), &name, m))?;
    let Some(end) = offset.checked_add(size) else {
        let message = format!("offset {offset} and {size} bytes are past the end of any file");
        return Err(Error::tensor(cursor.path(), &name, message));
    };
    Ok(TensorInfo {
        name,
        dims,
        tensor_type,
        range: offset..end,
    })
}

/// Bytes of a tensor, or why it has no size.
fn bytes(dims: &[u64], tensor_type: TensorType) -> std::result::Result<u64, String> {
    if dims.contains(&0) {
        return Err(format!("shape {dims:?}, expected no dimension of 0"));
    }
    let block = tensor_type.block_len() as u64;
    if !dims[0].is_multiple_of(block) {
        return Err(format!(
            "rows of {}, expected a multiple of the {block} numbers in a block of {tensor_type}",
            dims[0]
        ));
    }
    let numbers = dims.iter().try_fold(1u64, |all, &dim| all.checked_mul(dim));
    numbers
        .and_then(|numbers| tensor_type.bytes_of(numbers))
        .ok_or_else(|| format!("shape {dims:?} is too large: its elements cannot be counted"))
}

/// Moves ranges to the file's own beginning and checks that they lie in it, aligned and apart.
pub(super) fn place<R: BufRead>(
    tensors: &mut [TensorInfo],
    cursor: &Cursor<'_, R>,
    data: u64,
    alignment: u64,
) -> Result<()> {
    let path = cursor.path();
    let mut names = HashMap::new();
    for (index, tensor) in tensors.iter_mut().enumerate() {
        if names.insert(tensor.name.clone(), index).is_some() {
            return Err(Error::tensor(path, &tensor.name, "stands twice in the list of tensors"));
        }
        let Range { start, end } = tensor.range;
        if !start.is_multiple_of(alignment) {
            let message = format!("offset {start} is no multiple of the alignment {alignment}");
            return Err(Error::tensor(path, &tensor.name, message));
        }
        let in_file = data.checked_add(start).zip(data.checked_add(end));
        match in_file.filter(|(_, end)| *end <= cursor.len()) {
            Some((start, end)) => tensor.range = start..end,
            None => {
                let message = format!(
                    "bytes {start} to {end} of the data, which begins at byte {data}, are past the end of the file \
                     ({} bytes): a download that broke off?",
                    cursor.len()
                );
                return Err(Error::tensor(path, &tensor.name, message));
            }
        }
    }
    let mut order: Vec<&TensorInfo> = tensors.iter().collect();
    order.sort_by_key(|tensor| tensor.range.start);
    match order.windows(2).find(|two| two[0].range.end > two[1].range.start) {
        Some(two) => {
            let message = format!("its bytes overlap those of `{}`", two[1].name);
            Err(Error::tensor(path, &two[0].name, message))
        }
        None => Ok(()),
    }
}
