//! The reader and the writer against serde_json, and the limits at and one past each.

use super::*;

/// Small deterministic generator (xorshift64*); the seed is all there is to a case.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }
}

fn generate(rng: &mut Rng, depth: u32) -> Value {
    match rng.below(if depth == 0 { 6 } else { 8 }) {
        0 => Value::Null,
        1 => Value::Bool(rng.below(2) == 0),
        2 => Value::Int(rng.next() as i64 >> rng.below(64)),
        3 => Value::from(rng.next()),
        4 => {
            let n = f64::from_bits(rng.next());
            Value::Float(if n.is_finite() { n } else { 0.5 })
        }
        5 => Value::String(text(rng)),
        6 => Value::Array((0..rng.below(5)).map(|_| generate(rng, depth - 1)).collect()),
        _ => (0..rng.below(5))
            .map(|n| (format!("{n}{}", text(rng)), generate(rng, depth - 1)))
            .collect::<Object>()
            .into(),
    }
}

fn text(rng: &mut Rng) -> String {
    const CHARS: [char; 16] = [
        'a', '"', '\\', '\n', '\u{0}', '\u{1f}', '\u{7f}', 'é', '漢', '😀', '/', '\u{2028}', '{',
        ' ', '\t', '\u{fffd}',
    ];
    (0..rng.below(24)).map(|_| CHARS[rng.below(16) as usize]).collect()
}

fn same(ours: &Value, theirs: &serde_json::Value) -> bool {
    match (ours, theirs) {
        (Value::Null, serde_json::Value::Null) => true,
        (Value::Bool(a), serde_json::Value::Bool(b)) => a == b,
        (Value::Int(a), serde_json::Value::Number(b)) => b.as_i64() == Some(*a),
        (Value::Uint(a), serde_json::Value::Number(b)) => {
            b.as_i64().is_none() && b.as_u64() == Some(*a)
        }
        (Value::Float(a), serde_json::Value::Number(b)) => {
            b.is_f64() && b.as_f64().map(f64::to_bits) == Some(a.to_bits())
        }
        (Value::String(a), serde_json::Value::String(b)) => a == b,
        (Value::Array(a), serde_json::Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), serde_json::Value::Object(b)) => {
            a.iter().all(|(n, _)| b.contains_key(n))
                && b.iter().all(|(n, b)| a.get(n).is_some_and(|a| same(a, b)))
        }
        _ => false,
    }
}

#[test]
fn generated_documents_read_the_same_as_serde_json_reads_them() {
    for seed in 1..3000 {
        let value = generate(&mut Rng(seed), 5);
        let compact = value.to_string();
        let theirs: serde_json::Value = serde_json::from_str(&compact).expect(&compact);
        assert!(same(&value, &theirs), "seed {seed}: {compact}");
        for text in [compact, value.pretty(), theirs.to_string()] {
            let back = parse(text.as_bytes()).expect(&text);
            assert!(same(&back, &theirs), "seed {seed}: {text}");
        }
    }
}

#[test]
fn pretty_text_is_laid_out_as_serde_json_lays_it_out() {
    for text in [r#"{"a":[1,{"b":[]},{}],"c":{"d":null}}"#, "[]", "3", r#"[["x"],[[1]]]"#] {
        let theirs: serde_json::Value = serde_json::from_str(text).expect(text);
        let pretty = serde_json::to_string_pretty(&theirs).expect(text);
        assert_eq!(parse(text.as_bytes()).expect(text).pretty(), pretty);
    }
}

/// Accepts exactly what serde_json accepts, whatever the bytes are.
fn check_acceptance(text: &[u8]) {
    let shown = String::from_utf8_lossy(text);
    match (parse(text), serde_json::from_slice::<serde_json::Value>(text)) {
        (Ok(a), Ok(b)) => assert!(same(&a, &b), "{shown}"),
        (Err(_), Err(_)) => {}
        (a, b) => panic!("{shown}: ours {a:?}, theirs {b:?}"),
    }
}

#[test]
fn hard_cases_are_accepted_and_refused_as_by_serde_json() {
    for text in [
        "",
        " ",
        "[",
        "]",
        "{",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1,\"a\":2}",
        "[1]x",
        "1 2",
        "nul",
        "nulll",
        "True",
        "tru",
        "-",
        "+1",
        "01",
        "-01",
        "0",
        "-0",
        "-0.0",
        "1.",
        ".5",
        "1.e1",
        "1e",
        "1e+",
        "1E5",
        "1e-5",
        "0e1",
        "0x1",
        "1e400",
        "-1e400",
        "1e-400",
        "123456789012345678901234567890",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "18446744073709551616",
        "NaN",
        "Infinity",
        "\"",
        "\"\\",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud83d\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ude00\"",
        "\"\\ud83d\\u0041\"",
        "\"\\ud83dx\"",
        "\"\\u0000\"",
        "\"\u{0}\"",
        "\"\n\"",
        "\"\u{1f}\"",
        "\"\u{7f}\"",
        "\"\\/\\b\\f\\n\\r\\t\"",
        "\u{feff}1",
        "/* */1",
        "1//",
        "[1,\u{b}2]",
        "\u{a0}1",
        "\t\r\n [ \t\r\n ] \t\r\n",
        "[[[[]]]]",
        "{\"\":0}",
        "{\"a\\u0062\":1}",
        "1.7976931348623157e308",
        "1.7976931348623159e308",
        "4.9e-324",
        "0.1e1",
        "100000000000000000000",
        "1.0",
        "\"\\u00e9é\\u6f22\"",
    ] {
        check_acceptance(text.as_bytes());
    }
    for text in [
        b"\"\xff\"".as_slice(),
        b"\"\xc3\"",
        b"\"\xed\xa0\x80\"",
        b"\xef\xbb\xbf1",
        b"\"ab\xf0\x9f\x98\"",
    ] {
        check_acceptance(text);
    }
}

#[test]
fn broken_documents_are_refused_where_serde_json_refuses_them() {
    for seed in 1..4000 {
        let mut rng = Rng(seed);
        let mut text = generate(&mut rng, 4).to_string().into_bytes();
        for _ in 0..=rng.below(2) {
            let at = rng.below(text.len() as u64) as usize;
            match rng.below(3) {
                0 => text[at] = rng.next() as u8,
                1 => text.truncate(at),
                _ => text.insert(at, b"{}[]\",:\\1e."[rng.below(11) as usize]),
            }
            if text.is_empty() {
                break;
            }
        }
        check_acceptance(&text);
        // The forgiving reader takes all that the strict one takes, and gives the same value.
        if let Ok(value) = parse(&text) {
            assert_eq!(parse_lossy(&text), Ok(value));
        }
    }
}

#[test]
fn errors_say_what_and_where() {
    for (text, kind, line, column) in [
        ("[1,\n  2,\n  x]", ErrorKind::Syntax, 3, 3),
        ("{\"a\":", ErrorKind::End, 1, 6),
        ("[1] 2", ErrorKind::Trailing, 1, 5),
        ("[01]", ErrorKind::Number, 1, 3),
        ("1e999", ErrorKind::Range, 1, 6),
        ("\"\\q\"", ErrorKind::Escape, 1, 4),
        ("\"\\ud800\"", ErrorKind::Surrogate, 1, 8),
        ("\"a\tb\"", ErrorKind::Control, 1, 3),
    ] {
        let e = parse(text.as_bytes()).expect_err(text);
        assert_eq!((e.kind, e.line, e.column), (kind, line, column), "{text}");
    }
    let e = parse(b"\"abc\xff\"").expect_err("not UTF-8");
    assert_eq!((e.kind, e.column), (ErrorKind::Utf8, 5));
    assert_eq!(e.to_string(), "not UTF-8 at line 1, column 5");
}

#[test]
fn the_forgiving_reader_keeps_what_it_can() {
    for (text, expected) in [
        (b"\"a\\ud83dz\"".as_slice(), "a\u{fffd}z"),
        (b"\"\\ud83d\\u0041\"", "\u{fffd}A"),
        (b"\"\\udc00\\ud83d\\ude00\"", "\u{fffd}😀"),
        (b"\"a\xffb\"", "a\u{fffd}b"),
        (b"\"a\tb\x1b\"", "a\tb\u{1b}"),
    ] {
        assert_eq!(parse_lossy(text), Ok(Value::from(expected)));
        assert!(parse(text).is_err());
    }
}

#[test]
fn limits_hold_at_the_limit_and_one_past_it() {
    let nested = |n: usize| ["[".repeat(n), "]".repeat(n)].concat();
    assert!(parse(nested(DEPTH_MAX).as_bytes()).is_ok());
    let kind = |text: &[u8]| parse(text).expect_err("past a limit").kind;
    assert_eq!(kind(nested(DEPTH_MAX + 1).as_bytes()), ErrorKind::Deep);
    assert_eq!(kind("[".repeat(1 << 20).as_bytes()), ErrorKind::Deep);

    let wide = |n: usize| format!("[{}1]", "1,".repeat(n - 2));
    assert!(parse(wide(VALUES_MAX).as_bytes()).is_ok());
    assert_eq!(kind(wide(VALUES_MAX + 1).as_bytes()), ErrorKind::Many);

    let mut long = vec![b' '; DOCUMENT_LEN_MAX];
    long[0] = b'1';
    assert!(parse(&long).is_ok());
    long.push(b' ');
    assert_eq!(kind(&long), ErrorKind::Long);
}

#[test]
fn objects_keep_their_order_and_both_of_two_equal_names() {
    let text = r#"{"z":1,"a":2,"z":3}"#;
    let mut value = parse(text.as_bytes()).expect(text);
    assert_eq!(value.to_string(), text);
    assert_eq!(value.u64_at("z"), Some(3));
    let Value::Object(object) = &mut value else { panic!("not an object") };
    object.insert("a", "x");
    object.insert("b", true);
    assert_eq!(object.remove("z"), Some(Value::Int(3)));
    assert_eq!(value.to_string(), r#"{"a":"x","b":true}"#);
}

#[test]
fn the_streaming_writer_writes_what_a_value_would() {
    let mut out = String::new();
    write_object(&mut out, |o| {
        o.string("s", "a\"\u{1}");
        o.string_opt("none", None);
        o.int("i", u64::MAX);
        o.int("n", i64::MIN);
        o.float("f", 1.0);
        o.float("nan", f64::NAN);
        o.bool("b", true);
        o.null("z");
        o.object("o", |o| o.int("x", 1));
        o.array("a", |a| {
            a.int(1);
            a.string("t");
            a.array(|_| {});
            a.object(|_| {});
        });
    });
    let expected = concat!(
        r#"{"s":"a\"\u0001","i":18446744073709551615,"n":-9223372036854775808,"f":1.0,"#,
        r#""nan":null,"b":true,"z":null,"o":{"x":1},"a":[1,"t",[],{}]}"#
    );
    assert_eq!(out, expected);
    assert_eq!(parse(out.as_bytes()).expect(&out).to_string(), expected);
}

/// One word a record: `offset+len@line=value` or `!kind`.
fn show(record: Record) -> String {
    let Record { offset, len, line, value } = record;
    match value {
        Ok(value) => format!("{offset}+{len}@{line}={value}"),
        Err(kind) => format!("{offset}+{len}@{line}!{kind:?}"),
    }
}

fn check_records(text: &[u8], expected: &[&str]) {
    let seen: Vec<String> = records(text).map(show).collect();
    assert_eq!(seen, expected, "{}", String::from_utf8_lossy(text));
    for step in [1, 2, 3, 7, text.len().max(1)] {
        let mut fed = Vec::new();
        let mut feed = Feed::new();
        for piece in text.chunks(step) {
            feed.feed(piece, &mut |record| fed.push(show(record)));
        }
        feed.finish(&mut |record| fed.push(show(record)));
        assert_eq!(fed, expected, "in steps of {step}: {}", String::from_utf8_lossy(text));
    }
}

#[test]
fn lines_are_read_as_crashes_leave_them() {
    check_records(b"", &[]);
    check_records(b"\n\r\n \t\n\0\0\n", &[]);
    check_records(b"{\"a\":1}\n{\"b\":2}", &["0+7@1={\"a\":1}", "8+7@2={\"b\":2}"]);
    check_records(b"{\"a\":1}\r\n{\"b\":2}\r\n", &["0+7@1={\"a\":1}", "9+7@2={\"b\":2}"]);
    check_records(b"\xef\xbb\xbf{\"a\":1}\n", &["3+7@1={\"a\":1}"]);
    // Two records on one line, with and without a NUL block between them.
    check_records(b"{\"a\":1}{\"b\":2}\n", &["0+7@1={\"a\":1}", "7+7@1={\"b\":2}"]);
    check_records(b"{\"a\":1}\0\0\0{\"b\":2}\n", &["0+7@1={\"a\":1}", "10+7@1={\"b\":2}"]);
    check_records(b"\0\0{\"a\":1}\n", &["2+7@1={\"a\":1}"]);
    // A half line at the end, and one that the next writer has appended to.
    check_records(b"{\"a\":1}\n{\"a\":[1", &["0+7@1={\"a\":1}", "8+7@2!End"]);
    check_records(
        b"{\"a\":1}\n{\"a\":\"x{\"a\":3}\n",
        &["0+7@1={\"a\":1}", "8+7@2!Syntax", "15+7@2={\"a\":3}"],
    );
    check_records(b"{\"a\":\"x\0\0{\"b\":3}\n", &["0+7@1!Syntax", "9+7@1={\"b\":3}"]);
    // A part of a broken record is no record: it does not open as records of this text do.
    check_records(b"{\"a\":1}\n{\"a\":{\"b\":2}\n", &["0+7@1={\"a\":1}", "8+12@2!End"]);
    // The torn tail of a record, and values that are alone on their line.
    check_records(b"\"t\":\"x\"}\n", &["0+8@1!Trailing"]);
    check_records(b"12\ntrue\nno\n", &["0+2@1=12", "3+4@2=true", "8+2@3!Syntax"]);
    check_records(b"{\"a\":\"\\ud83d\xff\"}\n", &["0+15@1={\"a\":\"\u{fffd}\u{fffd}\"}"]);
}

#[test]
fn a_line_past_the_limit_is_said_and_passed_over() {
    let mut text = vec![b' '; LINE_LEN_MAX];
    text[0] = b'1';
    let whole = |text: &[u8]| -> Vec<_> {
        records(text).map(|r| (r.offset, r.len, r.line, r.value)).collect()
    };
    text.extend_from_slice(b"\n2");
    let end = LINE_LEN_MAX as u64;
    assert_eq!(whole(&text), [(0, 1, 1, Ok(Value::Int(1))), (end + 1, 1, 2, Ok(Value::Int(2)))]);
    text.insert(1, b' ');
    let expected = [(0, end + 1, 1, Err(ErrorKind::Long)), (end + 2, 1, 2, Ok(Value::Int(2)))];
    assert_eq!(whole(&text), expected);
    let mut fed = Vec::new();
    let mut feed = Feed::new();
    for piece in text.chunks(1 << 20) {
        feed.feed(piece, &mut |r| fed.push((r.offset, r.len, r.line, r.value)));
        assert!(feed.pending_len() <= LINE_LEN_MAX);
    }
    feed.finish(&mut |r| fed.push((r.offset, r.len, r.line, r.value)));
    assert_eq!(fed, expected);
}

#[test]
fn broken_lines_neither_panic_nor_take_long() {
    // Every place looks like a beginning and none is one.
    let mut text = b"{\"a\":1}\n".to_vec();
    text.extend_from_slice(&b"{\"a\":[".repeat(200_000));
    assert_eq!(records(&text).count(), 2);
    const PIECES: &[u8] = b"{}[]\",:\\1e.a\n\0\xff \xef\xbb\xbf";
    for seed in 1..500 {
        let mut rng = Rng(seed);
        let bytes: Vec<u8> =
            (0..200).map(|_| PIECES[rng.below(PIECES.len() as u64) as usize]).collect();
        let mut end = 0;
        for record in records(&bytes) {
            assert!(record.offset >= end, "seed {seed}: records overlap");
            end = record.offset + record.len;
            assert!(record.len > 0 && end <= bytes.len() as u64, "seed {seed}");
        }
    }
}

/// The values of these places, whatever the pieces in which the text comes.
#[test]
fn values_are_found_again_by_their_places() {
    struct Cut<'a>(&'a [u8], usize);
    impl Pieces for Cut<'_> {
        fn each(&self, take: &mut dyn FnMut(&[u8]) -> std::ops::ControlFlow<()>) {
            let _ = self.0.chunks(self.1).try_for_each(take);
        }
    }
    let text = br#"{"a":"\u00e9"} ruin {"b":[1,2]}{"c":3}"#;
    let check = |places: &[(u64, usize)], expected: &[&str]| {
        for len in 1..=text.len() {
            let mut found = Vec::new();
            visit_places(&Cut(text, len), &mut places.iter().copied(), &mut |at, value| {
                found.push(format!("{at} {}", value.to_value()));
            });
            assert_eq!(found, expected, "{places:?} in pieces of {len}");
        }
    };
    let all = [r#"0 {"a":"é"}"#, r#"20 {"b":[1,2]}"#, r#"31 {"c":3}"#];
    check(&[(0, 14), (20, 11), (31, 7)], &all);
    check(&[(31, 7)], &all[2..]);
    check(&[(15, 4), (31, 7)], &["15 null", all[2]]);
    // Places that the text does not have, or has only a part of.
    check(&[(20, 11), (20, 11), (31, 8), (99, 1)], &all[1..2]);
    check(&[(38, 1)], &[]);
    check(&[], &[]);
}

/// The list `m` of a document: elements as they are, broken spans as their text in `<>`.
fn listed(text: &str) -> String {
    let read = document(text.as_bytes(), "m");
    let said = read.elements.iter().map(|record| {
        let span = &text[record.offset as usize..(record.offset + record.len) as usize];
        match &record.value {
            Ok(value) => {
                assert_eq!(parse(span.as_bytes()).as_ref(), Ok(value), "{text}");
                span.split_whitespace().collect::<String>()
            }
            Err(_) => format!("<{span}>"),
        }
    });
    let said: Vec<String> = said.collect();
    format!("{} {}", Value::from(read.members), said.join(" "))
}

#[test]
fn a_broken_document_is_read_as_far_as_it_goes() {
    let check = |text: &str, expected: &str| assert_eq!(listed(text), expected, "{text:?}");
    check(r#"{"a":1,"m":[{"id":1},{"id":2}],"z":[]}"#, r#"{"a":1,"z":[]} {"id":1} {"id":2}"#);
    check(" { \"m\" : [ ] } \n", "{} ");
    check(r#"{"m":{"id":1}}"#, r#"{"m":{"id":1}} "#);
    // Cut.
    check(r#"{"a":1,"m":[{"id":1},{"id":2},{"i"#, r#"{"a":1} {"id":1} {"id":2} <{"i> <>"#);
    check(r#"{"a":1,"m":[{"id":1},"#, r#"{"a":1} {"id":1} <>"#);
    check(r#"{"a":1,"m":[{"id":1}]"#, r#"{"a":1} {"id":1} <>"#);
    check(r#"{"a":1,"b"#, r#"{"a":1} <"b>"#);
    check("", "{} <>");
    // One element is broken; what is inside it is none.
    check(
        r#"{"m":[{"id":1},{"id":!,"in":[{"x":1},{"x":2}]},{"id":3}],"z":1}"#,
        r#"{"z":1} {"id":1} <{"id":!,"in":[{"x":1},{"x":2}]},> {"id":3}"#,
    );
    check(
        "{\"m\":[\n  {\"id\":!,\n    \"in\":[\n      {\"id\":1},\n      {\"id\":2}\n    ]},\n  {\"id\":3}]}",
        "{} <{\"id\":!,\n    \"in\":[\n      {\"id\":1},\n      {\"id\":2}\n    ]},\n  > {\"id\":3}",
    );
    // What stands between them is broken, or missing.
    check(r#"{"m":[{"id":1}x{"id":2} {"id":3}]}"#, r#"{} {"id":1} <x> {"id":2} {"id":3}"#);
    // What stands before the list.
    check(r#"{"a":!,"m":[{"id":1}],"z":1}"#, r#"{} <"a":!,> {"id":1}"#);
    check(r#"x"m":[{"id":1}]}"#, r#"{} <x> {"id":1}"#);
    // Another document after it.
    check(r#"{"m":[{"id":1}]} {"m":[]}"#, r#"{} {"id":1} <{"m":[]}>"#);
}

#[test]
fn a_broken_document_is_searched_for_elements_so_often_and_no_more() {
    for (broken, found) in [(lines::TRIES_MAX - 1, 1), (lines::TRIES_MAX, 0)] {
        let text = format!("{{\"m\":[{}{{\"id\":1}}]}}", "{\"id\":!},".repeat(broken + 1));
        let read = document(text.as_bytes(), "m");
        assert_eq!(read.elements.iter().filter(|e| e.value.is_ok()).count(), found, "{broken}");
    }
    // Every place looks like a beginning and none is one.
    let text = format!("{{\"m\":[{}", "{\"id\":[".repeat(200_000));
    assert_eq!(document(text.as_bytes(), "m").elements.len(), 2);
}
