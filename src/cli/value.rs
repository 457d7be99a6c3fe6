//! How single values are written on the command line: durations, numbers, text with escapes.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

/// Bytes to send, as `--send TEXT` writes them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Payload(pub Vec<u8>);

/// Reads TEXT with the escapes `\r \n \t \0 \\ \xHH`; everything else stands for its UTF-8 bytes.
impl FromStr for Payload {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.chars();
        while let Some(char) = rest.next() {
            if char != '\\' {
                bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            bytes.push(match rest.next() {
                Some('r') => b'\r',
                Some('n') => b'\n',
                Some('t') => b'\t',
                Some('0') => 0,
                Some('\\') => b'\\',
                Some('x') => hex_byte(&mut rest)?,
                Some(other) => {
                    return Err(format!(
                        "'\\{}' is no escape: known are \\r \\n \\t \\0 \\\\ \\xHH",
                        other.escape_debug()
                    ));
                }
                None => return Err("it ends in a single backslash: write \\\\ for one".to_owned()),
            });
        }
        Ok(Self(bytes))
    }
}

/// The two hexadecimal digits after `\x`.
fn hex_byte(rest: &mut std::str::Chars<'_>) -> Result<u8, String> {
    let mut digit = || rest.next().and_then(|char| char.to_digit(16));
    match (digit(), digit()) {
        (Some(high), Some(low)) => Ok((high * 16 + low) as u8),
        _ => Err("\\x needs two hexadecimal digits, as in \\x0d".to_owned()),
    }
}

/// An option of the SYN that can also be left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Choice<T> {
    /// The option is not sent.
    Absent,
    /// The option is sent with this value.
    Value(T),
}

/// What happens to the connection once the handshake is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Then {
    /// It is closed by FIN from our end.
    Close,
    /// It is ended by RST.
    Rst,
    /// It stays open this long, and is closed after that.
    Hold(Duration),
}

impl FromStr for Then {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "close" => Ok(Self::Close),
            "rst" => Ok(Self::Rst),
            _ => match text.strip_prefix("hold=") {
                Some(time) => duration(time).map(Self::Hold),
                None => Err("write close, rst or hold=DURATION, as in hold=5s".to_owned()),
            },
        }
    }
}

/// As it is written on the command line.
impl fmt::Display for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Close => f.write_str("close"),
            Self::Rst => f.write_str("rst"),
            Self::Hold(time) => write!(f, "hold={}", humantime::format_duration(*time)),
        }
    }
}

/// When something is to happen on a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// So long after the handshake.
    After(Duration),
    /// After so many bytes.
    Bytes(u64),
}

/// Reads a duration or a number of bytes, which needs a unit: `2s`, `500ms`, `10B`, `64KiB`, `1MB`.
/// A bare number could be either, unless it is 0.
///
/// # Errors
/// A sentence for the user: neither, or it could be both.
pub fn trigger(text: &str) -> Result<Trigger, String> {
    /// Bytes, by the ending of what is written.
    const UNITS: [(&str, u64); 7] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("kB", 1000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("B", 1),
    ];
    let text = text.trim();
    if text == "0" {
        return Ok(Trigger::After(Duration::ZERO));
    }
    let unit = UNITS.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, *size)));
    if let Some((digits, size)) = unit {
        let number = Some(digits.trim()).filter(|it| it.bytes().all(|byte| byte.is_ascii_digit()));
        let number = number.and_then(|digits| digits.parse::<u64>().ok());
        return number
            .and_then(|number| number.checked_mul(size))
            .map(Trigger::Bytes)
            .ok_or_else(|| "write a number of bytes as 10B, 64KiB or 1MB".to_owned());
    }
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(format!("say whether {text} is seconds or bytes: {text}s or {text}B"));
    }
    duration(text).map(Trigger::After)
}

const DURATION_HINT: &str = "write it as 200ms, 50us, 2s or '1m 30s'; a bare number is seconds";

/// Reads a duration: `200ms`, `1m 30s`, or a bare number of seconds with or without a fraction.
///
/// # Errors
/// A sentence for the user: not a duration, negative, in months or years, or too large.
pub fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text.starts_with('-') {
        return Err("a duration cannot be negative".to_owned());
    }
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return seconds(text);
    }
    let time = humantime::parse_duration(text).map_err(|why| match why {
        humantime::DurationError::NumberOverflow => {
            "it is too large, or finer than a nanosecond".to_owned()
        }
        humantime::DurationError::UnknownUnit { unit, .. } if !unit.is_empty() => {
            format!("'{unit}' is no unit: {DURATION_HINT}")
        }
        _ => DURATION_HINT.to_owned(),
    })?;
    // Months and years have no fixed length, and a `30M` that was meant as minutes would wait for
    // two and a half years.
    let calendar = ["M", "month", "months", "y", "yr", "yrs", "year", "years"];
    let units = text.split(|char: char| !char.is_alphabetic());
    if let Some(unit) = units.into_iter().find(|unit| calendar.contains(unit)) {
        return Err(format!("months and years are refused ('{unit}'): m is minutes, d is days"));
    }
    countable(time)
}

/// Reads a duration that must not be zero.
///
/// # Errors
/// As [`duration`], and zero.
pub fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("it must be more than zero".to_owned()),
        time => Ok(time),
    }
}

/// The longest MSL that can be asked for: RFC 9293 §3.4.2 assumes two minutes.
pub const MAX_MSL: Duration = Duration::from_secs(120);

/// Reads a maximum segment lifetime.
///
/// # Errors
/// As [`positive_duration`], and more than [`MAX_MSL`].
pub fn msl(text: &str) -> Result<Duration, String> {
    match positive_duration(text)? {
        time if time > MAX_MSL => Err("an MSL is two minutes at most (RFC 9293)".to_owned()),
        time => Ok(time),
    }
}

/// Seconds in decimal digits, read exactly: a float would lose nanoseconds, and accept NaN.
fn seconds(text: &str) -> Result<Duration, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(DURATION_HINT.to_owned());
    }
    if fraction.len() > 9 {
        return Err("it is finer than a nanosecond".to_owned());
    }
    let whole = match whole {
        "" => 0,
        digits => digits.parse::<u64>().map_err(|_| TOO_LONG.to_owned())?,
    };
    let nanos = format!("{fraction:0<9}").parse::<u32>().map_err(|_| DURATION_HINT.to_owned())?;
    countable(Duration::new(whole, nanos))
}

const TOO_LONG: &str = "it is longer than can be counted in nanoseconds (584 years)";

/// The engine counts nanoseconds in 64 bits.
fn countable(time: Duration) -> Result<Duration, String> {
    u64::try_from(time.as_nanos()).map(|_| time).map_err(|_| TOO_LONG.to_owned())
}

/// Reads an unsigned number from `lowest` to `highest`.
///
/// # Errors
/// What to write, where it is something else.
pub fn within(text: &str, lowest: u32, highest: u32) -> Result<u32, String> {
    number(text, lowest, highest)
}

/// Reads an unsigned number from `lowest` to `highest`, decimal or `0x` hexadecimal.
fn number(text: &str, lowest: u32, highest: u32) -> Result<u32, String> {
    let value = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if !digits.starts_with('+') => u32::from_str_radix(digits, 16).ok(),
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse::<u32>().ok(),
        _ => None,
    };
    value
        .filter(|value| (lowest..=highest).contains(value))
        .ok_or_else(|| format!("write a number from {lowest} to {highest}"))
}

/// Reads `none` as [`Choice::Absent`], everything else by `number`.
fn choice<T>(text: &str, number: impl Fn(&str) -> Result<T, String>) -> Result<Choice<T>, String> {
    if text == "none" {
        return Ok(Choice::Absent);
    }
    number(text).map(Choice::Value).map_err(|why| format!("{why}, or none"))
}

/// Reads an MSS: 1 to 65535, or `none`.
///
/// # Errors
/// A sentence that names the range.
pub fn mss(text: &str) -> Result<Choice<u16>, String> {
    choice(text, |text| number(text, 1, u16::MAX.into()).map(|value| value as u16))
}

/// Reads a window scale shift: 0 to 14 (RFC 7323 §2.3), or `none`.
///
/// # Errors
/// A sentence that names the range.
pub fn window_scale(text: &str) -> Result<Choice<u8>, String> {
    choice(text, |text| number(text, 0, 14).map(|value| value as u8))
}

/// Reads a duration that is not zero, or `none`.
///
/// # Errors
/// A sentence that says how durations are written.
pub fn limit(text: &str) -> Result<Choice<Duration>, String> {
    choice(text, positive_duration)
}

/// Reads a window: 0 to 65535.
///
/// # Errors
/// A sentence that names the range.
pub fn window(text: &str) -> Result<u16, String> {
    number(text, 0, u16::MAX.into()).map(|value| value as u16)
}

/// Reads an initial sequence number: 0 to 4294967295, decimal or hexadecimal.
///
/// # Errors
/// A sentence that names the range.
pub fn isn(text: &str) -> Result<u32, String> {
    number(text, 0, u32::MAX)
}

/// Reads a TTL or hop limit: 1 to 255.
///
/// # Errors
/// A sentence that names the range.
pub fn ttl(text: &str) -> Result<u8, String> {
    number(text, 1, 255).map(|value| value as u8)
}

/// Reads a type of service or traffic class: 0 to 255.
///
/// # Errors
/// A sentence that names the range.
pub fn tos(text: &str) -> Result<u8, String> {
    number(text, 0, 255).map(|value| value as u8)
}

/// Reads how often something is repeated: 0 to 30, since the waiting time doubles each time.
///
/// # Errors
/// A sentence that names the range.
pub fn retries(text: &str) -> Result<u32, String> {
    number(text, 0, 30)
}

/// Reads how many probes may be under way at the same time: 1 to 1024.
///
/// # Errors
/// A sentence that names the range.
pub fn parallel(text: &str) -> Result<u16, String> {
    number(text, 1, 1024).map(|value| value as u16)
}

/// Reads how many probes are sent: from 1.
///
/// # Errors
/// A sentence that names the range.
pub fn count(text: &str) -> Result<u64, String> {
    number(text, 1, u32::MAX).map(u64::from)
}

/// Reads how many probes warm up: from 0.
///
/// # Errors
/// A sentence that names the range.
pub fn warm_up(text: &str) -> Result<u64, String> {
    number(text, 0, u32::MAX).map(u64::from)
}

/// Reads how many fixed source ports take turns: 1 to 256.
///
/// # Errors
/// A sentence that names the range.
pub fn flows(text: &str) -> Result<u16, String> {
    number(text, 1, 256).map(|value| value as u16)
}

/// Reads the seed of a sweep's order: 0 to 2^64 - 1, decimal or `0x` hexadecimal.
///
/// # Errors
/// A sentence that names the range.
pub fn seed(text: &str) -> Result<u64, String> {
    let value = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16).ok(),
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    };
    value.ok_or_else(|| format!("write a number from 0 to {}", u64::MAX))
}

/// Reads how often a silent target is asked in all: 1 to 16.
///
/// # Errors
/// A sentence that names the range.
pub fn passes(text: &str) -> Result<u8, String> {
    number(text, 1, 16).map(|value| value as u8)
}

/// Reads the number of a source port: 1 to 65535.
///
/// # Errors
/// A sentence that names the range.
pub fn source_port(text: &str) -> Result<u16, String> {
    number(text, 1, u16::MAX.into()).map(|value| value as u16)
}

/// Reads an address of this host.
///
/// # Errors
/// A sentence with an example.
pub fn address(text: &str) -> Result<IpAddr, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| {
        "write an address of this host, as in 192.0.2.7 or 2001:db8::7 (names: -I INTERFACE)"
            .to_owned()
    })
}

/// Reads the name of an interface, within the kernel's limits (15 bytes, no slash, no space).
///
/// # Errors
/// A sentence that says so.
pub fn interface(text: &str) -> Result<String, String> {
    let fits = (1..=15).contains(&text.len()) && text != "." && text != "..";
    if fits && !text.contains(|char: char| char == '/' || char.is_whitespace() || char.is_control())
    {
        return Ok(text.to_owned());
    }
    Err("an interface name has 1 to 15 characters, as in eth0; 'ip link' lists them".to_owned())
}

#[cfg(test)]
#[path = "value_tests.rs"]
mod tests;
