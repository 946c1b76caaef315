//! Tolerant JSON values: records whose fields may have any type, read without building trees. A field of the wrong type invalidates its
//! record, never the file.

use std::fmt;
use std::io::Read;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::dataset::DatasetError;
use crate::domain::{NOT_UTF_8, is_not_utf8};

/// A value of which only scalars are kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Scalar {
    #[default]
    Missing,
    Number(f64),
    /// Separate from `Number`: ids above 2^53 must stay exact.
    Integer(i64),
    Text(String),
    Flag(bool),
    /// A list or an object.
    Other,
}

impl Scalar {
    /// Returns an id: an integer, also as an integral float or as text.
    pub fn id(&self) -> Option<i64> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let integral = |number: f64| (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64);
        match self {
            Self::Integer(id) => Some(*id),
            Self::Number(number) => integral(*number),
            Self::Text(text) => {
                let text = text.trim();
                text.parse().ok().or_else(|| text.parse().ok().and_then(integral))
            }
            _ => None,
        }
    }

    /// Returns a finite number, also from text.
    pub fn number(&self) -> Option<f64> {
        let number = match self {
            Self::Integer(number) => *number as f64,
            Self::Number(number) => *number,
            Self::Text(text) => text.trim().parse().ok()?,
            _ => return None,
        };
        number.is_finite().then_some(number)
    }

    /// Returns a size in pixels.
    pub fn size(&self) -> Option<u32> {
        self.id().and_then(|size| u32::try_from(size).ok()).filter(|&size| size > 0)
    }

    /// 1, true, "1", "true".
    pub fn flag(&self) -> bool {
        match self {
            Self::Flag(flag) => *flag,
            Self::Text(text) => text.trim().eq_ignore_ascii_case("true") || self.number().is_some_and(|n| n != 0.0),
            other => other.number().is_some_and(|number| number != 0.0),
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn is_missing(&self) -> bool {
        *self == Self::Missing
    }
}

/// For messages.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "'{}'", super::image_files::shortened(text)),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Other => f.write_str("a list or an object"),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Flag(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
        Ok(i64::try_from(value).map_or(Scalar::Number(value as f64), Scalar::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Missing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Scalar, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

/// A list of numbers, e.g. a box; `None` if the value is not a list, or a number in it is not finite.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Numbers(pub Option<Vec<f64>>);

impl<'de> serde::Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumbersVisitor;
        impl<'de> Visitor<'de> for NumbersVisitor {
            type Value = Numbers;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of numbers")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Numbers, A::Error> {
                const MOST: usize = 16;
                let mut numbers = Some(Vec::with_capacity(5));
                while let Some(value) = list.next_element::<Scalar>()? {
                    match (&mut numbers, value.number()) {
                        (Some(kept), Some(number)) if kept.len() < MOST => kept.push(number),
                        _ => numbers = None,
                    }
                }
                Ok(Numbers(numbers))
            }
            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Numbers, A::Error> {
                ScalarVisitor.visit_map(object).map(|_| Numbers(None))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Numbers, E> {
                Ok(Numbers(None))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Numbers, E> {
                Ok(Numbers(None))
            }
            fn visit_u64<E>(self, _: u64) -> Result<Numbers, E> {
                Ok(Numbers(None))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Numbers, E> {
                Ok(Numbers(None))
            }
            fn visit_str<E>(self, _: &str) -> Result<Numbers, E> {
                Ok(Numbers(None))
            }
            fn visit_unit<E>(self) -> Result<Numbers, E> {
                Ok(Numbers(None))
            }
        }
        deserializer.deserialize_any(NumbersVisitor)
    }
}

/// A record: an object whose fields are visited one by one; any other value is invalid.
pub(super) trait Record: Default {
    /// Reads the value of `key` with `map.next_value()`, or skips it with `IgnoredAny`.
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error>;
}

/// Reads one [`Record`]; `None` if the value is not an object.
pub(super) struct OneRecord<R>(std::marker::PhantomData<R>);

impl<R> Default for OneRecord<R> {
    fn default() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<'de, R: Record> DeserializeSeed<'de> for OneRecord<R> {
    type Value = Option<R>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<R>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, R: Record> Visitor<'de> for OneRecord<R> {
    type Value = Option<R>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<R>, A::Error> {
        let mut record = R::default();
        while let Some(key) = map.next_key::<Key>()? {
            record.field(key.as_str(), &mut map)?;
        }
        Ok(Some(record))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Option<R>, A::Error> {
        ScalarVisitor.visit_seq(list).map(|_| None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Option<R>, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Option<R>, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Option<R>, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Option<R>, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Option<R>, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Option<R>, E> {
        Ok(None)
    }
}

/// A key of an object; keys of usual length need no heap allocation.
pub(super) struct Key {
    bytes: [u8; Self::SHORT],
    length: usize,
    long: Option<String>,
}

impl Key {
    const SHORT: usize = 32;

    pub fn as_str(&self) -> &str {
        match &self.long {
            Some(text) => text,
            None => self.bytes.get(..self.length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or(""),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_str<E>(self, text: &str) -> Result<Key, E> {
                let mut key = Key { bytes: [0; Key::SHORT], length: text.len(), long: None };
                match key.bytes.get_mut(..text.len()) {
                    Some(bytes) => bytes.copy_from_slice(text.as_bytes()),
                    None => key.long = Some(text.to_owned()),
                }
                Ok(key)
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// A list whose records are passed to a function one by one with their index. A value that is not a list is an error.
pub(super) struct EachRecord<F, R> {
    each: F,
    record: std::marker::PhantomData<R>,
}

impl<R: Record, F: FnMut(u32, Option<R>)> EachRecord<F, R> {
    pub fn new(each: F) -> Self {
        Self { each, record: std::marker::PhantomData }
    }
}

impl<'de, R: Record, F: FnMut(u32, Option<R>)> DeserializeSeed<'de> for EachRecord<F, R> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, R: Record, F: FnMut(u32, Option<R>)> Visitor<'de> for EachRecord<F, R> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records, as in COCO's files")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        let mut index = 0;
        while let Some(record) = list.next_element_seed(OneRecord::<R>::default())? {
            (self.each)(index, record);
            index += 1;
        }
        Ok(())
    }
}

/// Converts a serde_json error to one that names the file and the line.
pub(super) fn json_error(path: &Path, error: &serde_json::Error) -> DatasetError {
    if let Some(kind) = error.io_error_kind() {
        return DatasetError::Io { action: "read", path: path.to_path_buf(), source: kind.into() };
    }
    if is_not_utf8(error) {
        return DatasetError::line(path, error.line().max(1), NOT_UTF_8);
    }
    let hint = if error.is_eof() { "the file is cut off: copy it again" } else { "correct the JSON there" };
    // serde_json's text ends with the position, which was already given.
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or(&text);
    DatasetError::line(path, error.line().max(1), format!("{text} (column {}); {hint}", error.column()))
}

/// Returns the first bytes of a regular file, for format detection.
pub(super) fn head_of(path: &Path) -> Option<Vec<u8>> {
    const LOOKED_AT: u64 = 64 << 10;
    let (file, _) = crate::domain::open_regular(path).ok()?;
    let mut head = Vec::new();
    file.take(LOOKED_AT).read_to_end(&mut head).ok()?;
    Some(crate::domain::without_bom(&head).to_vec())
}
