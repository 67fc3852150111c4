//! Both channels, read from their AsyncAPI document for the page that shows them.

use crate::http::documents::ASYNCAPI;

use super::document::Node;
use super::fields::{self, Field};
use super::markdown;

/// Where in the text of the document its tables begin; the page shows them last.
const TABLES: &str = "\n## ";

/// What the page shows.
#[derive(Debug, Default)]
pub(super) struct Channels {
    /// What holds for both channels, as HTML.
    pub(super) introduction: String,
    /// The channels.
    pub(super) both: Vec<Channel>,
    /// The errors and the close codes, as HTML.
    pub(super) tables: String,
}

/// A channel.
#[derive(Debug)]
pub(super) struct Channel {
    /// Its name in the document, by which links find it.
    pub(super) name: String,
    /// What it is called.
    pub(super) title: String,
    /// Its path.
    pub(super) address: String,
    /// What it is, as HTML.
    pub(super) description: String,
    /// What a client sends.
    pub(super) sent: Vec<Operation>,
    /// What a client hears by itself.
    pub(super) heard: Vec<Operation>,
    /// What every request may be answered with.
    pub(super) refusal: Vec<Message>,
}

/// Something that is said on a channel.
#[derive(Debug)]
pub(super) struct Operation {
    /// Its name in the document, by which links find it.
    pub(super) name: String,
    /// What happens.
    pub(super) title: String,
    /// What there is to know of it, as HTML.
    pub(super) description: String,
    /// The frames.
    pub(super) messages: Vec<Message>,
    /// The frames that answer it, but refusals.
    pub(super) replies: Vec<Message>,
}

/// A frame.
#[derive(Debug)]
pub(super) struct Message {
    /// What it says.
    pub(super) title: String,
    /// What there is to know of it, as HTML.
    pub(super) summary: String,
    /// Its fields.
    pub(super) fields: Vec<Field>,
    /// Such frames, each with what it is an example of.
    pub(super) examples: Vec<(String, String)>,
}

impl Channels {
    /// Reads the document that the server carries.
    pub(super) fn read() -> Self {
        match Node::read(ASYNCAPI) {
            Ok(document) => Self::of(&document),
            Err(error) => {
                tracing::error!(%error, "docs.failed");
                Self::default()
            }
        }
    }

    fn of(document: &Node) -> Self {
        let text = document.at("info").at("description").text();
        let (introduction, tables) = text.split_at(text.find(TABLES).unwrap_or(text.len()));
        let channels = document.at("channels").fields();
        Self {
            introduction: markdown::html(introduction),
            both: channels.map(|(name, channel)| Channel::of(document, name, channel)).collect(),
            tables: markdown::html(tables),
        }
    }
}

impl Channel {
    fn of(document: &Node, name: &str, channel: &Node) -> Self {
        let of_action = |action: &str| {
            let operations = document.at("operations").fields();
            operations
                .filter(|(_, one)| one.at("channel").referred() == name)
                .filter(|(_, one)| one.at("action").text() == action)
                .map(|(name, one)| Operation::of(document, name, one))
                .collect()
        };
        let refusal = document.at("components").at("messages").at("ko");
        Self {
            name: name.to_owned(),
            title: channel.at("title").text().to_owned(),
            address: channel.at("address").text().to_owned(),
            description: markdown::html(channel.at("description").text()),
            // The document speaks as the server.
            sent: of_action("receive"),
            heard: of_action("send"),
            refusal: vec![Message::of(document, refusal)],
        }
    }
}

impl Operation {
    fn of(document: &Node, name: &str, operation: &Node) -> Self {
        let read = |messages: &Node| {
            let all = messages.list().iter().map(|message| document.follow(message));
            all.map(|message| Message::of(document, message)).collect()
        };
        let reply = document.follow(operation.at("reply"));
        let replies = reply.at("messages").list().iter();
        let replies = replies.filter(|message| message.referred() != "ko").cloned().collect();
        Self {
            name: name.to_owned(),
            title: operation.at("title").text().to_owned(),
            description: markdown::html(operation.at("description").text()),
            messages: read(operation.at("messages")),
            replies: read(&Node::List(replies)),
        }
    }
}

impl Message {
    fn of(document: &Node, message: &Node) -> Self {
        let examples = message.at("examples").list().iter();
        let examples = examples.map(|example| {
            let summary = example.at("summary").text();
            (summary.trim_end_matches('.').to_owned(), example.at("payload").json())
        });
        Self {
            title: message.at("title").text().to_owned(),
            summary: markdown::html(message.at("summary").text()),
            fields: fields::of(document, message.at("payload"), ""),
            examples: examples.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_all_that_the_document_has() {
        let page = Channels::read();
        let names: Vec<&str> = page.both.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["device", "appService"]);
        for channel in &page.both {
            assert!(!channel.sent.is_empty() && !channel.heard.is_empty());
            for operation in channel.sent.iter().chain(&channel.heard) {
                assert!(!operation.title.is_empty() && !operation.messages.is_empty());
                for message in operation.messages.iter().chain(&operation.replies) {
                    assert!(!message.fields.is_empty(), "{message:?}");
                    assert!(!message.examples.is_empty(), "{message:?}");
                    let json = message.examples.iter().all(|(_, json)| json.starts_with('{'));
                    assert!(json, "{message:?}");
                }
            }
        }
        assert!(page.introduction.contains("<strong>Frames.</strong>"), "{}", page.introduction);
        assert!(page.tables.contains("<td>4008</td>") && page.tables.contains("<td>34</td>"));
    }

    #[test]
    fn a_field_is_told_with_its_limits() {
        let page = Channels::read();
        let status = &page.both[0].sent[0].messages[0];
        let field = |name: &str| status.fields.iter().find(|one| one.name == name).unwrap();
        assert!(field("status").required && !field("message").required);
        assert!(field("message").kind.contains("at most 128 characters"), "{:?}", field("message"));
        assert!(field("status").kind.contains("unavailable"), "{:?}", field("status"));
        let notify = &page.both[1].sent[1].messages[0];
        assert!(notify.fields.iter().any(|one| one.name == "notifications[].uid"), "{notify:?}");
    }
}
