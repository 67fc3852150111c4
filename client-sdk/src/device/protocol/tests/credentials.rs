//! Credentials: requesting, renewing and replacing them.

use super::*;
use crate::credential::CredentialError;

#[test]
fn a_device_without_a_credential_requests_one_and_then_connects() {
    let mut fixture = Fixture::with(|_| ());
    assert_eq!(fixture.protocol.credential_requests().reason(), Some(CredentialReason::First));
    assert!(!fixture.protocol.has_credential());
    fixture.protocol.set_credential(assertion("given"));
    assert!(
        fixture.protocol.has_credential()
            && fixture.protocol.credential_requests().reason().is_none()
    );
    fixture.open();
    assert_eq!(proof(&fixture.expect_frame()), Some("given"));
}

#[test]
fn a_session_is_renewed_on_the_same_socket() {
    let mut fixture = Fixture::authenticated();
    fixture.receive(&presence_protocol::device::expires_in(60)).unwrap();
    assert_eq!(fixture.protocol.credential_requests().reason(), None);
    let due = fixture.protocol.next_deadline().unwrap();
    assert!((48..=54).contains(&(due - fixture.now).as_secs()));
    assert!(fixture.protocol.handle_time(due) && !fixture.protocol.handle_time(due));
    let within = fixture.now + Duration::from_mins(1) - due;
    let reason = CredentialReason::Expiring { within };
    assert_eq!(fixture.protocol.credential_requests().reason(), Some(reason));
    assert!(fixture.next().is_none());
    fixture.protocol.set_credential(assertion("second"));
    let renewal = fixture.expect_frame();
    assert_eq!((proof(&renewal), status(&renewal)), (Some("second"), Some((Status::Online, None))));
    fixture.ok();
    assert!(
        fixture.protocol.is_authenticated()
            && fixture.protocol.credential_requests().reason().is_none()
    );
    fixture.disconnect(CloseCode::GoingAway);
    fixture.open();
    assert_eq!(proof(&fixture.expect_frame()), Some("second"));
}

#[test]
fn a_session_that_ends_before_its_renewal_requests_a_credential_at_once() {
    let mut fixture = Fixture::authenticated();
    fixture.receive(&presence_protocol::device::expires_in(60)).unwrap();
    fixture.disconnect(CloseCode::NotAuthorised);
    assert_eq!(fixture.protocol.credential_requests().reason(), Some(CredentialReason::Expired));
    assert_eq!(fixture.protocol.next_deadline(), None);
}

#[test]
fn a_renewal_that_fails_temporarily_is_tried_again() {
    let mut fixture = Fixture::authenticated();
    fixture.protocol.set_credential(assertion("second"));
    fixture.expect_frame();
    fixture.refuse(ApiError::from(Errno::IdentityUnavailable).with_retry_after(2.0)).unwrap();
    assert!(fixture.next().is_none());
    fixture.now += Duration::from_secs(2);
    assert_eq!(proof(&fixture.expect_frame()), Some("second"));
}

#[test]
fn a_fresh_credential_is_requested_if_an_accepted_one_is_refused_later() {
    let mut fixture = Fixture::authenticated();
    fixture.disconnect(CloseCode::GoingAway);
    fixture.open();
    fixture.expect_frame();
    let Err(reason) = fixture.refuse(Errno::InvalidAssertion) else {
        panic!("the error should end the socket")
    };
    let next_step = fixture.protocol.handle_disconnect(reason);
    let state = ConnectionState::CredentialWanted(CredentialReason::Expired);
    assert_eq!(next_step, NextStep::AwaitCredential(state));
    assert!(!fixture.protocol.has_credential());
    assert_eq!(fixture.protocol.credential_requests().reason(), Some(CredentialReason::Expired));
}

/// Opens a socket on which the server refuses the credential, and returns the step that follows.
fn refused_on_a_new_socket(fixture: &mut Fixture) -> NextStep {
    fixture.open();
    fixture.expect_frame();
    let Err(reason) = fixture.refuse(Errno::InvalidAssertion) else {
        panic!("the error should end the socket")
    };
    let step = fixture.protocol.handle_disconnect(reason);
    if let NextStep::AwaitCredential(state) = &step {
        fixture.protocol.set_state(state.clone());
    }
    step
}

fn is_signed_out(step: &NextStep) -> bool {
    let NextStep::AwaitCredential(ConnectionState::SignedOut(error)) = step else { return false };
    error.errno == Errno::InvalidAssertion
}

#[test]
fn an_aged_credential_is_replaced_once_and_then_the_user_is_signed_out() {
    let mut fixture = Fixture::with(|options| options.credential = Some(assertion("aged")));
    assert!(fixture.protocol.pull_credential_request(0, 0).is_none());
    let wanted = ConnectionState::CredentialWanted(CredentialReason::Expired);
    assert_eq!(refused_on_a_new_socket(&mut fixture), NextStep::AwaitCredential(wanted.clone()));
    assert_eq!(fixture.protocol.credential_requests().reason(), Some(CredentialReason::Expired));
    fixture.protocol.set_credential(assertion("bad"));
    assert!(is_signed_out(&refused_on_a_new_socket(&mut fixture)));
    assert!(
        !fixture.protocol.has_credential()
            && fixture.protocol.credential_requests().reason().is_none()
    );
    fixture.protocol.set_credential(assertion("good"));
    fixture.open();
    fixture.expect_frame();
    fixture.ok();
    // After an accepted one, a replacement is requested again.
    fixture.disconnect(CloseCode::GoingAway);
    assert_eq!(refused_on_a_new_socket(&mut fixture), NextStep::AwaitCredential(wanted));
}

#[test]
fn a_fresh_credential_that_may_have_aged_in_an_outage_is_replaced_too() {
    let mut fixture = Fixture::with(|options| options.credential = Some(assertion("aged")));
    assert!(fixture.protocol.pull_credential_request(0, 0).is_none());
    let wanted = ConnectionState::CredentialWanted(CredentialReason::Expired);
    assert_eq!(refused_on_a_new_socket(&mut fixture), NextStep::AwaitCredential(wanted.clone()));
    fixture.protocol.set_credential(assertion("second"));
    // The first attempt with it is not answered, and the second one makes no connection.
    fixture.open();
    fixture.expect_frame();
    fixture.disconnect(CloseCode::GoingAway);
    fixture.protocol.handle_disconnect(Disconnect::Failed(Error::TimedOut));
    assert_eq!(refused_on_a_new_socket(&mut fixture), NextStep::AwaitCredential(wanted.clone()));
    fixture.protocol.set_credential(assertion("third"));
    fixture.protocol.handle_disconnect(Disconnect::Failed(Error::TimedOut));
    assert_eq!(refused_on_a_new_socket(&mut fixture), NextStep::AwaitCredential(wanted));
    fixture.protocol.set_credential(assertion("fourth"));
    assert!(is_signed_out(&refused_on_a_new_socket(&mut fixture)));
}

#[test]
fn without_a_source_an_aged_credential_signs_the_user_out_and_a_fresh_one_is_still_requested() {
    let mut fixture = Fixture::with(|options| options.credential = Some(assertion("aged")));
    assert!(is_signed_out(&refused_on_a_new_socket(&mut fixture)));
    assert_eq!(fixture.protocol.credential_requests().reason(), Some(CredentialReason::Expired));
    fixture.protocol.set_credential(assertion("good"));
    assert!(fixture.protocol.has_credential());
}

#[test]
fn a_credential_that_was_refused_is_not_tried_again_even_if_the_application_repeats_it() {
    let mut fixture = Fixture::with(|options| options.credential = Some(assertion("aged")));
    assert!(fixture.protocol.pull_credential_request(0, 0).is_none());
    refused_on_a_new_socket(&mut fixture);
    fixture.protocol.set_credential(assertion("aged"));
    assert!(!fixture.protocol.has_credential());
    let ConnectionState::SignedOut(error) = fixture.protocol.state() else {
        panic!("the user should be signed out")
    };
    assert_eq!(error.errno, Errno::InvalidAssertion);
}

#[test]
fn after_a_refused_renewal_the_session_goes_on_to_its_end_and_the_user_is_signed_out() {
    let mut fixture = Fixture::authenticated();
    fixture.protocol.set_credential(assertion("bad"));
    fixture.expect_frame();
    fixture.refuse(Errno::InvalidAssertion).unwrap();
    assert!(fixture.protocol.is_authenticated() && fixture.next().is_none());
    let next_step = fixture.disconnect(CloseCode::NotAuthorised);
    assert!(
        matches!(next_step, NextStep::AwaitCredential(ConnectionState::SignedOut(_))),
        "{next_step:?}"
    );
}

#[test]
fn a_refused_renewal_keeps_the_credential_that_is_still_valid() {
    let mut fixture = Fixture::authenticated();
    fixture.protocol.set_credential(assertion("bad"));
    fixture.expect_frame();
    fixture.refuse(Errno::InvalidAssertion).unwrap();
    fixture.disconnect(CloseCode::Restart);
    fixture.open();
    assert_eq!(proof(&fixture.expect_frame()), Some("first"));
}

#[test]
fn a_credential_that_is_set_as_the_session_ends_is_tried_at_once() {
    let mut fixture = Fixture::authenticated();
    fixture.protocol.set_credential(assertion("second"));
    assert_eq!(fixture.disconnect(CloseCode::NotAuthorised), NextStep::Reconnect);
    fixture.open();
    assert_eq!(proof(&fixture.expect_frame()), Some("second"));
}

#[test]
fn the_user_is_signed_out_if_the_credential_provider_reports_it() {
    let mut fixture = Fixture::with(|_| ());
    fixture.protocol.fail_credential_request(1, &CredentialError::SignedOut, 0);
    assert!(matches!(fixture.protocol.state(), ConnectionState::SignedOut(_)));
    assert!(
        fixture.protocol.credential_requests().reason().is_none()
            && !fixture.protocol.has_credential()
    );
}
