//! The start of a server among others: it must have their settings.

use std::time::Duration;

use presence_core::Clock;
use presence_store::{Epoch, Joined, Live, NewNode, StoreError};
use tokio::time::sleep;

/// The time for which the counter of a server stands still that is dead.
pub(super) const DEAD_AFTER: Duration = Duration::from_secs(15);
/// The time between two looks at a counter.
const LOOK: Duration = Duration::from_millis(500);

/// Joins the servers that share presence. One with other settings may have ended without a word,
/// with no other left to notice: it counts only once its counter moves.
///
/// # Errors
///
/// `OtherSettings`, `Unavailable`.
pub(super) async fn join(
    live: &Live,
    clock: &dyn Clock,
    node: &NewNode,
    warm_up: Duration,
) -> Result<Epoch, StoreError> {
    loop {
        match live.join(node, warm_up).await? {
            Joined::Epoch(epoch) => return Ok(epoch),
            Joined::OtherSettings { node, differences } => {
                if moves(live, clock, node).await? {
                    return Err(StoreError::OtherSettings(differences));
                }
                live.declare_dead(node).await?;
            }
        }
    }
}

/// Waits until the counter of a server moves, or has stood still for so long that it is dead.
async fn moves(live: &Live, clock: &dyn Clock, node: i64) -> Result<bool, StoreError> {
    let begun = clock.steady();
    let mut first = None;
    while clock.steady() - begun < DEAD_AFTER {
        // While the database writes nothing, no counter moves.
        live.check_writing().await?;
        let nodes = live.nodes().await?;
        let Some(found) = nodes.iter().find(|it| it.id == node) else { return Ok(false) };
        if *first.get_or_insert(found.counter) != found.counter {
            return Ok(true);
        }
        sleep(LOOK).await;
    }
    Ok(false)
}
