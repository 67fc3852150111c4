//! The page's news: whatever has changed in what a member sees, as server-sent events that hold pieces of the page.

use std::io;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::html;
use crate::room::Page;

/// How often a quiet page is written to, since one that has gone is noticed by that alone.
const QUIET: Duration = Duration::from_secs(2);

/// The news of a page. A slow one gets what is so when it reads, and no backlog.
pub(crate) fn news(page: Page) -> impl Stream<Item = Result<String, io::Error>> + Send {
    let changes = page.room.changes();
    unfold(News { page, changes, told: Default::default() }, |mut news| async {
        let next = news.next().await?;
        Some((Ok(next), news))
    })
}

struct News {
    page: Page,
    changes: watch::Receiver<()>,
    /// The pieces as they were told last.
    told: [Option<String>; 4],
}

impl News {
    async fn next(&mut self) -> Option<String> {
        let quiet = Instant::now() + QUIET;
        loop {
            self.changes.borrow_and_update();
            let events = self.events();
            if !events.is_empty() {
                return Some(events);
            }
            match timeout_at(quiet, self.changes.changed()).await {
                Ok(changed) => changed.ok()?,
                Err(_) => return Some(":\n\n".to_owned()),
            }
        }
    }

    fn events(&mut self) -> String {
        let view = self.page.room.view(self.page.member);
        let pieces = html::pieces(&view);
        let mut events = String::new();
        for ((name, piece), told) in pieces.into_iter().zip(&mut self.told) {
            if told.as_ref() != Some(&piece) {
                // A piece is one line: no text in it holds a line break.
                events.extend(["event: ", name, "\ndata: ", piece.as_str(), "\n\n"]);
                *told = Some(piece);
            }
        }
        events
    }
}
