//! The updates of an open page, as server-sent events. Each event contains a part of the page that
//! has changed.

use std::io;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::chat_room::OpenPage;
use crate::html;

/// The interval of comments on an idle page. Only a failed write shows that the page was closed.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// Returns the updates of a page. A slow page gets the current parts and no backlog.
pub(crate) fn updates(page: OpenPage) -> impl Stream<Item = Result<String, io::Error>> + Send {
    let changes = page.room.changes();
    unfold(Updates { page, changes, sent: Default::default() }, |mut updates| async {
        let next = updates.next().await?;
        Some((Ok(next), updates))
    })
}

struct Updates {
    page: OpenPage,
    changes: watch::Receiver<()>,
    /// The parts that were sent last.
    sent: [Option<String>; 4],
}

impl Updates {
    async fn next(&mut self) -> Option<String> {
        let keep_alive = Instant::now() + KEEP_ALIVE;
        loop {
            self.changes.borrow_and_update();
            let events = self.events();
            if !events.is_empty() {
                return Some(events);
            }
            match timeout_at(keep_alive, self.changes.changed()).await {
                Ok(changed) => changed.ok()?,
                Err(_) => return Some(":\n\n".to_owned()),
            }
        }
    }

    /// Returns an event for each part that has changed.
    fn events(&mut self) -> String {
        let view = self.page.room.view(self.page.member);
        let mut events = String::new();
        for ((name, part), sent) in html::parts(&view).into_iter().zip(&mut self.sent) {
            if sent.as_ref() != Some(&part) {
                // A part is one line, because no text in it contains a line break.
                events.extend(["event: ", name, "\ndata: ", part.as_str(), "\n\n"]);
                *sent = Some(part);
            }
        }
        events
    }
}
