//! Secrets in text, by their shapes: what is found is replaced on the way out of il.
//!
//! Shapes only: tokens with a known beginning, private keys, passwords in addresses, and values of
//! names that end in words such as `password`. Hashes and ids without such a name stay.

use std::borrow::Cow;
use std::ops::Range;

use crate::event::{Body, Event};

/// The longest secret that is looked for, in bytes; a private key of 16384 bits is shorter.
pub const SECRET_LEN_MAX: usize = 32 << 10;

/// A secret that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Its bytes in the text.
    pub span: Range<usize>,
    /// What it looks like.
    pub kind: &'static str,
}

/// Tokens with a known beginning: the beginning, how many characters must follow at least, the
/// kind. Longer beginnings first.
const TOKENS: &[(&str, usize, &str)] = &[
    ("sk-ant-", 10, "anthropic-key"),
    ("sk-proj-", 20, "openai-key"),
    ("sk-svcacct-", 20, "openai-key"),
    ("sk-or-v1-", 20, "openrouter-key"),
    ("sk-", 20, "api-key"),
    ("github_pat_", 20, "github-token"),
    ("ghp_", 30, "github-token"),
    ("gho_", 30, "github-token"),
    ("ghu_", 30, "github-token"),
    ("ghs_", 30, "github-token"),
    ("ghr_", 30, "github-token"),
    ("glpat-", 20, "gitlab-token"),
    ("glptt-", 20, "gitlab-token"),
    ("xoxb-", 20, "slack-token"),
    ("xoxp-", 20, "slack-token"),
    ("xoxa-", 20, "slack-token"),
    ("xoxs-", 20, "slack-token"),
    ("xapp-", 20, "slack-token"),
    ("AIza", 35, "google-key"),
    ("ya29.", 30, "google-token"),
    ("AKIA", 16, "aws-key-id"),
    ("ASIA", 16, "aws-key-id"),
    ("npm_", 36, "npm-token"),
    ("pypi-AgE", 40, "pypi-token"),
    ("hf_", 30, "huggingface-token"),
    ("sk_live_", 16, "stripe-key"),
    ("rk_live_", 16, "stripe-key"),
    ("sk_test_", 16, "stripe-key"),
    ("whsec_", 20, "stripe-secret"),
    ("SG.", 40, "sendgrid-key"),
    ("dop_v1_", 40, "digitalocean-token"),
    ("shpat_", 30, "shopify-token"),
    ("lin_api_", 30, "linear-key"),
    ("gsk_", 30, "groq-key"),
    ("xai-", 40, "xai-key"),
    ("r8_", 30, "replicate-token"),
    ("dckr_pat_", 20, "docker-token"),
    ("AGE-SECRET-KEY-1", 50, "age-key"),
    ("eyJ", 40, "jwt"),
];
/// Ends of names whose values are secret, in lower case without `_` and `-`.
const NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "authtoken",
    "accesstoken",
    "refreshtoken",
    "secretaccesskey",
    "clientsecret",
    "token",
];
/// The shortest value that counts as secret.
const VALUE_LEN_MIN: usize = 8;

/// Masks texts that follow one another: a private key that one of them cuts off goes on in the next.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    /// Bytes that it may go on for; 0 where none was cut off.
    left: usize,
    /// The stream of the event that it was cut off in.
    stream: String,
}

impl Mask {
    /// The next text with every secret replaced by `[masked KIND]`.
    pub fn next<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        if self.left == 0 || text.trim().is_empty() {
            return self.first(text);
        }
        let (len, is_whole) = rest_of_key(text);
        self.left = match is_whole || len < text.len() {
            true => 0,
            false => self.left.saturating_sub(len),
        };
        match len {
            0 => self.first(text),
            _ => {
                let end = if text[..len].ends_with('\n') { "\n" } else { "" };
                Cow::Owned(format!("[masked private-key]{end}{}", self.first(&text[len..])))
            }
        }
    }

    fn first<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        if let Some(last) = find(text).last().filter(|last| last.span.end == text.len()) {
            let key = &text[last.span.clone()];
            let is_cut = last.kind == "private-key" && !key.contains("-----END ");
            self.left = if is_cut { SECRET_LEN_MAX.saturating_sub(key.len()) } else { 0 };
        }
        mask(text)
    }

    /// Masks what is said in the next event of a conversation.
    pub fn said(&mut self, event: &mut Event) {
        let text = match &mut event.body {
            Body::UserMessage(message) => &mut message.text,
            Body::AssistantMessage(message) => &mut message.text,
            Body::Thought(thought) => &mut thought.text,
            Body::ToolResult(result) => &mut result.text,
            _ => return,
        };
        let is_others = self.left > 0 && self.stream != event.stream;
        let masked = match is_others {
            // What a subagent says between the pieces is none of them.
            true => mask(text),
            false => self.next(text),
        };
        if let Cow::Owned(masked) = masked {
            *text = masked;
        }
        if self.left > 0 && !is_others {
            self.stream.clone_from(&event.stream);
        }
    }
}

/// The shortest line that is taken for one of a key, unless the key ends in it or behind it.
const KEY_LINE_LEN_MIN: usize = 16;

/// How far a text goes on with a private key, and whether that ends in it.
fn rest_of_key(text: &str) -> (usize, bool) {
    let mut lines = text.split_inclusive('\n').peekable();
    let bare = |line: &str| {
        line.trim_matches(|c: char| c.is_whitespace() || "│┃|║".contains(c)).to_owned()
    };
    let (mut at, mut len) = (0, 0);
    while let Some(line) = lines.next() {
        let words = bare(line);
        if let Some(label) = words.strip_prefix("-----END ") {
            let end = label.find("-----").map_or(words.len(), |end| 9 + end + 5);
            let start = line.find("-----END ").unwrap_or(0);
            return (at + start + end, true);
        }
        at += line.len();
        let is_key = words.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
        let ends = lines.peek().is_some_and(|next| bare(next).starts_with("-----END "));
        let is_head = words.starts_with("Proc-Type: ") || words.starts_with("DEK-Info: ");
        if words.is_empty() {
            continue;
        }
        if !is_head
            && !(is_key && (words.len() >= KEY_LINE_LEN_MIN || words.ends_with('=') || ends))
        {
            break;
        }
        len = at;
    }
    (len, false)
}

/// The text with every secret replaced by `[masked KIND]`.
pub fn mask(text: &str) -> Cow<'_, str> {
    let found = find(text);
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for Secret { span, kind } in found {
        out.push_str(&text[done..span.start]);
        out.push_str("[masked ");
        out.push_str(kind);
        out.push(']');
        done = span.end;
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

/// The secrets of a text in their order, none inside another.
pub fn find(text: &str) -> Vec<Secret> {
    let bytes = text.as_bytes();
    let mut found: Vec<Secret> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        // Shapes begin where a word begins, or with a sign.
        let begins = at == 0 || !is_word(bytes[at - 1]) || !is_word(bytes[at]);
        match begins.then(|| secret_at(text, at)).flatten() {
            Some(secret) => {
                at = secret.span.end.max(at + 1);
                found.push(secret);
            }
            None => at += 1,
        }
    }
    found
}

fn secret_at(text: &str, at: usize) -> Option<Secret> {
    let bytes = text.as_bytes();
    match bytes[at] {
        b'-' => private_key(text, at),
        b':' => credentials(bytes, at).or_else(|| value(text, at)),
        b'=' => value(text, at),
        b if b.is_ascii_alphanumeric() => token(bytes, at).or_else(|| bearer(bytes, at)),
        _ => None,
    }
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

fn token(bytes: &[u8], at: usize) -> Option<Secret> {
    let (head, len_min, kind) =
        TOKENS.iter().find(|(head, ..)| bytes[at..].starts_with(head.as_bytes()))?;
    let start = at + head.len();
    let dotted = matches!(*kind, "jwt" | "sendgrid-key" | "google-token");
    let inside = |b: &&u8| is_word(**b) || **b == b'-' || (dotted && **b == b'.');
    let len = bytes[start..].iter().take(SECRET_LEN_MAX).take_while(inside).count();
    let rest = &bytes[start..start + len];
    // A word that only begins like a token has no digit in it (`sk-learn-contrib-packages`).
    let random = rest.iter().any(u8::is_ascii_digit) || len >= 2 * len_min;
    let jwt = *kind != "jwt" || rest.iter().filter(|b| **b == b'.').count() == 2;
    (len >= *len_min && random && jwt).then(|| Secret { span: at..start + len, kind })
}

/// `Bearer …` and `Basic …`, as they stand behind `Authorization:`.
fn bearer(bytes: &[u8], at: usize) -> Option<Secret> {
    let head =
        ["Bearer ", "bearer ", "Basic "].iter().find(|h| bytes[at..].starts_with(h.as_bytes()))?;
    let start = at + head.len();
    let inside = |b: &&u8| is_word(**b) || matches!(**b, b'-' | b'.' | b'+' | b'/' | b'=' | b'~');
    let len = bytes[start..].iter().take(SECRET_LEN_MAX).take_while(inside).count();
    let value = &bytes[start..start + len];
    (len >= 16 && is_random(value))
        .then(|| Secret { span: start..start + len, kind: "credentials" })
}

/// The password in `scheme://user:password@host`.
fn credentials(bytes: &[u8], at: usize) -> Option<Secret> {
    if !bytes[at..].starts_with(b"://") {
        return None;
    }
    let start = at + 3;
    let inside =
        |b: &&u8| !b.is_ascii_whitespace() && !matches!(**b, b'/' | b'"' | b'\'' | b'<' | b'>');
    let len = bytes[start..].iter().take(1024).take_while(inside).count();
    let authority = &bytes[start..start + len];
    let end = authority.iter().rposition(|b| *b == b'@')?;
    let colon = authority[..end].iter().position(|b| *b == b':')?;
    let span = start + colon + 1..start + end;
    // `$PASSWORD` and `<password>` are places for one.
    let place = bytes.get(span.start).is_none_or(|b| matches!(b, b'$' | b'{' | b'*'));
    (!span.is_empty() && !place).then_some(Secret { span, kind: "password" })
}

fn private_key(text: &str, at: usize) -> Option<Secret> {
    let rest = &text[at..];
    let (label, body) = rest.strip_prefix("-----BEGIN ")?.split_once("-----")?;
    if !label.ends_with("PRIVATE KEY") && !label.ends_with("PRIVATE KEY BLOCK") {
        return None;
    }
    let mut limit = body.len().min(SECRET_LEN_MAX);
    while !body.is_char_boundary(limit) {
        limit -= 1;
    }
    let tail = format!("-----END {label}-----");
    // A key that is cut off is a key all the same.
    let end = body[..limit].find(&tail).map_or(limit, |end| end + tail.len());
    let start = at + "-----BEGIN ".len() + label.len() + "-----".len();
    Some(Secret { span: at..start + end, kind: "private-key" })
}

/// The value behind `name=`, `name: `, `"name": "…"`, where the name says that it is secret.
fn value(text: &str, at: usize) -> Option<Secret> {
    let bytes = text.as_bytes();
    let before = &bytes[..at];
    let spaces =
        before.iter().rev().take_while(|b| matches!(b, b' ' | b'"' | b'\'' | b'\\')).count();
    let name_end = at - spaces.min(3);
    let len = before[..name_end]
        .iter()
        .rev()
        .take(64)
        .take_while(|b| is_word(**b) || **b == b'-')
        .count();
    let name: String = text[name_end - len..name_end]
        .chars()
        .filter(|c| !matches!(c, '_' | '-'))
        .flat_map(char::to_lowercase)
        .collect();
    if !NAMES.iter().any(|tail| name.ends_with(tail)) {
        return None;
    }
    let lead = |b: &&u8| matches!(**b, b' ' | b'"' | b'\'' | b'\\' | b'=');
    let start = at + 1 + bytes[at + 1..].iter().take(4).take_while(lead).count();
    let inside = |b: &&u8| {
        !b.is_ascii_whitespace()
            && !matches!(**b, b'"' | b'\'' | b'\\' | b',' | b';' | b')' | b'}' | b'<' | b'&')
    };
    let len = bytes[start..].iter().take(SECRET_LEN_MAX).take_while(inside).count();
    let value = &bytes[start..start + len];
    let strong =
        name.ends_with("password") || name.ends_with("passwd") || name.ends_with("passphrase");
    let secret =
        len >= VALUE_LEN_MIN && (is_random(value) || (strong && has_digit_and_letter(value)));
    let code = value.iter().any(|b| matches!(b, b'(' | b'{' | b'[' | b'$'));
    (secret && !code).then(|| Secret { span: start..start + len, kind: "secret" })
}

fn has_digit_and_letter(value: &[u8]) -> bool {
    value.iter().any(u8::is_ascii_digit) && value.iter().any(u8::is_ascii_alphabetic)
}

/// Letters and digits mixed, as chance mixes them and people do not.
fn is_random(value: &[u8]) -> bool {
    let changes =
        value.windows(2).filter(|w| w[0].is_ascii_digit() != w[1].is_ascii_digit()).count();
    value.len() >= 12 && has_digit_and_letter(value) && (changes >= 3 || value.len() >= 24)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AssistantMessage, Source};

    fn check(text: &str, expected: &str) {
        assert_eq!(mask(text), expected, "{text}");
    }

    #[test]
    fn shapes_of_secrets_are_masked() {
        check("key sk-ant-api03-abcDEF12345678-x_y end", "key [masked anthropic-key] end");
        check("ghp_0123456789abcdefghijABCDEFGHIJ012345", "[masked github-token]");
        check("AKIAIOSFODNN7EXAMPLE", "[masked aws-key-id]");
        check(
            "export OPENAI_API_KEY=\"abcd1234efgh5678\"",
            "export OPENAI_API_KEY=\"[masked secret]\"",
        );
        check("{\"password\": \"hunter2hunter\"}", "{\"password\": \"[masked secret]\"}");
        check(
            "{\\\"api_key\\\":\\\"k3y0f7h3d4y9\\\"}",
            "{\\\"api_key\\\":\\\"[masked secret]\\\"}",
        );
        check("https://me:s3cret@host/x", "https://me:[masked password]@host/x");
        check(
            "Authorization: Bearer abc123def456ghi789",
            "Authorization: Bearer [masked credentials]",
        );
        check(
            "a -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- b",
            "a [masked private-key] b",
        );
        check("-----BEGIN PRIVATE KEY-----\nMIIE", "[masked private-key]");
        let jwt =
            ["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "eyJzdWIiOiIxMjM0In0", "c2lnbmF0dXJlMTIz"]
                .join(".");
        check(&jwt, "[masked jwt]");
        check("é sk-ant-0123456789é", "é [masked anthropic-key]é");
    }

    /// Texts, `|` between them, and what is shown of them.
    #[test]
    fn a_key_that_is_cut_off_goes_on_in_the_next_text() {
        let key = "MIIEpAIBAAKCAQEA1234";
        const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
        const END: &str = "-----END PRIVATE KEY-----";
        for (texts, expected) in [
            ("a <\n%\n|%\nab\n> b|c", "a *|* b|c"),
            ("<|%|%|Q==|>|%", "*|*|*|*|*|%"),
            ("<|│ % │\n\n│ % │\n", "*|*\n"),
            ("<\n%| |Proc-Type: 4,ENCRYPTED\n%\nDone.", "*| |*\nDone."),
            // They only speak of one, or of something else.
            ("like <|Done.|%", "like *|Done.|%"),
            ("<|what about\n%", "*|what about\n%"),
            ("<\n%\n>|%", "*|%"),
            ("%|%", "%|%"),
            ("password=abc1def2ghi3|%", "password=[masked secret]|%"),
        ] {
            let mut masks = Mask::default();
            let real = texts.replace('%', key).replace('<', BEGIN).replace('>', END);
            let shown: Vec<String> = real.split('|').map(|t| masks.next(t).into_owned()).collect();
            let expected = expected.replace('%', key).replace('*', "[masked private-key]");
            assert_eq!(shown.join("|"), expected, "{texts}");
        }
    }

    /// A subagent's words between the pieces are its own.
    #[test]
    fn a_key_goes_on_in_its_own_stream() {
        let mut masks = Mask::default();
        let mut shown = Vec::new();
        for (stream, text) in [
            ("main", "-----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKCAQEA1234"),
            ("sub", "MIIEpAIBAAKCAQEA5678"),
            ("main", "MIIEpAIBAAKCAQEA9012\n-----END PRIVATE KEY-----"),
        ] {
            let said = AssistantMessage { text: text.to_owned(), ..Default::default() };
            let stream = stream.to_owned();
            let mut event = Event { stream, ..Event::new(Source::Transcript, said) };
            masks.said(&mut event);
            let Body::AssistantMessage(said) = event.body else { panic!("a message") };
            shown.push(said.text);
        }
        let masked = "[masked private-key]";
        assert_eq!(shown, [masked, "MIIEpAIBAAKCAQEA5678", masked]);
    }

    #[test]
    fn what_only_looks_like_one_stays() {
        for text in [
            "commit 22fc24e9b0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5",
            "session 01a1fb3d-fd6f-7461-98ee-9d6f0e5beb66",
            "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "tokens: 812004 in, 14233 out",
            "token = next_token(input)",
            "password: string",
            "password=$DB_PASSWORD",
            "postgres://user:$PASSWORD@db/x",
            "http://localhost:8080/x@y",
            "sk-learn-contrib is a package",
            "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
            "the Bearer of good news is here today",
            "task-2024-report-final-version-of-the-year",
            "",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn any_text_is_masked_without_a_panic_and_only_once() {
        let mut state = 3u64;
        const PIECES: &[&str] = &[
            "sk-",
            "ghp_",
            "password",
            "=",
            ":",
            "\"",
            "://",
            "@",
            "-----BEGIN ",
            "PRIVATE KEY",
            "-----",
            "é",
            "a1",
            "Bearer ",
            " ",
            "\n",
            "0123456789abcdef",
        ];
        for _ in 0..2000 {
            let mut text = String::new();
            for _ in 0..20 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.push_str(PIECES[(state >> 33) as usize % PIECES.len()]);
            }
            let found = find(&text);
            assert!(found.windows(2).all(|w| w[0].span.end <= w[1].span.start), "{text:?}");
            let _ = mask(&text);
        }
    }
}
