//! Words that mean something to a target, in libFuzzer's form, so that both runners
//! use the same file: a line for each, `name="text"`, where the name may be left out,
//! `#` begins a comment, and the text has the escapes `\\`, `\"` and `\xAB`.

use std::fs;
use std::path::Path;

/// The dictionary's words.
pub(super) fn read(path: &Path) -> Vec<Vec<u8>> {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| word(line).unwrap_or_else(|| panic!("{}: {line} is no word", path.display())))
        .collect()
}

fn word(line: &str) -> Option<Vec<u8>> {
    let (_, quoted) = line.split_once('"')?;
    let mut rest = quoted.strip_suffix('"')?.bytes();
    let mut word = Vec::new();
    while let Some(byte) = rest.next() {
        word.push(match byte {
            b'\\' => match rest.next()? {
                b'x' => {
                    let mut value = [0];
                    hex::decode_to_slice([rest.next()?, rest.next()?], &mut value).ok()?;
                    value[0]
                }
                escaped @ (b'\\' | b'"') => escaped,
                _ => return None,
            },
            plain => plain,
        });
    }
    Some(word)
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn words_are_read_as_libfuzzer_reads_them() {
        assert_eq!(word(r#""plain""#).unwrap(), b"plain");
        assert_eq!(word(r#"named="a""#).unwrap(), b"a");
        assert_eq!(
            word(r#""\"q\" \\ \x00\xfF""#).unwrap(),
            b"\"q\" \\ \x00\xff"
        );
        for wrong in ["", "bare", "\"open", r#""\n""#, r#""\x0""#] {
            assert!(word(wrong).is_none(), "{wrong}");
        }
    }
}
