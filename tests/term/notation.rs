//! How the tables write bytes and screens.

/// Bytes from `\e`, `\n` and friends, `\xNN` (a raw byte), `\uXXXX` and `\UXXXXXXXX` (UTF-8).
pub fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let kind = chars.next();
        match kind {
            Some('x') => out.push(u8::try_from(hex(&mut chars, 2)).expect("a byte")),
            Some('u' | 'U') => {
                let digits = if kind == Some('u') { 4 } else { 8 };
                let c = char::from_u32(hex(&mut chars, digits)).expect("a character");
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            Some('e') => out.push(0x1b),
            Some('r') => out.push(b'\r'),
            Some('n') => out.push(b'\n'),
            Some('t') => out.push(b'\t'),
            Some('b') => out.push(8),
            Some('v') => out.push(11),
            Some('f') => out.push(12),
            Some('a') => out.push(7),
            Some('\\') => out.push(b'\\'),
            other => panic!("unknown escape {other:?} in {text}"),
        }
    }
    out
}

fn hex(chars: &mut std::str::Chars<'_>, n: usize) -> u32 {
    let digits: String = chars.by_ref().take(n).collect();
    u32::from_str_radix(&digits, 16).expect("hex digits")
}

/// Rows as the tables write them: `·` for a blank, names for what cannot be seen, `¶` between.
pub fn screen(rows: impl Iterator<Item = String>) -> String {
    let mut rows: Vec<String> = rows
        .map(|row| {
            row.chars()
                .map(|c| match c {
                    ' ' => "·".to_owned(),
                    '\u{301}' => "<´>".to_owned(),
                    '\u{fe0f}' => "<16>".to_owned(),
                    '\u{fe0e}' => "<15>".to_owned(),
                    '\u{200d}' => "<Z>".to_owned(),
                    '\u{200b}' => "<zw>".to_owned(),
                    '\u{ad}' => "<shy>".to_owned(),
                    '\u{20e3}' => "<kc>".to_owned(),
                    c => c.to_string(),
                })
                .collect()
        })
        .collect();
    while rows.last().is_some_and(String::is_empty) {
        rows.pop();
    }
    match rows.is_empty() {
        true => "(blank)".to_owned(),
        false => rows.join("¶"),
    }
}
