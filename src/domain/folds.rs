//! Lists of folds as people write them. Must not know which folds a project has.

/// Numbers from 1 between commas, semicolons or blanks, ranges with a dash: `8`, `9, 10`, `1-3`. Sorted, each once.
pub fn parse_folds(text: &str) -> Result<Vec<u8>, String> {
    let bad = |part: &str| format!("`{part}` is no fold: write numbers like 8, or 9, 10, or 1-3");
    let number = |part: &str| part.trim().parse::<u8>().ok().filter(|n| 0 < *n).ok_or_else(|| bad(part));
    let mut folds = Vec::new();
    for part in text.split([',', ' ', ';']).filter(|part| !part.trim().is_empty()) {
        match part.split_once('-') {
            Some((from, to)) => {
                let (first, last) = (number(from)?, number(to)?);
                if last < first {
                    return Err(bad(part));
                }
                folds.extend(first..=last);
            }
            None => folds.push(number(part)?),
        }
    }
    folds.sort_unstable();
    folds.dedup();
    Ok(folds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_are_read_as_people_write_them() {
        let check = |text: &str, expected: &[u8]| assert_eq!(parse_folds(text).unwrap(), expected, "{text}");
        check("8", &[8]);
        check(" 9,10 ", &[9, 10]);
        check("10 9; 9", &[9, 10]);
        check("1-3, 7", &[1, 2, 3, 7]);
        check("", &[]);
        for bad in ["eight", "0", "1-", "300", "3-1"] {
            assert!(parse_folds(bad).unwrap_err().contains("is no fold"), "{bad}");
        }
    }
}
