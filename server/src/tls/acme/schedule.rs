//! The times of orders: when a certificate is renewed, and when a failed order is tried again.

use std::time::Duration;

use presence_core::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::tls::certificate::Validity;

/// The longest time between two attempts, unless the authority demands more.
const MAX_DELAY: Duration = Duration::from_hours(6);
/// The longest time that an authority can demand.
const MAX_DEMANDED: Duration = Duration::from_hours(24);
/// The factor by which each further failure makes the delay longer.
const FACTOR: u32 = 3;
/// The part by which a delay is shorter or longer at random.
const JITTER: f64 = 0.2;

/// The failed attempts since the last certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FailedAttempts {
    pub(super) count: u32,
    /// The time before which there is no other attempt.
    pub(super) not_before: UnixMillis,
}

/// Returns the time of the next order: that of the renewal, or now without a certificate, and not
/// before the next attempt after a failure.
pub(super) fn next_order(
    certificate: Option<Validity>,
    failed: Option<FailedAttempts>,
) -> UnixMillis {
    let renewal = certificate.map_or(UnixMillis::default(), renewal_of);
    renewal.max(failed.map_or(UnixMillis::default(), |failed| failed.not_before))
}

/// Returns the time of the renewal: after two thirds of the lifetime.
fn renewal_of(validity: Validity) -> UnixMillis {
    validity.not_before + validity.lifetime() * 2 / 3
}

/// Returns the delay after a number of failures. `random` is between 0 and 1, and `demanded` is
/// what the authority has asked for.
pub(super) fn delay_after(
    failures: u32,
    first: Duration,
    random: f64,
    demanded: Option<Duration>,
) -> Duration {
    let factor = FACTOR.saturating_pow(failures.saturating_sub(1));
    let delay = first.saturating_mul(factor).min(MAX_DELAY.max(first));
    let delay = delay.mul_f64(1.0 - JITTER + 2.0 * JITTER * random.clamp(0.0, 1.0));
    delay.max(demanded.unwrap_or_default().min(MAX_DEMANDED))
}

#[cfg(test)]
mod tests {
    use presence_core::{Clock as _, ManualClock};

    use super::*;

    const DAY: Duration = Duration::from_hours(24);
    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_certificate_is_renewed_after_two_thirds_of_its_lifetime() {
        let clock = ManualClock::new(UnixMillis::from_secs(1_800_000_000));
        let is_due = |validity| clock.now() >= next_order(validity, None);
        assert!(is_due(None), "there is none yet");
        let not_before = clock.now();
        let of_90_days = Some(Validity { not_before, not_after: not_before + DAY * 90 });
        let of_6_days = Some(Validity { not_before, not_after: not_before + DAY * 6 });
        assert!(!is_due(of_90_days) && !is_due(of_6_days));
        clock.advance(Duration::from_mins(4 * 24 * 60 - 1));
        assert!(!is_due(of_6_days));
        clock.advance(MINUTE);
        assert!(is_due(of_6_days) && !is_due(of_90_days));
        clock.advance(Duration::from_mins(56 * 24 * 60 - 1));
        assert!(!is_due(of_90_days));
        clock.advance(MINUTE);
        assert!(is_due(of_90_days));
    }

    #[test]
    fn after_a_failure_there_is_no_order_before_the_next_attempt() {
        let not_before = UnixMillis::from_secs(1_800_000_000);
        let failed = Some(FailedAttempts { count: 1, not_before });
        assert_eq!(next_order(None, failed), not_before);
        let valid = Validity { not_before, not_after: not_before + DAY * 90 };
        assert_eq!(next_order(Some(valid), failed), not_before + DAY * 60);
    }

    #[test]
    fn each_further_failure_triples_the_delay_up_to_six_hours_and_chance_varies_it() {
        let delay = |failures| delay_after(failures, MINUTE, 0.5, None);
        let minutes: Vec<u64> = (1..=8).map(|n| delay(n).as_secs() / 60).collect();
        assert_eq!(minutes, [1, 3, 9, 27, 81, 243, 360, 360]);
        assert_eq!(delay(u32::MAX), MAX_DELAY);
        let [least, most] = [0.0, 1.0].map(|random| delay_after(1, MINUTE, random, None));
        assert_eq!((least.as_secs(), most.as_secs()), (48, 72));
    }

    #[test]
    fn the_authority_can_demand_a_longer_delay_of_at_most_a_day() {
        let delay = |demanded| delay_after(1, MINUTE, 0.5, Some(demanded));
        assert_eq!(delay(Duration::from_secs(1)), MINUTE);
        assert_eq!(delay(Duration::from_hours(7)), Duration::from_hours(7));
        assert_eq!(delay(Duration::MAX), MAX_DEMANDED);
    }

    #[test]
    fn few_attempts_are_made_in_the_first_hour() {
        // Let's Encrypt refuses a name after five failed validations in an hour.
        let mut at = Duration::ZERO;
        let mut attempts = 1;
        for failures in 1.. {
            at += delay_after(failures, MINUTE, 0.0, None);
            if at >= Duration::from_hours(1) {
                break;
            }
            attempts += 1;
        }
        assert_eq!(attempts, 5);
    }
}
