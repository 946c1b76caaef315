//! Streams XML elements with their line numbers. Entities are not expanded, except XML's own five and character references.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::image_files::shortened;
use crate::dataset::DatasetError;
use crate::domain::{begin_text, open_regular};

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
        let mut inner = CountedLines { inner: BufReader::with_capacity(1 << 16, file), lines: 0 };
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
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = attribute
            .normalized_value(XmlVersion::default())
            .map_err(|error| format!("{error} in an attribute: write its text"))?;
        attributes.push((utf8(attribute.key.as_ref())?.to_owned(), value.into_owned()));
    }
    Ok(Tag { name: utf8(start.name().as_ref())?.to_owned(), attributes, line })
}

fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "the text is not UTF-8. Save the file as UTF-8".to_owned())
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

/// Counts the lines read through it.
struct CountedLines<R> {
    inner: R,
    lines: u32,
}

impl<R: BufRead> Read for CountedLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.lines += line_breaks(buffer.iter().take(count));
        Ok(count)
    }
}

fn line_breaks<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    bytes.filter(|&&byte| byte == b'\n').count() as u32
}

impl<R: BufRead> BufRead for CountedLines<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        if let Ok(buffer) = self.inner.fill_buf() {
            self.lines += line_breaks(buffer.iter().take(count));
        }
        self.inner.consume(count);
    }
}
