//! The socket loop over memory, with a scripted protocol and a clock that the test drives.

mod fixture;

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use fixture::{FRAME_LIMIT, Fixture, LIMITS, MEMORY};

const INSTANT: Duration = Duration::from_millis(1);

/// The number of times that a task was woken.
#[derive(Default)]
struct WakeCount(AtomicUsize);

impl std::task::Wake for WakeCount {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn each_frame_is_answered_and_one_poll_flushes_once() {
    let mut fixture = Fixture::new().await;
    for text in ["a", "b"] {
        fixture.send(Message::text(text));
    }
    assert_eq!(fixture.poll(), Poll::Pending);
    for reply in ["reply: a", "reply: b"] {
        assert_eq!(fixture.received(), Some(Message::text(reply)));
    }
    assert_eq!(fixture.received(), None);
    assert_eq!(fixture.script().flushes, 1);
}

#[tokio::test]
async fn the_news_of_all_tasks_that_are_ready_are_written_at_once() {
    let mut fixture = Fixture::<true>::with(MEMORY, FRAME_LIMIT).await;
    let wake_count = Arc::new(WakeCount::default());
    let waker = std::task::Waker::from(Arc::clone(&wake_count));
    let mut context = Context::from_waker(&waker);
    assert_eq!(fixture.socket.poll(&mut context), Poll::Pending);
    for texts in [["a", "b"], ["c", "d"]] {
        let flushes = fixture.script().flushes;
        for text in texts {
            assert_eq!(fixture.received(), None);
            fixture.script().outgoing.push_back(Outgoing::Text(text.into()));
            fixture.socket.waker.wake();
            let before = wake_count.0.load(Ordering::Relaxed);
            assert_eq!(fixture.socket.poll(&mut context), Poll::Pending);
            let own = wake_count.0.load(Ordering::Relaxed) - before;
            assert_eq!(own, usize::from(text == texts[0]), "the first one waits for the others");
        }
        assert_eq!(fixture.script().flushes, flushes + 1);
        for text in texts {
            assert_eq!(fixture.received(), Some(Message::text(text)));
        }
    }
}

#[tokio::test]
async fn no_frame_is_read_while_the_protocol_is_busy() {
    let mut fixture = Fixture::new().await;
    fixture.script().is_busy = true;
    fixture.send(Message::text("a"));
    assert_eq!(fixture.poll(), Poll::Pending);
    assert_eq!(fixture.received(), None);
    fixture.script().is_busy = false;
    assert_eq!(fixture.poll(), Poll::Pending);
    assert_eq!(fixture.received(), Some(Message::text("reply: a")));
}

#[tokio::test]
async fn a_peer_that_does_not_authenticate_in_time_is_closed_with_the_code_of_its_channel() {
    let mut fixture = Fixture::new().await;
    fixture.script().authentication = Authentication::Missing(CloseCode::Silent);
    fixture.clock.advance(LIMITS.authentication.saturating_sub(INSTANT));
    assert_eq!(fixture.poll(), Poll::Pending);
    assert_eq!(fixture.received(), None);
    fixture.clock.advance(INSTANT);
    assert_eq!(fixture.poll(), Poll::Pending);
    // The close frame is flushed by the poll that follows the wake-up.
    assert_eq!(fixture.poll(), Poll::Pending);
    fixture.expect_close(CloseCode::Silent);
}

#[tokio::test]
async fn an_authenticated_peer_has_no_deadline() {
    let mut fixture = Fixture::new().await;
    fixture.clock.advance(LIMITS.authentication);
    for _ in 0..2 {
        assert_eq!(fixture.poll(), Poll::Pending);
    }
    assert_eq!(fixture.received(), None);
}

#[tokio::test]
async fn each_ping_and_pong_of_the_peer_is_counted_by_the_protocol() {
    let mut fixture = Fixture::new().await;
    for message in [Message::Ping(Bytes::new()), Message::Pong(Bytes::new()), Message::text("a")] {
        fixture.send(message);
    }
    assert_eq!(fixture.poll(), Poll::Pending);
    assert_eq!(fixture.script().control_frames, 2);
}

#[tokio::test]
async fn a_binary_frame_closes_the_socket() {
    let mut fixture = Fixture::new().await;
    fixture.send(Message::binary(vec![1]));
    assert_eq!(fixture.poll(), Poll::Pending);
    fixture.expect_close(CloseCode::Unsupported);
}

#[tokio::test]
async fn a_frame_beyond_the_limit_closes_the_socket_and_the_rest_is_discarded() {
    let mut fixture = Fixture::new().await;
    fixture.send(Message::text("x".repeat(FRAME_LIMIT)));
    assert_eq!(fixture.poll(), Poll::Pending);
    assert!(fixture.received().is_some_and(|frame| frame.is_text()));
    fixture.send(Message::text("x".repeat(FRAME_LIMIT + 1)));
    fixture.send(Message::text("after"));
    assert_eq!(fixture.poll(), Poll::Pending);
    fixture.expect_close(CloseCode::TooLarge);
    assert!(fixture.script().outgoing.is_empty(), "the frame after it was handled");
}

#[tokio::test]
async fn text_that_is_not_utf8_closes_the_socket() {
    let mut fixture = Fixture::new().await;
    // A final text frame of one byte, masked with zeros.
    let frame = [0x81, 0x81, 0, 0, 0, 0, 0xff];
    fixture.peer.get_mut().write_all(&frame).now_or_never().unwrap().unwrap();
    assert_eq!(fixture.poll(), Poll::Pending);
    fixture.expect_close(CloseCode::InvalidUtf8);
}

#[tokio::test]
async fn a_silent_peer_is_pinged_after_one_interval_and_lost_after_two() {
    let mut fixture = Fixture::new().await;
    fixture.clock.advance(LIMITS.ping);
    assert_eq!(fixture.poll(), Poll::Pending);
    assert_eq!(fixture.poll(), Poll::Pending);
    assert_eq!(fixture.received(), Some(Message::Ping(Bytes::new())));
    fixture.clock.advance(LIMITS.ping.saturating_sub(INSTANT));
    assert_eq!(fixture.poll(), Poll::Pending);
    fixture.clock.advance(INSTANT);
    assert_eq!(fixture.poll(), Poll::Ready(SocketEnd::Lost));
}

#[tokio::test]
async fn a_stop_closes_the_socket_with_its_code_and_does_not_wait_for_a_silent_peer() {
    let mut fixture = Fixture::new().await;
    fixture.socket.waker.close(CloseCode::GoingAway);
    fixture.send(Message::text("too late"));
    assert_eq!(fixture.poll(), Poll::Pending);
    fixture.expect_close(CloseCode::GoingAway);
    fixture.script().outgoing.push_back(Outgoing::Text(Bytes::from_static(b"late")));
    fixture.clock.advance(CLOSE_TIMEOUT.saturating_sub(INSTANT));
    assert_eq!(fixture.poll(), Poll::Pending);
    fixture.clock.advance(INSTANT);
    assert_eq!(fixture.poll(), Poll::Ready(SocketEnd::Lost));
    assert_eq!(fixture.script().outgoing.len(), 1, "a frame was sent after the close frame");
}

#[tokio::test]
async fn a_peer_that_reads_nothing_is_closed_after_the_write_limit() {
    let mut fixture = Fixture::new().await;
    let frame = Bytes::from("x".repeat(2 * MEMORY));
    fixture.script().outgoing.push_back(Outgoing::Text(frame));
    assert_eq!(fixture.poll(), Poll::Pending);
    assert_eq!(fixture.script().flushes, 0);
    fixture.clock.advance(LIMITS.write.saturating_sub(INSTANT));
    assert_eq!(fixture.poll(), Poll::Pending);
    assert_eq!(fixture.script().cancellations, 0);
    fixture.clock.advance(INSTANT);
    assert_eq!(fixture.poll(), Poll::Pending);
    assert_eq!(fixture.script().cancellations, 1);
    fixture.clock.advance(CLOSE_TIMEOUT);
    assert_eq!(fixture.poll(), Poll::Ready(SocketEnd::Lost));
}

#[tokio::test]
async fn a_peer_that_reads_slowly_without_a_pause_gets_the_whole_frame() {
    let mut fixture = Fixture::new().await;
    let frame = Bytes::from("x".repeat(4 * MEMORY));
    fixture.script().outgoing.push_back(Outgoing::Text(frame));
    let mut part = [0; MEMORY / 4];
    for _ in 0..16 {
        assert_eq!(fixture.poll(), Poll::Pending);
        fixture.peer.get_mut().read_exact(&mut part).now_or_never().unwrap().unwrap();
        fixture.clock.advance(LIMITS.write.saturating_sub(INSTANT));
    }
    assert_eq!(fixture.poll(), Poll::Pending);
    let script = fixture.script();
    assert!(script.flushes > 0, "the frame was not written");
    assert_eq!(script.cancellations, 0);
}

/// The header of a text frame with this number of bytes, which are masked with zeros.
fn masked_header(bytes: u16) -> Vec<u8> {
    let mut header = vec![0x81, 0xfe];
    header.extend(bytes.to_be_bytes());
    header.extend([0; 4]);
    header
}

#[tokio::test]
async fn a_peer_that_sends_one_frame_slowly_without_a_pause_is_not_lost() {
    let mut fixture = Fixture::new().await;
    let text = "x".repeat(200);
    let mut bytes = masked_header(200);
    bytes.extend(text.as_bytes());
    for part in bytes.chunks(30) {
        fixture.peer.get_mut().write_all(part).now_or_never().unwrap().unwrap();
        assert_eq!(fixture.poll(), Poll::Pending);
        fixture.clock.advance(LIMITS.ping.saturating_sub(INSTANT));
    }
    let reply = Message::text(format!("reply: {text}"));
    assert_eq!(fixture.received(), Some(reply), "no ping comes before it");
}

#[tokio::test]
async fn one_frame_has_a_longest_time() {
    let mut fixture = Fixture::new().await;
    let header = masked_header(200);
    fixture.peer.get_mut().write_all(&header).now_or_never().unwrap().unwrap();
    assert_eq!(fixture.poll(), Poll::Pending);
    let parts = LIMITS.frame.as_secs() / 10;
    for _ in 0..parts {
        fixture.peer.get_mut().write_all(b"x").now_or_never().unwrap().unwrap();
        assert_eq!(fixture.poll(), Poll::Pending);
        assert_eq!(fixture.script().cancellations, 0);
        fixture.clock.advance(Duration::from_secs(10));
    }
    for _ in 0..2 {
        assert_eq!(fixture.poll(), Poll::Pending);
    }
    fixture.expect_close(CloseCode::TooSlowOrTooFast);
}

#[tokio::test]
async fn a_peer_that_breaks_the_protocol_learns_it_from_the_close_code() {
    // A text frame without a mask, one with a reserved bit, and an unknown kind of frame.
    for frame in [[0x81, 0x00], [0xc1, 0x80], [0x83, 0x80]] {
        let mut fixture = Fixture::new().await;
        fixture.peer.get_mut().write_all(&frame).now_or_never().unwrap().unwrap();
        fixture.peer.get_mut().write_all(&[0; 4]).now_or_never().unwrap().unwrap();
        assert_eq!(fixture.poll(), Poll::Pending);
        fixture.expect_close(CloseCode::ProtocolError);
    }
}

#[tokio::test]
async fn before_it_is_authenticated_a_peer_sends_at_most_16_kib_at_once() {
    let mut fixture = Fixture::with_frames_of(64 * 1024).await;
    fixture.script().authentication = Authentication::Missing(CloseCode::NotAuthorised);
    fixture.send(Message::text("x".repeat(16 * 1024)));
    assert_eq!(fixture.poll(), Poll::Pending);
    assert!(fixture.received().is_some_and(|frame| frame.is_text()));
    fixture.send(Message::text("x".repeat(16 * 1024 + 100)));
    assert_eq!(fixture.poll(), Poll::Pending);
    fixture.expect_close(CloseCode::TooLarge);

    let mut fixture = Fixture::with_frames_of(64 * 1024).await;
    assert_eq!(fixture.poll(), Poll::Pending);
    fixture.send(Message::text("x".repeat(64 * 1024)));
    assert_eq!(fixture.poll(), Poll::Pending);
    assert!(fixture.received().is_some_and(|frame| frame.is_text()));
}

#[tokio::test]
async fn the_protocol_learns_whether_the_peer_closed_in_order() {
    let codes = [(None, true), (Some(1000), true), (Some(1001), true), (Some(1002), false)];
    for (code, clean) in codes {
        let mut fixture = Fixture::new().await;
        let frame = code.map(|code: u16| CloseFrame { code: code.into(), reason: "".into() });
        fixture.send(Message::Close(frame));
        assert_eq!(ended_clean(fixture).await, Some(clean), "{code:?}");
    }
}

#[tokio::test]
async fn a_peer_that_vanishes_is_lost() {
    let Fixture { socket, peer, script, _directory, .. } = Fixture::new().await;
    drop(peer);
    let registration = socket.sockets.register(&socket.waker);
    socket.run(registration).await;
    assert_eq!(script.lock().unwrap().ended_clean, Some(false));
}

/// A busy protocol reads nothing, so its peer is lost only after two ping intervals.
#[tokio::test]
async fn the_work_for_a_peer_that_vanishes_is_dropped_with_the_socket() {
    let mut fixture = Fixture::new().await;
    fixture.script().is_busy = true;
    assert_eq!(fixture.poll(), Poll::Pending);
    let Fixture { mut socket, peer, script, clock, work, _directory } = fixture;
    drop(peer);
    let mut context = Context::from_waker(std::task::Waker::noop());
    assert_eq!(socket.poll(&mut context), Poll::Pending);
    assert!(work.upgrade().is_some(), "the work ended before the socket");
    clock.advance(2 * LIMITS.ping);
    let registration = socket.sockets.register(&socket.waker);
    socket.run(registration).await;
    assert_eq!(script.lock().unwrap().ended_clean, Some(false));
    assert!(work.upgrade().is_none(), "the work outlived the socket");
}

/// Runs the loop until it ends, and returns what the protocol learned about the end.
async fn ended_clean(fixture: Fixture) -> Option<bool> {
    let Fixture { socket, peer: _peer, script, _directory, .. } = fixture;
    let registration = socket.sockets.register(&socket.waker);
    socket.run(registration).await;
    script.lock().unwrap().ended_clean
}
