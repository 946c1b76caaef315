//! Counts with their nouns: `1 candidate`, `2 candidates`.

/// Formats `count` with the noun, in the plural unless it is 1.
pub fn counted(count: impl TryInto<u64>, noun: &str) -> String {
    // Counts that are too large for the type are not 1.
    let count = count.try_into().unwrap_or(u64::MAX);
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Formats `count` with `one` or `many`, for a noun with more around it: `1 image is`, `2 images are`.
pub fn counted_as(count: impl TryInto<u64>, one: &str, many: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular() {
        let texts = [0_u64, 1, 2].map(|count| counted(count, "hard negative"));
        assert_eq!(texts, ["0 hard negatives", "1 hard negative", "2 hard negatives"]);
        assert_eq!(counted(1_usize, "image"), "1 image");
        let texts = [0_u64, 1, 2].map(|count| counted_as(count, "image is", "images are"));
        assert_eq!(texts, ["0 images are", "1 image is", "2 images are"]);
    }
}
