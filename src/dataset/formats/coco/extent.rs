//! Computes the box of a COCO segmentation without storing it: polygons (lists of `x, y, x, y ...`) or a run-length code, plain or
//! compressed.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::dataset::formats::json_values::{Key, Scalar};
use crate::geometry::BoundingBox;

/// The extent of a `segmentation`.
#[derive(Debug, Default)]
pub(super) enum Extent {
    /// Missing, empty or nonsense.
    #[default]
    None,
    Polygons(BoundingBox),
    /// Run lengths, starting with background, down the columns of an image of this height.
    Runs {
        height: u64,
        counts: Counts,
    },
}

#[derive(Debug)]
pub(super) enum Counts {
    Plain(Vec<u64>),
    /// pycocotools' compressed code: 6 bits per character, differences to the run before the previous one.
    Compressed(String),
}

impl Extent {
    pub fn bounding_box(&self) -> Option<BoundingBox> {
        match self {
            Self::None => None,
            Self::Polygons(bbox) => Some(*bbox),
            Self::Runs { height, counts: Counts::Plain(counts) } => box_of_runs(*height, counts.iter().copied()),
            Self::Runs { height, counts: Counts::Compressed(code) } => {
                box_of_runs(*height, decompressed(code)?.into_iter())
            }
        }
    }
}

/// pycocotools' `rleFrString`.
fn decompressed(code: &str) -> Option<Vec<u64>> {
    let mut counts: Vec<i64> = Vec::new();
    let mut bytes = code.bytes();
    while let Some(first) = bytes.next() {
        let (mut value, mut shift, mut byte) = (0_i64, 0_u32, first);
        loop {
            let bits = i64::from(byte.checked_sub(48)?);
            if bits > 63 || shift > 55 {
                return None;
            }
            value |= (bits & 0x1f) << shift;
            shift += 5;
            if bits & 0x20 == 0 {
                if bits & 0x10 != 0 {
                    value |= -1 << shift;
                }
                break;
            }
            byte = bytes.next()?;
        }
        if let [_, .., before, _] = counts[..] {
            value = value.checked_add(before)?;
        }
        counts.push(value);
    }
    counts.into_iter().map(|count| u64::try_from(count).ok()).collect()
}

/// Every second run is foreground.
fn box_of_runs(height: u64, counts: impl Iterator<Item = u64>) -> Option<BoundingBox> {
    if height == 0 {
        return None;
    }
    let mut at = 0_u64;
    let (mut left, mut right, mut top, mut bottom) = (u64::MAX, 0, u64::MAX, 0);
    for (k, count) in counts.enumerate() {
        let end = at.checked_add(count)?;
        if k % 2 == 1 && count > 0 {
            let last = end - 1;
            left = left.min(at / height);
            right = right.max(last / height + 1);
            let one_column = at / height == last / height;
            top = top.min(if one_column { at % height } else { 0 });
            bottom = bottom.max(if one_column { last % height + 1 } else { height });
        }
        at = end;
    }
    (right > 0).then(|| BoundingBox::new(left as f64, top as f64, right as f64, bottom as f64))
}

impl<'de> serde::Deserialize<'de> for Extent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ExtentVisitor)
    }
}

struct ExtentVisitor;

impl<'de> Visitor<'de> for ExtentVisitor {
    type Value = Extent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a segmentation")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Extent, A::Error> {
        let mut corners = Corners::default();
        while let Some(ring) = list.next_element::<Ring>()? {
            corners.merge(&ring.0);
        }
        Ok(corners.bounding_box().map_or(Extent::None, Extent::Polygons))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Extent, A::Error> {
        let (mut height, mut counts) = (None, None);
        while let Some(key) = map.next_key::<Key>()? {
            match key.as_str() {
                "size" => height = map.next_value::<Ring>()?.0.first,
                "counts" => counts = map.next_value::<RunLengths>()?.0,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(match (height, counts) {
            (Some(height), Some(counts)) if height >= 1.0 => Extent::Runs { height: height as u64, counts },
            _ => Extent::None,
        })
    }

    fn visit_bool<E>(self, _: bool) -> Result<Extent, E> {
        Ok(Extent::None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Extent, E> {
        Ok(Extent::None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Extent, E> {
        Ok(Extent::None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Extent, E> {
        Ok(Extent::None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Extent, E> {
        Ok(Extent::None)
    }

    fn visit_unit<E>(self) -> Result<Extent, E> {
        Ok(Extent::None)
    }
}

/// Minimum and maximum x and y of alternating coordinates.
#[derive(Debug, Default)]
struct Corners {
    first: Option<f64>,
    count: usize,
    bounds: Option<[f64; 4]>,
}

impl Corners {
    fn add(&mut self, value: f64) {
        self.first.get_or_insert(value);
        let [x1, y1, x2, y2] = self.bounds.get_or_insert([f64::MAX, f64::MAX, f64::MIN, f64::MIN]);
        let (low, high) = if self.count.is_multiple_of(2) { (x1, x2) } else { (y1, y2) };
        *low = low.min(value);
        *high = high.max(value);
        self.count += 1;
    }

    fn merge(&mut self, other: &Self) {
        let Some([a, b, c, d]) = other.bounds.filter(|_| other.count >= 6) else { return };
        let [x1, y1, x2, y2] = self.bounds.get_or_insert([f64::MAX, f64::MAX, f64::MIN, f64::MIN]);
        (*x1, *y1, *x2, *y2) = (x1.min(a), y1.min(b), x2.max(c), y2.max(d));
    }

    fn bounding_box(&self) -> Option<BoundingBox> {
        self.bounds.map(|[x1, y1, x2, y2]| BoundingBox::new(x1, y1, x2, y2))
    }
}

/// One polygon, or `size` of a run-length code.
#[derive(Debug, Default)]
struct Ring(Corners);

impl<'de> serde::Deserialize<'de> for Ring {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RingVisitor;
        impl<'de> Visitor<'de> for RingVisitor {
            type Value = Ring;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of coordinates")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Ring, A::Error> {
                let mut corners = Corners::default();
                while let Some(value) = list.next_element::<Scalar>()? {
                    if let Some(number) = value.number() {
                        corners.add(number);
                    }
                }
                Ok(Ring(corners))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ring, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Ring::default())
            }
            fn visit_bool<E>(self, _: bool) -> Result<Ring, E> {
                Ok(Ring::default())
            }
            fn visit_i64<E>(self, _: i64) -> Result<Ring, E> {
                Ok(Ring::default())
            }
            fn visit_u64<E>(self, _: u64) -> Result<Ring, E> {
                Ok(Ring::default())
            }
            fn visit_f64<E>(self, _: f64) -> Result<Ring, E> {
                Ok(Ring::default())
            }
            fn visit_str<E>(self, _: &str) -> Result<Ring, E> {
                Ok(Ring::default())
            }
            fn visit_unit<E>(self) -> Result<Ring, E> {
                Ok(Ring::default())
            }
        }
        deserializer.deserialize_any(RingVisitor)
    }
}

/// The `counts` of a run-length code.
struct RunLengths(Option<Counts>);

impl<'de> serde::Deserialize<'de> for RunLengths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RunsVisitor;
        impl<'de> Visitor<'de> for RunsVisitor {
            type Value = RunLengths;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("run lengths")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RunLengths, A::Error> {
                let mut counts = Some(Vec::new());
                while let Some(value) = list.next_element::<Scalar>()? {
                    match (&mut counts, value.id().and_then(|count| u64::try_from(count).ok())) {
                        (Some(kept), Some(count)) => kept.push(count),
                        _ => counts = None,
                    }
                }
                Ok(RunLengths(counts.map(Counts::Plain)))
            }
            fn visit_str<E>(self, code: &str) -> Result<RunLengths, E> {
                Ok(RunLengths(Some(Counts::Compressed(code.to_owned()))))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RunLengths, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(RunLengths(None))
            }
            fn visit_bool<E>(self, _: bool) -> Result<RunLengths, E> {
                Ok(RunLengths(None))
            }
            fn visit_i64<E>(self, _: i64) -> Result<RunLengths, E> {
                Ok(RunLengths(None))
            }
            fn visit_u64<E>(self, _: u64) -> Result<RunLengths, E> {
                Ok(RunLengths(None))
            }
            fn visit_f64<E>(self, _: f64) -> Result<RunLengths, E> {
                Ok(RunLengths(None))
            }
            fn visit_unit<E>(self) -> Result<RunLengths, E> {
                Ok(RunLengths(None))
            }
        }
        deserializer.deserialize_any(RunsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segmentations_give_their_boxes() {
        let check = |json: &str, expected: Option<[f64; 4]>| {
            let extent: Extent = serde_json::from_str(json).unwrap();
            let found = extent.bounding_box().map(|b| [b.x1, b.y1, b.x2, b.y2]);
            assert_eq!(found, expected, "{json}");
        };
        check("[[1, 2, 9, 2, 9, 8], [0, 3, 5, 3, 5, 9.5]]", Some([0.0, 2.0, 9.0, 9.5]));
        // 4 x 4, the middle 2 x 2.
        check(r#"{"size": [4, 4], "counts": [5, 2, 2, 2, 5]}"#, Some([1.0, 1.0, 3.0, 3.0]));
        check(r#"{"size": [4, 4], "counts": "52203"}"#, Some([1.0, 1.0, 3.0, 3.0]));
        // A run over several columns extends from top to bottom.
        check(r#"{"size": [4, 4], "counts": [6, 4, 6]}"#, Some([1.0, 0.0, 3.0, 4.0]));
        for nothing in [
            "[]",
            "null",
            "[[]]",
            "[[1, 2]]",
            "7",
            r#"{"counts": [1, 2]}"#,
            r#"{"size": [0, 0], "counts": [0, 9]}"#,
            r#"{"size": [4, 4], "counts": "~~~"}"#,
            r#"{"size": [4, 4], "counts": [16]}"#,
            r#""x""#,
            "[[{}]]",
        ] {
            check(nothing, None);
        }
    }
}
