//! Explanations keep step with what they explain.

use shakedown::check;
use shakedown::report::explain::{find, knows_reason, translated};
use shakedown::tcp::Rejection;
use shakedown::tcp::state::State;

/// A reason that is added to the machine needs words in both languages.
#[test]
fn every_reason_for_rejecting_a_segment_is_explained() {
    for rejection in Rejection::ALL {
        assert!(knows_reason(rejection.reason()), "{rejection:?}: {}", rejection.reason());
    }
    for reason in
        ["from an address or port that we did not probe", "wrong checksum (RFC 9293 MUST-3)"]
    {
        assert!(knows_reason(reason), "{reason}");
    }
    assert!(!knows_reason("for another reason"));
}

#[test]
fn every_state_and_every_flag_can_be_looked_up() {
    for state in State::ALL {
        assert!(find(state.name()).is_some(), "{state}");
    }
    for flag in ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE"] {
        assert!(find(flag).is_some(), "{flag}");
    }
}

/// A check that is added to the registry needs its Chinese, one that is taken out takes it along.
#[test]
fn every_check_is_explained_in_both_languages() {
    let mut ids: Vec<&str> = check::all().into_iter().map(|check| check.info.id).collect();
    let mut translated: Vec<&str> = translated().collect();
    ids.sort_unstable();
    translated.sort_unstable();
    assert_eq!(translated, ids);
}

/// `shakedown explain NAME` would show the term in place of the check.
#[test]
fn no_check_has_the_name_of_a_term() {
    for check in check::all() {
        assert!(find(check.info.id).is_none(), "{}", check.info.id);
    }
}
