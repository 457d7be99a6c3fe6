use proptest::prelude::*;

use super::*;

#[test]
fn durations_are_read_as_ping_and_humantime_write_them() {
    for (text, nanos) in [
        ("200ms", 200_000_000),
        ("50us", 50_000),
        ("50µs", 50_000),
        ("2s", 2_000_000_000),
        ("1m 30s", 90_000_000_000),
        ("1m30s", 90_000_000_000),
        ("1.5s", 1_500_000_000),
        ("2", 2_000_000_000),
        ("0.2", 200_000_000),
        (".2", 200_000_000),
        ("2.", 2_000_000_000),
        ("0", 0),
        ("0.000000001", 1),
        (" 3 ", 3_000_000_000),
    ] {
        assert_eq!(duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
    }
}

#[test]
fn what_is_no_duration_is_refused_with_the_reason() {
    for (text, reason) in [
        ("", DURATION_HINT),
        (".", DURATION_HINT),
        ("1.2.3", DURATION_HINT),
        ("soon", DURATION_HINT),
        ("NaN", DURATION_HINT),
        ("inf", DURATION_HINT),
        ("1e3", "'e' is no unit: "),
        ("-1", "a duration cannot be negative"),
        ("-1s", "a duration cannot be negative"),
        ("2parsec", "'parsec' is no unit: "),
        ("1month", "months and years are refused ('month'): m is minutes, d is days"),
        ("30M", "months and years are refused ('M'): m is minutes, d is days"),
        ("2h 1y", "months and years are refused ('y'): m is minutes, d is days"),
        ("99999999999999999999", TOO_LONG),
        ("18446744074", TOO_LONG),
        ("40000weeks", TOO_LONG),
        ("99999999999999999999s", "it is too large, or finer than a nanosecond"),
        ("0.0000000001", "it is finer than a nanosecond"),
    ] {
        let why = duration(text).expect_err(text);
        assert!(why.starts_with(reason), "{text}: {why}");
    }
    assert_eq!(positive_duration("0ms"), Err("it must be more than zero".to_owned()));
    assert_eq!(msl("120"), Ok(MAX_MSL));
    assert_eq!(msl("2m 1ns"), Err("an MSL is two minutes at most (RFC 9293)".to_owned()));
}

#[test]
fn text_to_send_knows_its_escapes_and_refuses_others() {
    let bytes = |text: &str| text.parse::<Payload>().map(|payload| payload.0);
    assert_eq!(bytes(r"GET /\r\n\t\0\\\x7F\xfe"), Ok(b"GET /\r\n\t\0\\\x7f\xfe".to_vec()));
    assert_eq!(bytes("é\n"), Ok("é\n".as_bytes().to_vec()));
    assert_eq!(bytes(""), Ok(Vec::new()));
    for wrong in [r"\q", r"\", r"\x", r"\x1", r"\xg0", r"\x+1"] {
        assert!(bytes(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn numbers_keep_to_their_ranges() {
    assert_eq!(mss("1460"), Ok(Choice::Value(1460)));
    assert_eq!(mss("none"), Ok(Choice::Absent));
    assert_eq!(mss("0"), Err("write a number from 1 to 65535, or none".to_owned()));
    assert_eq!(window_scale("14"), Ok(Choice::Value(14)));
    assert!(window_scale("15").is_err());
    assert_eq!(isn("0xffffffff"), Ok(u32::MAX));
    assert_eq!(isn("4294967295"), Ok(u32::MAX));
    assert!(isn("4294967296").is_err());
    assert_eq!(tos("0xB8"), Ok(0xb8));
    for wrong in ["", "0", "256", "-1", "+1", "0x", "0x+1", "1.0", "１"] {
        assert!(ttl(wrong).is_err(), "{wrong}");
    }
    assert!(source_port("0").is_err());
    assert!(source_port("70000").is_err());
}

#[test]
fn what_comes_after_the_handshake_reads_back_as_written() {
    for text in ["close", "rst", "hold=1m 30s", "hold=200ms"] {
        assert_eq!(text.parse::<Then>().map(|then| then.to_string()), Ok(text.to_owned()));
    }
    assert!("hold".parse::<Then>().is_err());
    assert!("hold=-1".parse::<Then>().is_err());
}

#[test]
fn interfaces_and_addresses_that_cannot_exist_are_refused() {
    assert_eq!(interface("eth0.100"), Ok("eth0.100".to_owned()));
    for wrong in ["", "sixteen-letters-", "a b", "a/b", ".", "..", "a\u{1b}"] {
        assert!(interface(wrong).is_err(), "{wrong:?}");
    }
    assert_eq!(address("[::1]"), Ok(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])));
    assert!(address("eth0").is_err());
}

proptest! {
    #[test]
    fn a_duration_that_is_printed_reads_back(nanos in any::<u64>()) {
        // Month and year are the only units of humantime that are refused.
        let time = Duration::from_nanos(nanos % (30 * 24 * 3600 * 1_000_000_000));
        prop_assert_eq!(duration(&humantime::format_duration(time).to_string()), Ok(time));
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in "\\PC{0,20}|[0-9.a-zµ\\\\ -]{0,24}") {
        let _ = (duration(&text), text.parse::<Payload>(), text.parse::<Then>());
        let _ = (mss(&text), isn(&text), interface(&text), address(&text));
    }
}

#[test]
fn a_trigger_is_a_time_or_bytes_and_says_which() {
    assert_eq!(trigger("500ms"), Ok(Trigger::After(Duration::from_millis(500))));
    assert_eq!(trigger("0"), Ok(Trigger::After(Duration::ZERO)));
    assert_eq!(trigger("10B"), Ok(Trigger::Bytes(10)));
    assert_eq!(trigger("64KiB"), Ok(Trigger::Bytes(65_536)));
    assert_eq!(trigger("2MB"), Ok(Trigger::Bytes(2_000_000)));
    assert_eq!(trigger("10").unwrap_err(), "say whether 10 is seconds or bytes: 10s or 10B");
    assert_eq!(trigger("-1B").unwrap_err(), "write a number of bytes as 10B, 64KiB or 1MB");
    assert!(trigger("99999999999GiB").is_err() && trigger("").is_err() && trigger("B").is_err());
}
