//! Writes pickles and PyTorch files byte by byte, like `torch.save`. Shares no code with the reader.

use std::io::{Cursor, Write};

/// A tensor to save.
pub struct Saved<'a> {
    pub name: &'a str,
    pub storage: &'a str,
    pub key: &'a str,
    pub offset: u32,
    pub shape: &'a [u32],
    pub stride: &'a [u32],
    /// Wrapped in `_rebuild_parameter`.
    pub parameter: bool,
    /// In the format before PyTorch 0.4: `_rebuild_tensor` with four arguments.
    pub old: bool,
}

pub fn saved<'a>(name: &'a str, key: &'a str, shape: &'a [u32], stride: &'a [u32]) -> Saved<'a> {
    Saved { name, storage: "FloatStorage", key, offset: 0, shape, stride, parameter: false, old: false }
}

pub fn text(out: &mut Vec<u8>, value: &str) {
    out.push(b'X');
    out.extend((value.len() as u32).to_le_bytes());
    out.extend(value.as_bytes());
}

pub fn integer(out: &mut Vec<u8>, value: u32) {
    match value {
        0..=255 => out.extend([b'K', value as u8]),
        256..=65535 => {
            out.push(b'M');
            out.extend((value as u16).to_le_bytes());
        }
        _ => {
            out.push(b'J');
            out.extend((value as i32).to_le_bytes());
        }
    }
}

pub fn global(out: &mut Vec<u8>, module: &str, name: &str) {
    out.extend(format!("c{module}\n{name}\n").as_bytes());
}

fn tuple(out: &mut Vec<u8>, values: &[u32]) {
    match values.len() {
        0 => return out.push(b')'),
        1..=3 => {}
        _ => out.push(b'('),
    }
    for &value in values {
        integer(out, value);
    }
    out.push([b't', 0x85, 0x86, 0x87].get(values.len()).copied().unwrap_or(b't'));
}

/// An `OrderedDict` of tensors with PyTorch's `_metadata` attached. `legacy` writes the sixth part of a storage's id.
pub fn state_dict(tensors: &[Saved], legacy: bool) -> Vec<u8> {
    let mut out = vec![0x80, 2];
    global(&mut out, "collections", "OrderedDict");
    out.extend([b'q', 0, b')', b'R', b'q', 1, b'(']);
    for tensor in tensors {
        text(&mut out, tensor.name);
        if tensor.parameter {
            global(&mut out, "torch._utils", "_rebuild_parameter");
            out.push(b'(');
        }
        global(&mut out, "torch._utils", if tensor.old { "_rebuild_tensor" } else { "_rebuild_tensor_v2" });
        out.extend([b'(', b'(']);
        text(&mut out, "storage");
        global(&mut out, "torch", tensor.storage);
        text(&mut out, tensor.key);
        text(&mut out, "cpu");
        integer(&mut out, 70_000);
        if legacy {
            out.push(b'N');
        }
        out.extend([b't', b'Q']);
        integer(&mut out, tensor.offset);
        tuple(&mut out, tensor.shape);
        tuple(&mut out, tensor.stride);
        if !tensor.old {
            out.push(0x89);
            global(&mut out, "collections", "OrderedDict");
            out.extend([b')', b'R']);
        }
        out.extend([b't', b'R']);
        if tensor.parameter {
            out.push(0x88);
            global(&mut out, "collections", "OrderedDict");
            out.extend([b')', b'R', b't', b'R']);
        }
    }
    out.push(b'u');
    out.push(b'}');
    text(&mut out, "_metadata");
    global(&mut out, "collections", "OrderedDict");
    out.extend([b')', b'R', b's', b'b', b'.']);
    out
}

/// [`state_dict`] of one tensor as pickled by Python 2: `OrderedDict([[name, tensor]])`.
pub fn state_dict_of_python_2(tensor: &Saved) -> Vec<u8> {
    let inner = state_dict(std::slice::from_ref(tensor), true);
    let after_name =
        inner.windows(tensor.name.len()).position(|w| w == tensor.name.as_bytes()).unwrap() + tensor.name.len();
    let end = inner.iter().rposition(|&b| b == b'}').unwrap() - 1;
    let mut out = vec![0x80, 2];
    global(&mut out, "collections", "OrderedDict");
    out.extend(b"](](");
    out.extend([b'U', tensor.name.len() as u8]);
    out.extend(tensor.name.as_bytes());
    out.extend(&inner[after_name..end]);
    out.extend([b'e', b'e', 0x85, b'R', b'.']);
    out
}

/// A `.pt` file: `archive/data.pkl` and the storages.
pub fn zip_file(pickle: &[u8], storages: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut put = |name: &str, bytes: &[u8]| {
        zip.start_file(name, stored).unwrap();
        zip.write_all(bytes).unwrap();
    };
    put("archive/data.pkl", pickle);
    put("archive/byteorder", b"little");
    for (key, bytes) in storages {
        put(&format!("archive/data/{key}"), bytes);
    }
    put("archive/version", b"3\n");
    zip.finish().unwrap().into_inner()
}

/// An old `.pth` file: five pickles, then the storages.
pub fn legacy_file(pickle: &[u8], storages: &[(&str, Vec<u8>)], bytes_of_a_number: usize) -> Vec<u8> {
    let mut out = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.".to_vec();
    out.extend(b"\x80\x02}(");
    text(&mut out, "little_endian");
    out.push(0x88);
    text(&mut out, "protocol_version");
    out.extend(b"M\xe9\x03u.");
    out.extend(pickle);
    out.extend(b"\x80\x02](");
    for (key, _) in storages {
        text(&mut out, key);
    }
    out.extend(b"e.");
    for (_, bytes) in storages {
        out.extend(((bytes.len() / bytes_of_a_number) as i64).to_le_bytes());
        out.extend(bytes);
    }
    out
}

pub fn floats(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    values.into_iter().flat_map(f32::to_le_bytes).collect()
}
