//! What the index is told of a session's models, prompts and files, and how a filter asks it: a
//! session that the filter means always passes.

use crate::library::search::Needle;
use crate::session::{Facts, Filter};
use crate::store::WORDS_LEN_MAX;
use crate::sys::crc::crc32c;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

// Words:
//
//    0 u8   what is not told, and so may be anything: 1 files, 2 models and prompts
//    1 u8   n: bytes of the set, divided by 8
//    2      set of the files and of every directory above one: a Bloom filter
//    ..     models in small letters, a line each
//    ..     u8 0
//    ..     prompts in small letters, a line each

const NO_FILES: u8 = 1;
const NO_TEXT: u8 = 2;
const HEAD_LEN: usize = 2;

/// Bits of the set for each path in it, and those that are set for it: of a thousand sessions that
/// a filter does not mean, few pass.
const BITS_A_PATH: usize = 16;
const BITS_SET: u32 = 4;

/// Most bytes of a set; of a session with more files nothing is told of them.
const SET_LEN_MAX: usize = 1024;

/// What the index is told of a session.
pub(super) fn of(facts: &Facts<'_>) -> Vec<u8> {
    let paths: BTreeSet<PathBuf> = facts
        .files
        .iter()
        .flat_map(|file| file.ancestors().map(plain).collect::<Vec<_>>())
        .collect();
    let mut set = vec![0u8; (paths.len() * BITS_A_PATH).div_ceil(64) * 8];
    let mut untold = 0;
    if set.len() > SET_LEN_MAX {
        set.clear();
        untold |= NO_FILES;
    }
    for path in &paths {
        for bit in bits(path.as_os_str(), set.len()) {
            set[bit / 8] |= 1 << (bit % 8);
        }
    }
    let models = facts.models.iter().map(|model| folded(model) + "\n").collect::<String>();
    let prompts = facts.prompts.iter().map(|prompt| folded(prompt) + "\n").collect::<String>();
    let text_len = models.len() + 1 + prompts.len();
    let is_told = !models.contains('\0') && HEAD_LEN + set.len() + text_len <= WORDS_LEN_MAX;
    if !is_told {
        untold |= NO_TEXT;
    }
    let mut words = vec![untold, (set.len() / 8) as u8];
    words.extend(set);
    if is_told {
        words.extend(models.as_bytes());
        words.push(0);
        words.extend(prompts.as_bytes());
    }
    words
}

/// Whether the words of a session say that it may be meant.
pub(super) type Test = Box<dyn Fn(&[u8]) -> bool>;

/// What a filter asks of the words of a session; None if nothing.
pub(super) fn test(filter: &Filter) -> Option<Test> {
    if filter.model.is_none() && filter.search.is_none() && filter.file.is_none() {
        return None;
    }
    let needle = |text: &Option<String>| text.as_ref().and_then(|text| Needle::new(&folded(text)));
    let (model, search) = (needle(&filter.model), needle(&filter.search));
    // Every path begins with none.
    let file = filter.file.as_deref().map(plain).filter(|path| !path.as_os_str().is_empty());
    Some(Box::new(move |words| {
        // What cannot be understood tells nothing.
        let Some((&[untold, len], rest)) = words.split_first_chunk() else { return true };
        let Some((set, text)) = rest.split_at_checked(usize::from(len) * 8) else { return true };
        let has_file = |file: &PathBuf| {
            let mut bits = bits(file.as_os_str(), set.len());
            !set.is_empty() && bits.all(|bit| set[bit / 8] & 1 << (bit % 8) != 0)
        };
        let models_len = text.iter().position(|byte| *byte == 0).unwrap_or(0);
        let (models, prompts) = text.split_at(models_len);
        let has = |text: &[u8], needle: &Option<Needle>| {
            needle.as_ref().is_none_or(|needle| needle.find(text, 0).is_some())
        };
        (untold & NO_FILES != 0 || file.as_ref().is_none_or(has_file))
            && (untold & NO_TEXT != 0 || has(models, &model) && has(prompts, &search))
    }))
}

/// The bits of a path in a set of so many bytes; none in an empty set.
fn bits(path: &OsStr, set_len: usize) -> impl Iterator<Item = usize> {
    let first = crc32c(0, path.as_bytes());
    // Odd, and far from the first, so that the bits are as good as drawn.
    let step = first.wrapping_mul(0x9e37_79b9).rotate_left(16) | 1;
    let count = if set_len == 0 { 0 } else { BITS_SET };
    (0..count).map(move |n| first.wrapping_add(step.wrapping_mul(n)) as usize % (set_len * 8))
}

/// A path as its components say it.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

/// A text in small letters, whichever case a filter heeds, and wherever in a word a letter stands.
fn folded(text: &str) -> String {
    text.to_lowercase().replace('ς', "σ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Meta, Status};

    const MODELS: [&str; 4] = ["claude-Opus-4", "gpt-5", "ΟΔΟΣ", "a\0b"];
    const PROMPTS: [&str; 5] = ["Fix the Login", "straße\nund so", "ΟΔΟΣ ΟΔΟΣΑ", "\u{212a}2", ""];
    const FILES: [&str; 5] = ["/r/shop/src/main.rs", "/r//x/./y", "/r/../up", "/", "/r/a\nb"];

    fn facts<'a>(meta: &'a Meta, models: &[&str], files: &[&str], prompts: &[&str]) -> Facts<'a> {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Facts {
            meta,
            status: Status::Lost,
            agent: None,
            models: own(models),
            files: files.iter().map(PathBuf::from).collect(),
            prompts: own(prompts),
        }
    }

    /// Every part of a text, and none of it.
    fn parts(text: &str) -> impl Iterator<Item = &str> {
        let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let parts: Vec<&str> = (0..ends.len())
            .flat_map(|from| (from..ends.len()).map(move |to| (from, to)))
            .map(|(from, to)| &text[ends[from]..ends[to]])
            .collect();
        parts.into_iter()
    }

    fn filters() -> Vec<Filter> {
        let mut filters = Vec::new();
        for text in MODELS.iter().chain(&PROMPTS).flat_map(|text| parts(text)) {
            for text in [text.to_owned(), text.to_lowercase(), text.to_uppercase()] {
                let some = Some(text);
                filters.push(Filter { model: some.clone(), ..Filter::default() });
                filters.push(Filter { search: some, ..Filter::default() });
            }
        }
        for path in FILES.iter().flat_map(|file| parts(file)) {
            filters.push(Filter { file: Some(path.into()), ..Filter::default() });
        }
        filters
    }

    #[test]
    fn what_a_filter_means_always_passes() {
        let meta = Meta::default();
        let mut passed_over = 0;
        for filter in filters() {
            let test = test(&filter).expect("a test");
            for n in 0..64 {
                // Any two of each at most.
                let some = |all: &[&'static str], n: usize| -> Vec<&'static str> {
                    let picks = [n % 4, n / 4 % 4];
                    picks.iter().filter_map(|pick| all.get(*pick + n / 16).copied()).collect()
                };
                let facts = facts(&meta, &some(&MODELS, n), &some(&FILES, n), &some(&PROMPTS, n));
                let passes = test(&of(&facts));
                assert!(passes || !filter.matches(&facts), "{filter:?} {facts:?}");
                passed_over += usize::from(!passes);
            }
        }
        assert!(passed_over > 10_000, "{passed_over}");
    }

    /// One byte more than there is room for, one file more.
    #[test]
    fn what_is_too_long_is_not_told_and_passes() {
        let meta = Meta::default();
        let search = |text: &str| Filter { search: Some(text.into()), ..Filter::default() };
        let file = |path: &str| Filter { file: Some(path.into()), ..Filter::default() };
        for (len, passes) in [(WORDS_LEN_MAX - 4, false), (WORDS_LEN_MAX - 3, true)] {
            let prompt = "x".repeat(len);
            let words = of(&facts(&meta, &[], &[], &[&prompt]));
            assert!(words.len() <= WORDS_LEN_MAX);
            assert_eq!(test(&search("y")).expect("a test")(&words), passes, "{len}");
            assert!(test(&search("x")).expect("a test")(&words));
        }
        let most = SET_LEN_MAX * 8 / BITS_A_PATH;
        for (count, passes) in [(most - 1, false), (most, true)] {
            // The root is one of the paths.
            let files: Vec<String> = (0..count).map(|n| format!("/f{n}")).collect();
            let files: Vec<&str> = files.iter().map(String::as_str).collect();
            let words = of(&facts(&meta, &[], &files, &[]));
            let others =
                (0..100).filter(|n| test(&file(&format!("/g{n}"))).expect("a test")(&words));
            assert_eq!(others.count() > 10, passes, "{count} files");
            assert!(test(&file("/f7")).expect("a test")(&words));
        }
    }

    #[test]
    fn whatever_the_words_are_they_are_judged() {
        let filter = Filter {
            model: Some("m".into()),
            search: Some("s".into()),
            file: Some("/f".into()),
            ..Filter::default()
        };
        let test = test(&filter).expect("a test");
        for words in [&b""[..], b"\0", b"\0\x01", b"\0\xff\0\0", b"\xff\xff", b"\0\0", b"\0\0m\0s"]
        {
            let _ = test(words);
        }
        assert!(test(b""), "nothing is told");
    }
}
