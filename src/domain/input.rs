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
    #[error(
        "{}: the file is almost empty: of its {size} bytes only {stored} are on the disk. Copy or download it again.",
        printable_path(path)
    )]
    Hollow { path: PathBuf, size: u64, stored: u64 },
    #[error(
        "{}: this is not text: byte {at} is NUL. Check that it is the right file, or copy it again.",
        printable_path(path)
    )]
    NotText { path: PathBuf, at: usize },
    #[error("{}:{line}: {NOT_UTF_8}", printable_path(path))]
    NotUtf8 { path: PathBuf, line: usize },
    #[error("{}: {UTF_16}", printable_path(path))]
    Utf16 { path: PathBuf },
    #[error("{}: {source}{}", printable_path(path), advice(source))]
    Io { path: PathBuf, source: io::Error },
}

impl InputError {
    /// Returns the corresponding standard library error kind.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::NotAFile { .. } => io::ErrorKind::InvalidInput,
            Self::TooLarge { .. } => io::ErrorKind::FileTooLarge,
            Self::NotUtf8 { .. } | Self::Utf16 { .. } | Self::Hollow { .. } | Self::NotText { .. } => {
                io::ErrorKind::InvalidData
            }
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
            InputError::Hollow { size, stored, .. } => {
                format!(
                    "the file is almost empty: of its {size} bytes only {stored} are on the disk (copy or download it again)"
                )
            }
            InputError::NotText { at, .. } => format!("this is not text: byte {at} is NUL"),
            InputError::NotUtf8 { line, .. } => format!("line {line}: {NOT_UTF_8}"),
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

/// Opens a log of a project for appending; creates it if missing. A symbolic link is refused too: in a project from elsewhere it could lead
/// to any file.
pub fn open_log(path: &Path) -> Result<File, InputError> {
    if path.is_symlink() {
        let what = "this is a link, and Quarry writes only to its own files";
        return Err(InputError::NotAFile { path: path.to_owned(), what, hint: "Remove the link." });
    }
    open_regular_with(OpenOptions::new().append(true).create(true), path).map(|(file, _)| file)
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

/// Reads a weight file; see [`open_weights`].
pub fn read_weights(path: &Path) -> Result<Vec<u8>, InputError> {
    open_weights(path)?;
    read_bytes(path, limits::WEIGHTS)
}

/// Opens a weight file. One that consists of holes, as an interrupted download leaves it, would fill the memory with zeros: refused.
pub fn open_weights(path: &Path) -> Result<File, InputError> {
    let (file, size) = open_regular(path)?;
    if size > limits::WEIGHTS {
        return Err(InputError::TooLarge { path: path.to_owned(), size, limit: limits::WEIGHTS });
    }
    let stored = stored_bytes(&file).unwrap_or(size);
    // Floats hardly shrink on file systems that compress.
    if size > HOLLOW_FROM && stored < size / 4 {
        return Err(InputError::Hollow { path: path.to_owned(), size, stored });
    }
    Ok(file)
}

/// Smaller files are read whatever they contain.
const HOLLOW_FROM: u64 = 64 << 20;

/// Number of bytes that the file occupies on the disk; `None` if unknown.
fn stored_bytes(file: &File) -> Option<u64> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        file.metadata().ok().map(|found| found.blocks() * 512)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        None
    }
}

/// Reads a text file of at most `limit` bytes, with its byte order mark, if any; the caller validates the UTF-8. Reading stops at the
/// first NUL, which no text has, so that a file of zeros does not fill the memory. UTF-16 is an error.
pub fn read_text_bytes(path: &Path, limit: u64) -> Result<Vec<u8>, InputError> {
    let (file, size) = open_regular(path)?;
    let too_large = |size| InputError::TooLarge { path: path.to_owned(), size, limit };
    let io = |source| InputError::Io { path: path.to_owned(), source };
    if size > limit {
        return Err(too_large(size));
    }
    let mut file = file.take(limit + 1);
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    loop {
        let before = bytes.len();
        let read = file.by_ref().take(TEXT_PART).read_to_end(&mut bytes).map_err(io)?;
        if before == 0 {
            text_bytes(path, &bytes)?;
        }
        if let Some(at) = bytes.iter().skip(before).position(|&byte| byte == 0) {
            return Err(InputError::NotText { path: path.to_owned(), at: before + at });
        }
        if bytes.len() as u64 > limit {
            return Err(too_large(bytes.len() as u64));
        }
        if read == 0 {
            return Ok(bytes);
        }
    }
}

const TEXT_PART: u64 = 1 << 20;

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

/// The same for text in an 8-bit encoding.
pub const NOT_UTF_8: &str = "the text is not UTF-8. Save the file as UTF-8, or convert it, e.g. from Latin-1: \
                             iconv -f LATIN1 -t UTF-8 FILE > NEW";

/// Whether JSON was refused for bytes that are not UTF-8, which serde_json calls an invalid code point.
pub fn is_not_utf8(error: &serde_json::Error) -> bool {
    error.is_syntax() && error.to_string().starts_with("invalid unicode code point")
}

/// Returns what to do about an error of the operating system, as a sentence to append; empty if its text says it.
pub fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => ". Check the path.",
        io::ErrorKind::PermissionDenied => ". Give this user access to it, or use a copy.",
        io::ErrorKind::ReadOnlyFilesystem => ". Copy it to a disk that can be written to.",
        _ => "",
    }
}

/// Detects UTF-16 text by its byte order mark or by an ASCII character in two bytes. No other text has a NUL there.
pub fn is_utf16(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [1..=0x7F, 0, 1..=0x7F, 0, ..] | [0, 1..=0x7F, 0, 1..=0x7F, ..]
    )
}

/// Reads the text of a regular file of at most `limit` bytes, without a byte order mark.
pub fn read_text(path: &Path, limit: u64) -> Result<String, InputError> {
    let bytes = read_text_bytes(path, limit)?;
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
    fn errors_of_the_system_and_of_encodings_say_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let message = read_text(&dir.path().join("none.txt"), 100).unwrap_err().to_string();
        assert!(message.contains("none.txt: ") && message.ends_with(". Check the path."), "{message}");
        let path = dir.path().join("latin1.json");
        std::fs::write(&path, b"{\"name\": \"caf\xe9\"}").unwrap();
        let message = read_text(&path, 100).unwrap_err().to_string();
        assert!(message.contains("latin1.json:1: the text is not UTF-8") && message.contains("iconv"), "{message}");
        let found = |bytes: &[u8]| is_not_utf8(&serde_json::from_slice::<serde_json::Value>(bytes).unwrap_err());
        assert!(found(b"{\"name\": \"caf\xe9\"}") && found(b"[\"\xff\"]"));
        assert!(!found(b"[\"\\ud800\"]") && !found(b"[1,") && !found(b"{]"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_of_zeros_does_not_fill_the_memory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        std::fs::write(&path, b"one\ntwo\0three").unwrap();
        assert!(matches!(read_text(&path, 100), Err(InputError::NotText { at: 7, .. })));
        assert_eq!(read_weights(&path).unwrap().len(), 13);
        // Almost all of it are holes: reading it would take longer, and more memory, than this machine may have.
        let size = limits::WEIGHTS;
        File::options().write(true).open(&path).unwrap().set_len(size).unwrap();
        let message = read_weights(&path).unwrap_err().to_string();
        assert!(message.contains("a.txt: the file is almost empty") && message.contains("again"), "{message}");
        std::fs::write(&path, b"one\ntwo").unwrap();
        File::options().write(true).open(&path).unwrap().set_len(limits::TEXT).unwrap();
        let message = read_text(&path, limits::TEXT).unwrap_err().to_string();
        assert!(message.contains("a.txt: this is not text: byte 7 is NUL"), "{message}");
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
            // Opening it for writing would wait for a reader.
            let log = |path: &Path| open_log(path).unwrap_err().to_string();
            assert!(log(&fifo).contains("this is a FIFO") && log(&link).contains("this is a link"));
            let (own, other) = (dir.path().join("log.txt"), dir.path().join("other.txt"));
            std::fs::write(&other, "").unwrap();
            std::os::unix::fs::symlink(&other, dir.path().join("to_other")).unwrap();
            assert!(log(&dir.path().join("to_other")).contains("this is a link"));
            for text in ["one\n", "two\n"] {
                io::Write::write_all(&mut open_log(&own).unwrap(), text.as_bytes()).unwrap();
            }
            assert_eq!(read_text(&own, 100).unwrap(), "one\ntwo\n");
        }
    }
}
