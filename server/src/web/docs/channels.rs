//! Both channels, read from their AsyncAPI document for the page that shows them.

use crate::http::documents::ASYNCAPI;

use super::document_value::DocumentValue;
use super::field_rows::{self, FieldRow};
use super::markdown;

/// The beginning of the tables in the text of the document; the page shows them last.
const TABLES: &str = "\n## ";

/// The content of the page.
#[derive(Debug, Default)]
pub(super) struct ChannelsDocument {
    /// The text about both channels, as HTML.
    pub(super) introduction: String,
    /// The channels.
    pub(super) channels: Vec<ChannelSection>,
    /// The errors and the close codes, as HTML.
    pub(super) tables: String,
}

/// A channel.
#[derive(Debug)]
pub(super) struct ChannelSection {
    /// The name in the document, which is also the anchor for links.
    pub(super) name: String,
    /// The title.
    pub(super) title: String,
    /// The path.
    pub(super) address: String,
    /// The description, as HTML.
    pub(super) description: String,
    /// The operations that a client starts.
    pub(super) from_client: Vec<OperationSection>,
    /// The operations that the server starts.
    pub(super) from_server: Vec<OperationSection>,
    /// The error that may answer every request.
    pub(super) errors: Vec<FrameSection>,
}

/// An operation of a channel.
#[derive(Debug)]
pub(super) struct OperationSection {
    /// The name in the document, which is also the anchor for links.
    pub(super) name: String,
    /// The title.
    pub(super) title: String,
    /// The description, as HTML.
    pub(super) description: String,
    /// The frames.
    pub(super) frames: Vec<FrameSection>,
    /// The frames that answer it, except errors.
    pub(super) replies: Vec<FrameSection>,
}

/// A frame.
#[derive(Debug)]
pub(super) struct FrameSection {
    /// The title.
    pub(super) title: String,
    /// The description, as HTML.
    pub(super) summary: String,
    /// The fields.
    pub(super) fields: Vec<FieldRow>,
    /// Examples, each with a caption and its JSON.
    pub(super) examples: Vec<(String, String)>,
}

impl ChannelsDocument {
    /// Reads the document that the server carries.
    pub(super) fn read() -> Self {
        match DocumentValue::parse(ASYNCAPI) {
            Ok(document) => Self::of(&document),
            Err(error) => {
                tracing::error!(%error, "docs.failed");
                Self::default()
            }
        }
    }

    fn of(document: &DocumentValue) -> Self {
        let text = document.at("info").at("description").text();
        let (introduction, tables) = text.split_at(text.find(TABLES).unwrap_or(text.len()));
        let channels = document.at("channels").fields();
        Self {
            introduction: markdown::html(introduction),
            channels: channels
                .map(|(name, channel)| ChannelSection::of(document, name, channel))
                .collect(),
            tables: markdown::html(tables),
        }
    }
}

impl ChannelSection {
    fn of(document: &DocumentValue, name: &str, channel: &DocumentValue) -> Self {
        let with_action = |action: &str| {
            let operations = document.at("operations").fields();
            operations
                .filter(|(_, operation)| operation.at("channel").reference_name() == name)
                .filter(|(_, operation)| operation.at("action").text() == action)
                .map(|(name, operation)| OperationSection::of(document, name, operation))
                .collect()
        };
        let error = document.at("components").at("messages").at("ko");
        Self {
            name: name.to_owned(),
            title: channel.at("title").text().to_owned(),
            address: channel.at("address").text().to_owned(),
            description: markdown::html(channel.at("description").text()),
            // The document is written from the server's side.
            from_client: with_action("receive"),
            from_server: with_action("send"),
            errors: vec![FrameSection::of(document, error)],
        }
    }
}

impl OperationSection {
    fn of(document: &DocumentValue, name: &str, operation: &DocumentValue) -> Self {
        let read = |messages: &DocumentValue| {
            let messages = messages.list().iter().map(|message| document.resolve(message));
            messages.map(|message| FrameSection::of(document, message)).collect()
        };
        let reply = document.resolve(operation.at("reply"));
        let replies = reply.at("messages").list().iter();
        let replies = replies.filter(|message| message.reference_name() != "ko").cloned().collect();
        Self {
            name: name.to_owned(),
            title: operation.at("title").text().to_owned(),
            description: markdown::html(operation.at("description").text()),
            frames: read(operation.at("messages")),
            replies: read(&DocumentValue::List(replies)),
        }
    }
}

impl FrameSection {
    fn of(document: &DocumentValue, message: &DocumentValue) -> Self {
        let examples = message.at("examples").list().iter();
        let examples = examples.map(|example| {
            let summary = example.at("summary").text();
            (summary.trim_end_matches('.').to_owned(), example.at("payload").json())
        });
        Self {
            title: message.at("title").text().to_owned(),
            summary: markdown::html(message.at("summary").text()),
            fields: field_rows::of(document, message.at("payload"), ""),
            examples: examples.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_every_operation_of_the_document_with_fields_and_examples() {
        let page = ChannelsDocument::read();
        let names: Vec<&str> = page.channels.iter().map(|channel| channel.name.as_str()).collect();
        assert_eq!(names, ["device", "appService"]);
        for channel in &page.channels {
            assert!(!channel.from_client.is_empty() && !channel.from_server.is_empty());
            for operation in channel.from_client.iter().chain(&channel.from_server) {
                assert!(!operation.title.is_empty() && !operation.frames.is_empty());
                for frame in operation.frames.iter().chain(&operation.replies) {
                    assert!(!frame.fields.is_empty(), "{frame:?}");
                    assert!(!frame.examples.is_empty(), "{frame:?}");
                    let json = frame.examples.iter().all(|(_, json)| json.starts_with('{'));
                    assert!(json, "{frame:?}");
                }
            }
        }
        assert!(page.introduction.contains("<strong>Frames.</strong>"), "{}", page.introduction);
        assert!(page.tables.contains(">4008</td>") && page.tables.contains(">34</td>"));
    }

    #[test]
    fn a_field_is_described_with_its_limits() {
        let page = ChannelsDocument::read();
        let status = &page.channels[0].from_client[0].frames[0];
        let field = |name: &str| status.fields.iter().find(|field| field.name == name).unwrap();
        assert!(field("status").required && !field("message").required);
        assert!(field("message").kind.contains("at most 128 characters"), "{:?}", field("message"));
        assert!(field("status").kind.contains("unavailable"), "{:?}", field("status"));
        let notify = &page.channels[1].from_client[1].frames[0];
        assert!(
            notify.fields.iter().any(|field| field.name == "notifications[].uid"),
            "{notify:?}"
        );
    }
}
