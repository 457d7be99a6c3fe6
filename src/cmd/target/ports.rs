//! Ports as they are written: `443`, `https`, `22,80,8000-8010`.

use super::TargetError;
use super::services::Services;

/// Ports in the order in which they were named, each once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortList(Vec<u16>);

impl PortList {
    /// Reads numbers, ranges and names of services, with commas between.
    ///
    /// # Errors
    /// [`TargetError`] with the item that is wrong.
    pub fn parse(text: &str, services: &Services) -> Result<Self, TargetError> {
        let mut ports = Vec::new();
        // One bit for each port: a list of all of them, written twice, must not take 2^32 steps.
        let mut seen = vec![false; usize::from(u16::MAX) + 1];
        for item in text.split(',') {
            let (first, last) = range(item.trim(), services)?;
            for port in first..=last {
                if !std::mem::replace(&mut seen[usize::from(port)], true) {
                    ports.push(port);
                }
            }
        }
        Ok(Self(ports))
    }

    /// The ports; at least one.
    #[must_use]
    pub fn as_slice(&self) -> &[u16] {
        &self.0
    }
}

/// Reads one port: a number from 1 to 65535, or the name of a service.
///
/// # Errors
/// [`TargetError`], also for a list or a range.
pub fn port(text: &str, services: &Services) -> Result<u16, TargetError> {
    if text.is_empty() {
        return Err(TargetError::EmptyPort);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return match text.parse::<u16>() {
            Ok(0) => Err(TargetError::PortZero),
            Ok(port) => Ok(port),
            Err(_) => Err(TargetError::PortTooLarge(text.to_owned())),
        };
    }
    if looks_like_ports(text) {
        return Err(TargetError::SeveralPorts(text.to_owned()));
    }
    services.port(text).ok_or_else(|| TargetError::UnknownService(text.to_owned()))
}

/// Reads `8000-8010`, or a single port as a range of one.
fn range(item: &str, services: &Services) -> Result<(u16, u16), TargetError> {
    // A name may contain a hyphen as well (http-alt).
    let ends = item.split_once('-').filter(|_| looks_like_ports(item));
    let Some((first, last)) = ends else {
        return port(item, services).map(|port| (port, port));
    };
    if first.is_empty() || last.is_empty() || last.contains('-') {
        return Err(TargetError::OpenRange(item.to_owned()));
    }
    let (first, last) = (port(first, services)?, port(last, services)?);
    if first > last {
        return Err(TargetError::BackwardRange { first, last });
    }
    Ok((first, last))
}

/// Whether `text` consists of digits, commas and hyphens, which no host name does.
pub(super) fn looks_like_ports(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || b",-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<Vec<u16>, TargetError> {
        let services = Services::from_table("http-alt 8080/tcp");
        PortList::parse(text, &services).map(|list| list.as_slice().to_vec())
    }

    #[test]
    fn lists_keep_their_order_and_drop_repetitions() {
        assert_eq!(list("80,22,79-81,https,http-alt"), Ok(vec![80, 22, 79, 81, 443, 8080]));
        assert_eq!(list("1-65535,1-65535").map(|ports| ports.len()), Ok(65535));
        assert_eq!(list("7-7"), Ok(vec![7]));
        assert_eq!(list("22, 80"), Ok(vec![22, 80]));
    }

    #[test]
    fn each_wrong_item_has_its_reason() {
        for (text, reason) in [
            ("", "there is no port where one belongs: ports are 1 to 65535"),
            ("80,", "there is no port where one belongs: ports are 1 to 65535"),
            ("0", "port 0 cannot be connected to: ports are 1 to 65535"),
            ("0-5", "port 0 cannot be connected to: ports are 1 to 65535"),
            ("70000", "port 70000 is out of range: ports are 1 to 65535"),
            (
                "99999999999999999999",
                "port 99999999999999999999 is out of range: ports are 1 to 65535",
            ),
            ("10-5", "the range 10-5 runs backwards: write 5-10"),
            ("10-", "the range '10-' needs two ends, as in 8000-8010"),
            ("-", "the range '-' needs two ends, as in 8000-8010"),
            ("1-2-3", "the range '1-2-3' needs two ends, as in 8000-8010"),
            ("nosuch", "'nosuch' is no port number, and no service that /etc/services knows"),
            ("+80", "'+80' is no port number, and no service that /etc/services knows"),
        ] {
            assert_eq!(list(text).map_err(|why| why.to_string()), Err(reason.to_owned()), "{text}");
        }
    }
}
