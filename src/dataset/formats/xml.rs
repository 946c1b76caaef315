//! Streams XML elements with their line numbers. Entities are not expanded, except XML's own five and character references.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::image_files::shortened;
use crate::dataset::DatasetError;
use crate::domain::{NOT_UTF_8, begin_text, open_regular};

/// The next event in the file.
#[derive(Debug)]
pub(super) enum XmlEvent {
    /// `is_empty`: no `Close` follows.
    Open {
        element: Tag,
        is_empty: bool,
    },
    Close,
    Text(String),
    End,
}

/// A start tag.
#[derive(Debug)]
pub(super) struct Tag {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    /// The line where it starts, from 1.
    pub line: u32,
}

impl Tag {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Parses a finite number; an error names the attribute.
    pub fn number(&self, name: &str) -> Result<f64, String> {
        let Some(text) = self.attribute(name) else { return Err(format!("<{}> has no attribute {name}", self.name)) };
        let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        number.ok_or_else(|| format!("{name} of <{}> is '{}', not a finite number", self.name, shortened(text)))
    }
}

/// Reads one file.
pub(super) struct XmlReader {
    reader: Reader<CountedLines<BufReader<std::fs::File>>>,
    path: PathBuf,
    buffer: Vec<u8>,
}

impl XmlReader {
    pub fn open(path: &Path) -> Result<Self, DatasetError> {
        let (file, _) = open_regular(path)?;
        let mut inner =
            CountedLines { inner: BufReader::with_capacity(1 << 16, file), lines: 0, of_event: 0, has_nul: false };
        begin_text(path, &mut inner)?;
        Ok(Self { reader: Reader::from_reader(inner), path: path.to_path_buf(), buffer: Vec::new() })
    }

    /// Returns the current line, from 1.
    pub fn line(&self) -> u32 {
        self.reader.get_ref().lines + 1
    }

    /// Creates an error at `line`.
    pub fn error(&self, line: u32, problem: impl Into<String>) -> DatasetError {
        DatasetError::line(&self.path, line as usize, problem)
    }

    pub fn next(&mut self) -> Result<XmlEvent, DatasetError> {
        loop {
            self.buffer.clear();
            let line = self.line();
            self.reader.get_mut().of_event = 0;
            let event = match self.reader.read_event_into(&mut self.buffer) {
                Ok(event) => event,
                Err(error) => {
                    let problem = format!("{error}: correct the XML there, or copy the file again if it is cut off");
                    return Err(DatasetError::line(&self.path, line as usize, problem));
                }
            };
            let failed = |problem: String| DatasetError::line(&self.path, line as usize, problem);
            return Ok(match event {
                Event::Start(start) => XmlEvent::Open { element: tag(&start, line).map_err(failed)?, is_empty: false },
                Event::Empty(start) => XmlEvent::Open { element: tag(&start, line).map_err(failed)?, is_empty: true },
                Event::End(_) => XmlEvent::Close,
                Event::Text(text) => XmlEvent::Text(utf8(&text).map_err(failed)?.to_owned()),
                Event::CData(text) => XmlEvent::Text(utf8(&text).map_err(failed)?.to_owned()),
                Event::GeneralRef(entity) => {
                    let name = utf8(&entity).map_err(failed)?;
                    XmlEvent::Text(entity_text(name).map_err(failed)?)
                }
                Event::Eof => XmlEvent::End,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => continue,
            });
        }
    }
}

fn tag(start: &BytesStart, line: u32) -> Result<Tag, String> {
    let mut attributes = Vec::new();
    // Each attribute is compared with all earlier ones.
    for (count, attribute) in start.attributes().enumerate() {
        if count == MOST_ATTRIBUTES {
            return Err(format!("an element has more than {MOST_ATTRIBUTES} attributes: this is no annotation file"));
        }
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = attribute
            .normalized_value(XmlVersion::default())
            .map_err(|error| format!("{error} in an attribute: write its text"))?;
        attributes.push((utf8(attribute.key.as_ref())?.to_owned(), value.into_owned()));
    }
    Ok(Tag { name: utf8(start.name().as_ref())?.to_owned(), attributes, line })
}

fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| NOT_UTF_8.to_owned())
}

/// Resolves XML's own five entities and numeric character references.
fn entity_text(name: &str) -> Result<String, String> {
    let number = match name.strip_prefix('#') {
        Some(digits) => match digits.strip_prefix('x') {
            Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok(),
            None => digits.parse().ok(),
        },
        None => None,
    };
    let found = match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => number.and_then(char::from_u32),
    };
    found.map(String::from).ok_or_else(|| format!("the entity &{}; is not expanded: write its text", shortened(name)))
}

/// Maximum number of attributes of an element; real files have at most a dozen.
const MOST_ATTRIBUTES: usize = 1000;

/// Maximum length of an element's tag, or of text between two tags, in bytes: the outline of a large polygon has a few million.
const MOST_EVENT_BYTES: usize = 64 << 20;

/// Counts the lines read through it, and ends with an error in what is no text.
struct CountedLines<R> {
    inner: R,
    lines: u32,
    /// Number of bytes of the current event.
    of_event: usize,
    has_nul: bool,
}

impl<R> CountedLines<R> {
    fn check(&self) -> std::io::Result<()> {
        let problem = if self.has_nul {
            "this is not text: it has NUL bytes".to_owned()
        } else if self.of_event > MOST_EVENT_BYTES {
            format!("a tag or a text has more than {MOST_EVENT_BYTES} bytes")
        } else {
            return Ok(());
        };
        Err(std::io::Error::new(std::io::ErrorKind::InvalidData, problem))
    }
}

impl<R: BufRead> Read for CountedLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.lines += line_breaks(buffer.iter().take(count));
        self.has_nul |= buffer.iter().take(count).any(|&byte| byte == 0);
        self.of_event += count;
        self.check().map(|()| count)
    }
}

fn line_breaks<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    bytes.filter(|&&byte| byte == b'\n').count() as u32
}

impl<R: BufRead> BufRead for CountedLines<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.check()?;
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        if let Ok(buffer) = self.inner.fill_buf() {
            let (lines, has_nul) = (line_breaks(buffer.iter().take(count)), buffer.iter().take(count).any(|&b| b == 0));
            (self.lines, self.has_nul) = (self.lines + lines, self.has_nul || has_nul);
        }
        self.of_event += count;
        self.inner.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads all events.
    fn read(file: &Path) -> Result<usize, String> {
        let mut reader = XmlReader::open(file).map_err(|error| error.to_string())?;
        let mut events = 0;
        loop {
            match reader.next().map_err(|error| error.to_string())? {
                XmlEvent::End => return Ok(events),
                _ => events += 1,
            }
        }
    }

    #[test]
    fn what_is_no_text_and_what_would_take_for_ever_ends_the_reading() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.xml");
        let check = |text: &[u8], expected: &str| {
            std::fs::write(&file, text).unwrap();
            let message = read(&file).unwrap_err();
            assert!(message.contains("a.xml:") && message.contains(expected), "{message}");
        };
        std::fs::write(&file, format!("<a>{}</a>", "<b c='1'/>".repeat(1000))).unwrap();
        assert_eq!(read(&file), Ok(1002));
        check(b"<a>\n<b>\0\0</b></a>", "NUL");
        let attributes = (0..200_000).map(|k| format!("a{k}=''")).collect::<Vec<_>>().join(" ");
        check(format!("<a>\n<b {attributes}/></a>").as_bytes(), "more than 1000 attributes");
        check(format!("<a>\n{}</a>", "x".repeat(MOST_EVENT_BYTES + (1 << 20))).as_bytes(), "more than 67108864 bytes");
        // A hole, which takes no space on the disk.
        std::fs::write(&file, "<a>\n").unwrap();
        std::fs::File::options().write(true).open(&file).unwrap().set_len(4 << 30).unwrap();
        assert!(read(&file).unwrap_err().contains("NUL"));
    }
}
