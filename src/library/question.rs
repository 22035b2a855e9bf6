//! Questions that a session asks, and their answers: by `il ask`, or as Intendant does it, in a
//! file of its log directory that another file is to answer.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::{Library, Session};
use crate::error::{Error, Result};
use crate::event::{Answer, Body, Event, Question, Source};
use crate::sys::{process, time};
use crate::time::WallTime;

/// The file that holds a question.
pub const QUESTION_FILE: &str = "human_question";
/// The file in which the answer is expected.
pub const RESPONSE_FILE: &str = "human_response";

/// Most bytes of a question in a file.
const QUESTION_LEN_MAX: u64 = 64 * 1024;
/// Most log directories that are looked through.
const LOGS_MAX: usize = 10_000;

/// A question that waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Links it to its answer.
    pub q_id: String,
    /// The question.
    pub text: String,
    /// When it was asked.
    pub at: WallTime,
    /// The directory in which a program waits for [`RESPONSE_FILE`].
    pub dir: Option<PathBuf>,
}

impl Library {
    /// Adds a question to a session; its id.
    ///
    /// # Errors
    /// As [`Library::add`].
    pub fn ask(&self, session: &Session, text: &str) -> Result<String> {
        let mut random = [0; 8];
        process::random(&mut random).map_err(|e| Error::io("cannot make an id", &e))?;
        let q_id = format!("{:016x}", u64::from_be_bytes(random));
        let question =
            Question { q_id: Some(q_id.clone()), text: text.to_owned(), ..Question::default() };
        self.add(session, &Event::new(Source::User, question))?;
        Ok(q_id)
    }

    /// The answer to a question of a session, if it was given.
    pub fn answer_to(&self, session: &Session, q_id: &str) -> Option<String> {
        self.added(session).into_iter().find_map(|event| match event.body {
            Body::Answer(answer) if answer.q_id.as_deref() == Some(q_id) => Some(answer.answer),
            _ => None,
        })
    }

    /// The questions of a session that wait for an answer, the oldest first.
    pub fn open_questions(&self, session: &Session) -> Vec<Asked> {
        let mut open = Vec::new();
        for event in self.added(session) {
            match event.body {
                Body::Question(question) => open.push(Asked {
                    q_id: question.q_id.unwrap_or_default(),
                    text: question.text,
                    at: event.time.unwrap_or(session.meta.started),
                    dir: None,
                }),
                Body::Answer(answer) => {
                    open.retain(|asked| Some(asked.q_id.as_str()) != answer.q_id.as_deref());
                }
                _ => {}
            }
        }
        open.extend(logs_of(session).iter().filter_map(|dir| asked_in(dir)));
        open.sort_by_key(|asked| asked.at.unix_us);
        open
    }

    /// Answers a question. Where a program waits for a file, it is there as a whole or not at all.
    ///
    /// # Errors
    /// The store or the file cannot be written.
    pub fn answer(&self, session: &Session, asked: &Asked, text: &str) -> Result<()> {
        if let Some(dir) = &asked.dir {
            let file = dir.join(RESPONSE_FILE);
            let new = dir.join(format!("{RESPONSE_FILE}.il"));
            fs::write(&new, text)
                .and_then(|()| fs::rename(&new, &file))
                .map_err(|e| Error::io(format!("cannot write {}", file.display()), &e))?;
            let question = Question {
                q_id: Some(asked.q_id.clone()),
                text: asked.text.clone(),
                ..Question::default()
            };
            let event = Event::new(Source::Transcript, question);
            self.add(session, &Event { time: Some(asked.at), ..event })?;
        }
        let waited_us = time::wall().unix_us - asked.at.unix_us;
        let answer = Answer {
            q_id: Some(asked.q_id.clone()),
            answer: text.to_owned(),
            waited_ms: u64::try_from(waited_us / 1000).ok(),
        };
        self.add(session, &Event::new(Source::User, answer))
    }
}

/// The log directories that the session's command may have: the one its command line names, else
/// those below the user's home, if the command is Intendant.
fn logs_of(session: &Session) -> Vec<PathBuf> {
    let words: Vec<&Path> = session.meta.argv.iter().map(Path::new).collect();
    let at = words.iter().position(|word| word.file_name().is_some_and(|name| name == "intendant"));
    let Some(at) = at else { return Vec::new() };
    let cwd = session.meta.cwd.as_deref().map_or(Path::new("/"), Path::new);
    let named = words[at..].windows(2).find(|pair| pair[0] == Path::new("--log-file"));
    if let Some(pair) = named {
        return vec![cwd.join(pair[1])];
    }
    let logs = std::env::home_dir().map(|home| home.join(".intendant/logs"));
    let entries = logs.and_then(|logs| fs::read_dir(logs).ok());
    let dirs = entries.into_iter().flatten().take(LOGS_MAX).flatten().map(|entry| entry.path());
    // The log of another run was last written before this one began.
    dirs.filter(|dir| changed(dir).is_some_and(|at| at.unix_us >= session.meta.started.unix_us))
        .collect()
}

/// The question that a program has put into this directory and that has no response yet.
fn asked_in(dir: &Path) -> Option<Asked> {
    let path = dir.join(QUESTION_FILE);
    let at = changed(&path)?;
    if dir.join(RESPONSE_FILE).exists() || fs::metadata(&path).ok()?.len() > QUESTION_LEN_MAX {
        return None;
    }
    let text = String::from_utf8_lossy(&fs::read(&path).ok()?).into_owned();
    let q_id = format!("file-{}", at.unix_us);
    Some(Asked { q_id, text, at, dir: Some(dir.to_owned()) })
}

fn changed(path: &Path) -> Option<WallTime> {
    let since = fs::metadata(path).ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(time::local(i64::try_from(since.as_micros()).ok()?))
}
