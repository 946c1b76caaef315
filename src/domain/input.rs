//! Opens user-named files: regular files only, up to a size limit, so that no FIFO, device or endless file can block the process or exhaust
//! its memory. Text is returned as UTF-8 without its byte order mark.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::printable::printable_path;

/// Maximum sizes of input files in bytes, far above those of real files.
pub mod limits {
    const MIB: u64 = 1 << 20;
    /// An image file: 256 megapixels of 16-bit RGBA without compression take 2 GiB.
    pub const IMAGE: u64 = 2048 * MIB;
    /// Annotation and detection files that are read into memory at once.
    pub const TEXT: u64 = 2048 * MIB;
    /// Hand-written settings: `round.toml`, `project.toml`, `keys.toml`, `model.toml`.
    pub const SETTINGS: u64 = MIB;
    /// Values that the aliases of a YAML file stand for. Hand-written files have a handful; the parser's own limit of a million takes seconds.
    pub const YAML_ALIASED: usize = 20_000;
    /// Weight files; the largest detectors have a few GB.
    pub const WEIGHTS: u64 = 16 * 1024 * MIB;
    /// A line of a text file that is echoed or parsed separately.
    pub const LINE: usize = 1 << 20;
}

/// Why an input file was not read. Every message names the file.
#[derive(Debug, Error)]
pub enum InputError {
    #[error("{}: {what}. {hint}", printable_path(path))]
    NotAFile { path: PathBuf, what: &'static str, hint: &'static str },
    #[error(
        "{}: the file has {size} bytes; Quarry reads up to {limit} here. Check that it is the right file.",
        printable_path(path)
    )]
    TooLarge { path: PathBuf, size: u64, limit: u64 },
    #[error("{}:{line}: the text is not UTF-8. Save the file as UTF-8.", printable_path(path))]
    NotUtf8 { path: PathBuf, line: usize },
    #[error("{}: {UTF_16}", printable_path(path))]
    Utf16 { path: PathBuf },
    #[error("{}: {source}", printable_path(path))]
    Io { path: PathBuf, source: io::Error },
}

impl InputError {
    /// Returns the corresponding standard library error kind.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::NotAFile { .. } => io::ErrorKind::InvalidInput,
            Self::TooLarge { .. } => io::ErrorKind::FileTooLarge,
            Self::NotUtf8 { .. } | Self::Utf16 { .. } => io::ErrorKind::InvalidData,
            Self::Io { source, .. } => source.kind(),
        }
    }
}

/// Without the path, for errors that already name it.
impl From<InputError> for io::Error {
    fn from(error: InputError) -> Self {
        let kind = error.kind();
        let what = match error {
            InputError::Io { source, .. } => return source,
            InputError::NotAFile { what, .. } => what.to_owned(),
            InputError::TooLarge { size, limit, .. } => {
                format!("the file has {size} bytes, and Quarry reads up to {limit} here")
            }
            InputError::NotUtf8 { line, .. } => format!("line {line} is not UTF-8 text"),
            InputError::Utf16 { .. } => UTF_16.to_owned(),
        };
        Self::new(kind, what)
    }
}

/// Opens a regular file for reading and returns it with its size in bytes. Symbolic links are followed. A folder, FIFO, socket or device is
/// an error and never blocks.
pub fn open_regular(path: &Path) -> Result<(File, u64), InputError> {
    open_regular_with(OpenOptions::new().read(true), path)
}

/// [`open_regular`] with other access modes; with `create` in `options` the file may be missing.
pub(super) fn open_regular_with(options: &mut OpenOptions, path: &Path) -> Result<(File, u64), InputError> {
    let io = |source| InputError::Io { path: path.to_owned(), source };
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // Opening a FIFO without a writer would block; a terminal must not become the controlling terminal.
        options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    }
    let refused = |what| InputError::NotAFile { path: path.to_owned(), what, hint: "Name a regular file." };
    // Sockets and some devices cannot be opened at all, so check the path first, then the opened file.
    if let Ok(before) = std::fs::metadata(path)
        && !before.is_file()
    {
        return Err(refused(kind_of(&before)));
    }
    let file = options.open(path).map_err(io)?;
    let found = file.metadata().map_err(io)?;
    if found.is_file() { Ok((file, found.len())) } else { Err(refused(kind_of(&found))) }
}

/// Reads a regular file of at most `limit` bytes.
pub fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>, InputError> {
    let (file, size) = open_regular(path)?;
    let too_large = |size| InputError::TooLarge { path: path.to_owned(), size, limit };
    if size > limit {
        return Err(too_large(size));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    // A file may grow, and files such as those in /proc report size 0.
    let read = file.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|source| InputError::Io { path: path.to_owned(), source })?;
    if bytes.len() as u64 > limit { Err(too_large(bytes.len() as u64)) } else { Ok(bytes) }
}

/// Skips the byte order mark of streamed text. UTF-16 is an error.
pub fn begin_text(path: &Path, reader: &mut impl BufRead) -> Result<(), InputError> {
    let head = reader.fill_buf().map_err(|source| InputError::Io { path: path.to_owned(), source })?;
    let mark = head.len() - text_bytes(path, head)?.len();
    reader.consume(mark);
    Ok(())
}

/// Returns the bytes of a text file without its byte order mark. UTF-16 is an error; the caller validates the UTF-8.
pub fn text_bytes<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a [u8], InputError> {
    if is_utf16(bytes) { Err(InputError::Utf16 { path: path.to_owned() }) } else { Ok(without_bom(bytes)) }
}

/// Explains why UTF-16 is refused and what to do.
pub const UTF_16: &str = "the text is UTF-16 (\"Unicode\" in Windows programs). Save the file as UTF-8, or convert it: \
                          iconv -f UTF-16 -t UTF-8 FILE > NEW";

/// Detects UTF-16 text by its byte order mark or by an ASCII character in two bytes. No other text has a NUL there.
pub fn is_utf16(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [1..=0x7F, 0, 1..=0x7F, 0, ..] | [0, 1..=0x7F, 0, 1..=0x7F, ..]
    )
}

/// Reads the text of a regular file of at most `limit` bytes, without a byte order mark.
pub fn read_text(path: &Path, limit: u64) -> Result<String, InputError> {
    let bytes = read_bytes(path, limit)?;
    text_bytes(path, &bytes)?;
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(valid).filter(|&&byte| byte == b'\n').count() + 1;
        InputError::NotUtf8 { path: path.to_owned(), line }
    })?;
    if text.starts_with(BYTE_ORDER_MARK) {
        text.drain(..BYTE_ORDER_MARK.len_utf8());
    }
    Ok(text)
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Strips the byte order mark that some editors write.
pub fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

pub(super) fn kind_of(metadata: &std::fs::Metadata) -> &'static str {
    let kind = metadata.file_type();
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        if kind.is_fifo() {
            return "this is a FIFO, not a file";
        }
        if kind.is_socket() {
            return "this is a socket, not a file";
        }
        if kind.is_block_device() || kind.is_char_device() {
            return "this is a device, not a file";
        }
    }
    if kind.is_dir() { "this is a folder, not a file" } else { "this is not a regular file" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_without_its_byte_order_mark_and_within_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        std::fs::write(&path, b"\xEF\xBB\xBFone\n").unwrap();
        assert_eq!(read_text(&path, 100).unwrap(), "one\n");
        assert!(matches!(read_bytes(&path, 6), Err(InputError::TooLarge { size: 7, limit: 6, .. })));
        std::fs::write(&path, b"one\ntwo\n\xff").unwrap();
        assert!(read_text(&path, 100).unwrap_err().to_string().contains("a.txt:3: the text is not UTF-8"));
    }

    #[test]
    fn utf16_is_told_from_utf8_with_and_without_its_mark() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        let utf16 = |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
        let check = |bytes: &[u8], expected: bool| {
            std::fs::write(&path, bytes).unwrap();
            let (whole, streamed) = (read_text(&path, 100), begin_text(&path, &mut &*bytes));
            assert_eq!(matches!(whole, Err(InputError::Utf16 { .. })), expected, "{bytes:?}");
            assert_eq!(matches!(streamed, Err(InputError::Utf16 { .. })), expected, "{bytes:?}");
        };
        for text in ["{\"a\": 1}", "img/1\n0\n", "\u{4e2d}\u{6587} 1"] {
            check(&utf16(&format!("\u{feff}{text}"), u16::to_le_bytes), true);
            check(&utf16(&format!("\u{feff}{text}"), u16::to_be_bytes), true);
            check(&utf16(text, u16::to_le_bytes), text.is_ascii());
            check(&utf16(text, u16::to_be_bytes), text.is_ascii());
            check(text.as_bytes(), false);
            check(format!("\u{feff}{text}").as_bytes(), false);
        }
        for bytes in [&b""[..], b"a", b"\xff", b"a\0", b"\0", b"a\0b", b"\xef\xbb\xbf"] {
            check(bytes, false);
        }
        let mut reader = "\u{feff}one\n".as_bytes();
        begin_text(&path, &mut reader).unwrap();
        assert_eq!(reader, b"one\n");
    }

    #[test]
    fn only_regular_files_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        let message = |path: &Path| read_bytes(path, 100).unwrap_err().to_string();
        assert!(message(dir.path()).contains("folder, not a file"));
        assert_eq!(read_bytes(&dir.path().join("gone"), 9).unwrap_err().kind(), io::ErrorKind::NotFound);
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt as _;
            let fifo = dir.path().join("fifo");
            let name = std::ffi::CString::new(fifo.as_os_str().as_bytes()).unwrap();
            #[expect(unsafe_code, reason = "the standard library makes no FIFO")]
            // SAFETY: the name is a C string that outlives the call.
            let made = unsafe { libc::mkfifo(name.as_ptr(), 0o600) };
            assert_eq!(made, 0);
            assert!(message(&fifo).contains("this is a FIFO"));
            assert!(message(Path::new("/dev/zero")).contains("this is a device"));
            let link = dir.path().join("link");
            std::os::unix::fs::symlink(&fifo, &link).unwrap();
            assert!(message(&link).contains("this is a FIFO"));
        }
    }
}
