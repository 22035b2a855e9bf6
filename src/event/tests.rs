//! Lines out and in, byte for byte; turns, steps and counts.

use super::*;

fn check_line(line: &str) {
    let event = Event::parse_line(line.as_bytes()).unwrap_or_else(|| panic!("no event: {line}"));
    let mut out = String::new();
    event.write_line(&mut out);
    assert_eq!(out.trim_end(), line);
    let theirs: serde_json::Value = serde_json::from_str(&out).expect(&out);
    assert_eq!(theirs["kind"], event.body.kind());
}

#[test]
fn a_line_that_is_read_and_written_again_is_the_same_line() {
    let head = r#"{"v":1,"session":"0a","seq":42,"t":"2026-11-20T09:31:02.114+01:00","mono_ns":61223000112"#;
    let envelope = concat!(
        r#","src":"transcript","agent":"claude","stream":"main","turn":7,"step":2,"iter":1,"#,
        r#""parent":"p","id":"toolu_01","level":"info","conf":0.9,"abandoned":true,"#,
        r#""ref":{"stream":"native/0","off":81233,"len":914},"#,
        r#""also":[{"stream":"stdout","off":1,"len":2}]"#
    );
    for body in [
        r#""kind":"user_message"%,"text":"a\nb","form":"typed","attachments":["x.png"]}"#,
        r#""kind":"assistant_message"%,"text":"","model":"m","final":true}"#,
        r#""kind":"thought"%,"text":"","form":"redacted","signature_only":true}"#,
        r#""kind":"tool_call"%,"call_id":"c","name":"Bash","cat":"shell","args":{"z":1.0,"a":[18446744073709551615]},"paths":["p"]}"#,
        r#""kind":"tool_result"%,"call_id":"c","ok":false,"exit_code":-1,"text":"t","duration_ms":5}"#,
        r#""kind":"usage"%,"in":1,"cache_read":2,"cache_write_5m":3,"cache_write_1h":4,"out":5,"reasoning":6,"basis":"per_request"}"#,
        r#""kind":"approval"%,"ask":"run?","options":["Yes","No"],"decision":"allow_once","by":"user","key":"y","waited_ms":9}"#,
        r#""kind":"critic"%,"n":1,"decision":"done","confidence":0.95,"issues":["i"]}"#,
        r#""kind":"plan"%,"items":[{"text":"t","status":"done"}]}"#,
        r#""kind":"session_start"%,"argv":["claude","-p"],"cwd":"/x","term":{"cols":80}}"#,
        r#""kind":"of_tomorrow"%,"anything":{"deep":[1,null]},"n":1e30}"#,
    ] {
        let (kind, rest) = body.split_once('%').expect(body);
        check_line(&format!("{head},{kind}{envelope}{rest}"));
    }
    check_line(
        r#"{"v":1,"seq":0,"kind":"turn_start","src":"derived","stream":"main","level":"info","conf":1.0}"#,
    );
}

#[test]
fn what_is_no_event_of_this_version_is_refused() {
    for line in [
        "",
        "[]",
        "{}",
        r#"{"v":2,"seq":0,"kind":"turn_start","src":"derived","stream":"main","level":"info","conf":1.0}"#,
        r#"{"v":1,"seq":-1,"kind":"turn_start","src":"derived","stream":"main","level":"info","conf":1.0}"#,
        r#"{"v":1,"seq":0,"kind":"turn_start","src":"nobody","stream":"main","level":"info","conf":1.0}"#,
        r#"{"v":1,"seq":0,"kind":"thought","src":"derived","stream":"main","level":"info","conf":1.0}"#,
        r#"{"v":1,"seq":0,"kind":"thought","src":"derived","stream":"main","level":"info","conf":1.0,"text":7}"#,
        r#"{"v":1,"seq":0,"t":"yesterday","kind":"turn_start","src":"derived","stream":"main","level":"info","conf":1.0}"#,
    ] {
        assert_eq!(Event::parse_line(line.as_bytes()), None, "{line}");
    }
}

#[test]
fn words_read_back() {
    for word in Decision::ALL {
        assert_eq!(Decision::parse(word.as_str()), Some(*word));
    }
    assert_eq!(Decision::parse("maybe"), None);
    assert_eq!(Body::KINDS.len(), 29);
}

/// `u` message, `/` slash command, `t` thought, `a` assistant text, `c` call, `r` result, `f` failed
/// result, `n` nested call, `$` usage, `e` API error; upper case on a subagent's stream, `~` marks
/// the event before it abandoned.
fn events(script: &str) -> Vec<Event> {
    let mut list: Vec<Event> = Vec::new();
    for c in script.chars() {
        let body: Body = match c.to_ascii_lowercase() {
            '~' => {
                list.last_mut().expect("an event to abandon").abandoned = true;
                continue;
            }
            'u' => UserMessage::default().into(),
            '/' => UserMessage { form: Some(MessageForm::Slash), ..Default::default() }.into(),
            't' => Thought::default().into(),
            'a' => AssistantMessage::default().into(),
            'c' => ToolCall::default().into(),
            'n' => ToolCall { within: Some("c".into()), ..Default::default() }.into(),
            'r' => ToolResult::default().into(),
            'f' => ToolResult { ok: Some(false), ..Default::default() }.into(),
            '$' => Usage {
                input: 1,
                cache_read: 10,
                cache_write_1h: 3,
                output: 100,
                reasoning: 7,
                ..Default::default()
            }
            .into(),
            'e' => ApiError::default().into(),
            _ => panic!("{c}"),
        };
        let mut event = Event::new(Source::Transcript, body);
        if c.is_ascii_uppercase() {
            event.stream = "sub".into();
        }
        list.push(event);
    }
    number(&mut list);
    list
}

/// `turn.step` of every event, `-` for none.
fn check_numbers(script: &str, expected: &str) {
    let number = |n: Option<u32>| n.map_or("-".to_owned(), |n| n.to_string());
    let seen: Vec<String> =
        events(script).iter().map(|e| format!("{}.{}", number(e.turn), number(e.step))).collect();
    assert_eq!(seen.join(" "), expected, "{script}");
}

#[test]
fn turns_and_steps_are_numbered() {
    check_numbers("utacr", "1.- 1.1 1.1 1.1 1.1");
    check_numbers("utacracrauta", "1.- 1.1 1.1 1.1 1.1 1.2 1.2 1.2 1.3 2.- 2.1 2.1");
    check_numbers("uccrra", "1.- 1.1 1.1 1.1 1.1 1.2");
    check_numbers("a/ua", "-.- -.- 1.- 1.1");
    check_numbers("/au/", "1.- 1.1 2.- 2.-");
    check_numbers("uCRa", "1.- 1.- 1.- 1.1");
    check_numbers("ue", "1.- 1.1");
}

#[test]
fn counts_are_of_what_lived_and_tokens_of_what_was_spent() {
    let c = count(&events("u$tacrTCFu~$~a~ue/"));
    assert_eq!((c.turns, c.thoughts, c.tool_calls, c.tool_failures), (2, 2, 2, 1));
    assert_eq!((c.requests, c.api_errors), (2, 1));
    let t = c.tokens;
    assert_eq!((t.input, t.cache_read, t.cache_write, t.output, t.reasoning), (2, 20, 6, 200, 14));
    assert_eq!(t.input_total(), 28);
    assert_eq!(count(&events("ucnr")).tool_calls, 1);
}

/// The failures and the refusals of `x`: a call was refused, `y`: allowed, `f`: its result says
/// that it failed, `r`: that it did not. A digit is the call.
fn check_refusals(script: &str, expected: (u64, u64)) {
    let event = |word: &str| {
        let call_id = Some(word[1..].to_owned()).filter(|id| !id.is_empty());
        let asked = |decision| Approval {
            call_id: call_id.clone(),
            decision: Some(decision),
            ..Approval::default()
        };
        let ended =
            |ok| ToolResult { call_id: call_id.clone(), ok: Some(ok), ..ToolResult::default() };
        let body: Body = match &word[..1] {
            "x" => asked(Decision::RejectOnce).into(),
            "y" => asked(Decision::AllowOnce).into(),
            "f" => ended(false).into(),
            _ => ended(true).into(),
        };
        Event::new(Source::Transcript, body)
    };
    let mut events = vec![Event::new(Source::Transcript, UserMessage::default())];
    events.extend(script.split(' ').map(event));
    let of = |counts: &Counts| (counts.tool_failures, counts.tool_refusals);
    assert_eq!(of(&count(&events)), expected, "{script}");
    assert_eq!(of(&turns(&events)[0].counts), expected, "{script}");
}

#[test]
fn a_call_that_was_refused_has_not_failed() {
    check_refusals("x1 f1", (0, 1));
    check_refusals("x1 x2 f2 f1 f3", (1, 2));
    check_refusals("y1 f1 x2 r2", (1, 0));
    // Asked about again.
    check_refusals("x1 y1 f1", (1, 0));
    check_refusals("f1 x1", (1, 0));
    check_refusals("x f", (1, 0));
    for more in [0, 1] {
        let calls = 1..=REFUSALS_MAX + more;
        let words: Vec<String> = calls.map(|call| format!("x{call}")).collect();
        check_refusals(&format!("{} f1", words.join(" ")), (more as u64, 1 - more as u64));
    }
}

#[test]
fn turns_are_spans_of_events() {
    let check = |script: &str, expected: &[(u32, std::ops::Range<usize>)]| {
        let turns = turns(&events(script)).into_iter();
        let spans: Vec<_> = turns.map(|t| (t.number, t.events)).collect();
        assert_eq!(spans, expected, "{script}");
    };
    check("tuacr/uta", &[(1, 1..6), (2, 6..9)]);
    // A command that nobody answers belongs to what was before it.
    check("/r/tu/r/ra/c", &[(1, 2..4), (2, 4..7), (3, 7..10), (4, 10..12)]);
    check("/uT/Tu", &[(1, 1..5), (2, 5..6)]);
    check("/r/", &[]);
    assert!(turns(&[]).is_empty());
}

#[test]
fn sums_do_not_overflow() {
    let mut tokens = Tokens::default();
    for _ in 0..2 {
        tokens.add(&Usage {
            input: u64::MAX,
            cache_write_5m: u64::MAX,
            cache_write_1h: 1,
            ..Default::default()
        });
    }
    assert_eq!(tokens.input_total(), u64::MAX);
}
