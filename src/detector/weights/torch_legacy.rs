//! Reads PyTorch's files before 1.6, still used for torchvision's older weights: five pickles (magic number, version, machine, the object,
//! the storages' keys), then each storage as its length (i64) and bytes.

use std::collections::HashMap;

use super::pickle::{Pickle, TensorRef, Value};
use super::{DType, NamedArray, state_dict};

const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
const VERSION: i128 = 1001;

/// Returns all tensors of the state dict in an old `.pth` file.
pub fn read(bytes: &[u8]) -> Result<(Vec<NamedArray>, Vec<String>), String> {
    let mut at = 0;
    let magic = next(bytes, &mut at)?;
    if magic.top() != &Value::Int(MAGIC) {
        return Err("it is a pickle, but not one that torch.save wrote".to_owned());
    }
    let version = next(bytes, &mut at)?;
    if version.top() != &Value::Int(VERSION) {
        return Err(format!("its version is {:?} where {VERSION} is known", version.top()));
    }
    let machine = next(bytes, &mut at)?;
    if machine.entry(machine.top(), "little_endian") == Some(&Value::Bool(false)) {
        return Err("it was written on a big-endian machine; save it again on a little-endian one".to_owned());
    }
    let object = next(bytes, &mut at)?;
    let keys = next(bytes, &mut at)?;
    let (tensors, notes) = state_dict::tensors(&object)?;
    let storages = storages(bytes, at, &keys, &tensors)?;
    let mut budget = bytes.len();
    let copy = |(name, tensor): &(String, TensorRef)| {
        let storage = storages.get(tensor.storage.key.as_str()).copied();
        let storage = storage.ok_or_else(|| format!("`{name}` has no storage; the file is cut off"))?;
        state_dict::array(name, tensor, storage, &mut budget)
    };
    let arrays = tensors.iter().map(copy).collect::<Result<_, String>>()?;
    Ok((arrays, notes))
}

/// Reads the next pickle; messages contain offsets from the start of the file.
fn next(bytes: &[u8], at: &mut usize) -> Result<Pickle, String> {
    let (pickle, length) = Pickle::read_from(bytes, *at)?;
    *at += length;
    Ok(pickle)
}

/// Returns the bytes of every storage by key. If no tensor of the state dict uses a storage, its number format and so its length are
/// unknown: such a file is refused.
fn storages<'a>(
    bytes: &'a [u8],
    mut at: usize,
    keys: &'a Pickle,
    tensors: &[(String, TensorRef)],
) -> Result<HashMap<&'a str, &'a [u8]>, String> {
    let Value::List(list) = keys.top() else { return Err("the list of storages is missing".to_owned()) };
    let dtypes: HashMap<&str, DType> = tensors.iter().map(|(_, t)| (t.storage.key.as_str(), t.storage.dtype)).collect();
    let mut out = HashMap::new();
    for &key in list {
        let Value::Text(key) = keys.get(key) else { return Err("a storage's key is not text".to_owned()) };
        let Some(dtype) = dtypes.get(key.as_str()) else {
            return Err(format!("storage {key} belongs to no tensor of the state dict; save the bare state dict"));
        };
        let cut = || format!("the file ends inside storage {key}; it is cut off, fetch it again");
        let count = bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map(i64::from_le_bytes).ok_or_else(cut)?;
        let length = usize::try_from(count).ok().and_then(|n| n.checked_mul(dtype.size())).ok_or_else(cut)?;
        let end = (at + 8).checked_add(length).ok_or_else(cut)?;
        out.insert(key.as_str(), bytes.get(at + 8..end).ok_or_else(cut)?);
        at = end;
    }
    Ok(out)
}
