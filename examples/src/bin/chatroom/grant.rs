//! The link to the grant page of the Presence server, on which a user allows the Application to see
//! them.

use presence_client::{AppId, ServerUrl};
use url::Url;

/// The path of the page to which the server sends the user back.
pub(crate) const GRANT_RESULT_PATH: &str = "/back";

/// A link to the grant page.
pub(crate) struct GrantLink<'a> {
    pub(crate) server: &'a ServerUrl,
    pub(crate) appid: AppId,
    /// The URL of the chat room, without a slash at the end. It must be on the verified domain of
    /// the Application.
    pub(crate) chatroom_url: &'a str,
    /// A random value, which the server returns unchanged.
    pub(crate) state: &'a str,
    /// The name of the user in the chat room. The grant page shows it.
    pub(crate) name: &'a str,
}

impl GrantLink<'_> {
    /// Returns the URL.
    pub(crate) fn url(&self) -> Result<String, url::ParseError> {
        let base = self.server.to_string();
        let path = format!("{}/grant/{}", base.trim_end_matches('/'), self.appid);
        let mut url = Url::parse(&path)?;
        url.query_pairs_mut()
            .append_pair("redirect", &format!("{}{GRANT_RESULT_PATH}", self.chatroom_url))
            .append_pair("state", self.state)
            .append_pair("id", self.name);
        Ok(url.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_link_is_encoded() {
        let server: ServerUrl = "https://presence.example".parse().unwrap();
        let appid = AppId::from_bits(1);
        let link = GrantLink {
            server: &server,
            appid,
            chatroom_url: "https://chat.example",
            state: "s",
            name: "A&B=é",
        };
        let expected = format!(
            "https://presence.example/grant/{appid}?redirect=https%3A%2F%2Fchat.example%2Fback\
             &state=s&id=A%26B%3D%C3%A9"
        );
        assert_eq!(link.url(), Ok(expected));
    }
}
