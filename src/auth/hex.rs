//! Bytes as hexadecimal text, which needs no quoting anywhere.

use std::fmt::Write as _;

/// Two lower-case digits for each byte.
pub(super) fn encode(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes of exactly 64 digits, in lower or upper case: both write the same number.
pub(super) fn decode(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let mut bytes = [0; 32];
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_64_digits_are_read_and_they_read_back_as_written() {
        let bytes: [u8; 32] = std::array::from_fn(|i| u8::try_from(i * 8 + 3).unwrap());
        let text = encode(&bytes);
        assert!(text.starts_with("030b131b"), "{text}");
        assert_eq!(decode(&text), Some(bytes));
        assert_eq!(decode(&text.to_uppercase()), Some(bytes));
        for bad in [
            "",
            &text[..62],
            &text[..63],
            &format!("{text}0"),
            &format!("{text}00"),
            &format!("+{}", &text[1..]),
            &format!("é{}", &text[2..]),
        ] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
