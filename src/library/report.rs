//! A session to read: its chat, its thoughts, its report.

use super::{Library, Session};
use crate::agent;
use crate::format::line;
use crate::format::markdown::{Head, Report};
use crate::format::mask::Mask;
use crate::format::text::{Chat, View};

impl Library {
    /// The stream `chat`, `thoughts` or `report` as text, secrets and all.
    pub fn rendered(&self, session: &Session, name: &str) -> String {
        let mut text = String::new();
        self.render(session, name, None, &mut |piece| text.push_str(piece));
        text
    }

    /// Hands it on in pieces, each of which is some whole lines. With `masks`, what the session's
    /// words were cut into pieces in makes no secret readable; the pieces are to be masked still.
    pub(super) fn render(
        &self,
        session: &Session,
        name: &str,
        mut masks: Option<Mask>,
        take: &mut dyn FnMut(&str),
    ) {
        let view = View { offset_s: session.meta.started.offset_s, ..View::default() };
        let head = session.head();
        let (mut chat, mut report) = (Chat::new(view).within(&head.directory), Report::new(view));
        let mut text = String::new();
        self.each_said(session, &mut |mut event| {
            if let Some(masks) = &mut masks {
                masks.said(&mut event);
            }
            match name {
                "chat" => chat.add(&event, &mut text),
                "thoughts" => chat.add_thought(&event, &mut text),
                _ => report.add(&event),
            }
            if !text.is_empty() {
                take(&text);
                text.clear();
            }
        });
        if name == "report" {
            take(&report.finish(&head));
        }
    }
}

impl Session {
    /// What a report says at its top and its end.
    pub fn head(&self) -> Head {
        let meta = &self.meta;
        let mut facts = Vec::new();
        let mut say = |name: &str, value: String| facts.push((name.to_owned(), value));
        say("Session", self.id.to_string());
        say("Status", self.status.name().to_owned());
        say("Started", meta.started.local());
        if let Some(ending) = &meta.ending {
            say("Ended", ending.ended.local());
        }
        match &meta.imported {
            Some(imported) => say("Imported from", imported.format.clone()),
            None => say("Command", line::words(&meta.argv)),
        }
        if let Some(agent) = self.agent_line() {
            say("Agent", agent);
        }
        if let Some(cwd) = &meta.cwd {
            let branch = meta.repository.as_ref().and_then(|r| r.branch.as_deref());
            let branch = branch.map_or(String::new(), |branch| format!(" ({branch})"));
            say("Directory", format!("{}{branch}", cwd.to_string_lossy()));
        }
        Head {
            title: meta.name.clone().or_else(|| meta.derived.as_ref()?.title.clone()),
            directory: self.directory(),
            facts,
            intent: meta.intent.as_ref().map(|i| i.title.clone().unwrap_or_else(|| i.id.clone())),
            resume: self.resume_command().map(|words| words.join(" ")),
        }
    }

    /// Where it works, as text.
    pub fn directory(&self) -> String {
        self.meta.cwd.as_ref().map_or(String::new(), |cwd| cwd.to_string_lossy().into_owned())
    }

    /// The agent, its version and model, and its own session, as far as they are known.
    pub fn agent_line(&self) -> Option<String> {
        let mut out = self.agent()?.to_owned();
        if let Some(derived) = &self.meta.derived {
            if let Some(version) = &derived.agent_version {
                out.push_str(&format!(" {version}"));
            }
            if let Some(model) = &derived.model {
                out.push_str(&format!(" ({model})"));
            }
            if let Some(native) = &derived.native_session {
                out.push_str(&format!(", native session {native}"));
            }
        }
        Some(out)
    }

    /// The agent's own command that goes back into its conversation.
    pub fn resume_command(&self) -> Option<Vec<String>> {
        let native = match (&self.meta.derived, &self.meta.imported) {
            (Some(derived), _) => derived.native_session.as_deref(),
            (None, Some(imported)) => imported.native_id.as_deref(),
            (None, None) => None,
        };
        agent::resume_command(agent::by_name(self.agent()?)?, native?)
    }
}
