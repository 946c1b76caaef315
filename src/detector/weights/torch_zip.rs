//! Reads PyTorch's zip files (`torch.save` since 1.6): `<name>/data.pkl`, and each storage as `<name>/data/<key>`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{Cursor, Read};

use zip::{CompressionMethod, ZipArchive};

use super::pickle::Pickle;
use super::{NamedArray, state_dict};

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// Returns all tensors of the state dict in a `.pt` or `.pth` file.
pub fn read(bytes: &[u8]) -> Result<(Vec<NamedArray>, Vec<String>), String> {
    let mut archive =
        ZipArchive::new(Cursor::new(bytes)).map_err(|e| format!("{e}; the file is cut off or damaged"))?;
    let root = root(&archive)?;
    check_byte_order(&mut archive, &root)?;
    let (pickle, _) = Pickle::read(&record(&mut archive, &format!("{root}data.pkl"))?)?;
    let (tensors, notes) = state_dict::tensors(&pickle)?;
    let mut storages: HashMap<String, Vec<u8>> = HashMap::new();
    let mut budget = bytes.len();
    let mut arrays = Vec::with_capacity(tensors.len());
    for (name, tensor) in &tensors {
        let key = &tensor.storage.key;
        let storage = match storages.entry(key.clone()) {
            Entry::Occupied(read) => read.into_mut(),
            Entry::Vacant(new) => new.insert(record(&mut archive, &format!("{root}data/{key}"))?),
        };
        arrays.push(state_dict::array(name, tensor, storage, &mut budget)?);
    }
    Ok((arrays, notes))
}

/// Returns the folder of `data.pkl`, with a trailing slash.
fn root(archive: &Archive) -> Result<String, String> {
    let mut names = archive.file_names();
    let pickle = names.find(|n| n.ends_with("/data.pkl") && n.matches('/').count() == 1);
    let pickle = pickle.ok_or("there is no data.pkl inside; it is a zip file, but not one of PyTorch's")?;
    Ok(pickle.trim_end_matches("data.pkl").to_owned())
}

fn check_byte_order(archive: &mut Archive, root: &str) -> Result<(), String> {
    let name = format!("{root}byteorder");
    if archive.index_for_name(&name).is_none() {
        return Ok(());
    }
    match record(archive, &name)?.as_slice() {
        b"little" => Ok(()),
        _ => Err("it was written on a big-endian machine; save it again on a little-endian one".to_owned()),
    }
}

/// Reads one file of the archive. PyTorch stores without compression, so nothing can expand here.
fn record(archive: &mut Archive, name: &str) -> Result<Vec<u8>, String> {
    let file = archive.by_name(name).map_err(|e| format!("`{name}` inside: {e}"))?;
    if file.compression() != CompressionMethod::Stored {
        return Err(format!("`{name}` inside is compressed, which torch.save never does"));
    }
    let size = file.size();
    let mut out = Vec::new();
    file.take(size)
        .read_to_end(&mut out)
        .map_err(|e| format!("`{name}` inside: {e}; the file is cut off or damaged"))?;
    Ok(out)
}
