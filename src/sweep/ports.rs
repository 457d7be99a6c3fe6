//! The ports of a sweep: lists and ranges, each port once, in ascending order.

use super::parse::shown;

/// A set of ports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortSet(Vec<u16>);

/// What is wrong with the way in which ports are written, in one line for the user.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum PortError {
    #[error("there is no port where one belongs: write ports as in 22,80,8000-8010")]
    Empty,
    #[error("port 0 cannot be connected to: ports are 1 to 65535")]
    Zero,
    #[error("port {0} is out of range: ports are 1 to 65535")]
    TooLarge(String),
    #[error("'{0}' is no port number, and no service that is known here")]
    Unknown(String),
    #[error("the range {first}-{last} runs backwards: write {last}-{first}")]
    Backwards { first: u16, last: u16 },
    #[error("the range '{0}' needs two ends, as in 8000-8010")]
    Open(String),
}

impl PortSet {
    /// Reads numbers, ranges and names of services, with commas between. `service` knows the port of
    /// a service by its name.
    ///
    /// # Errors
    /// The first item that is wrong.
    pub fn parse(text: &str, service: &dyn Fn(&str) -> Option<u16>) -> Result<Self, PortError> {
        let mut ranges = Vec::new();
        for item in text.split(',') {
            ranges.push(range(item.trim(), service)?);
        }
        Ok(ranges.into_iter().flat_map(|(first, last)| first..=last).collect())
    }

    /// How many ports there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        // No more than there are numbers of sixteen bits.
        self.0.len() as u32
    }

    /// The ports, ascending.
    #[must_use]
    pub fn as_slice(&self) -> &[u16] {
        &self.0
    }

    /// Where `port` stands among them.
    #[must_use]
    pub fn index_of(&self, port: u16) -> Option<u16> {
        let at = self.0.binary_search(&port).ok()?;
        u16::try_from(at).ok()
    }

    /// The set without the ports of `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self(self.0.iter().copied().filter(|port| other.index_of(*port).is_none()).collect())
    }
}

/// Port 0, which is none, is left out.
impl FromIterator<u16> for PortSet {
    fn from_iter<I: IntoIterator<Item = u16>>(ports: I) -> Self {
        // One bit for each: all ports, written a thousand times, take no more room than once.
        let mut members = vec![false; usize::from(u16::MAX) + 1];
        ports.into_iter().for_each(|port| members[usize::from(port)] = true);
        Self((1..=u16::MAX).filter(|port| members[usize::from(*port)]).collect())
    }
}

/// Reads `8000-8010`, or a single port as a range of one.
fn range(item: &str, service: &dyn Fn(&str) -> Option<u16>) -> Result<(u16, u16), PortError> {
    // A name may contain a hyphen as well (http-alt).
    let numeric = item.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let Some((first, last)) = item.split_once('-').filter(|_| numeric) else {
        return port(item, service).map(|port| (port, port));
    };
    if first.is_empty() || last.is_empty() || last.contains('-') {
        return Err(PortError::Open(shown(item)));
    }
    let (first, last) = (port(first, service)?, port(last, service)?);
    if first > last {
        return Err(PortError::Backwards { first, last });
    }
    Ok((first, last))
}

fn port(text: &str, service: &dyn Fn(&str) -> Option<u16>) -> Result<u16, PortError> {
    if text.is_empty() {
        return Err(PortError::Empty);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        let known = service(text).filter(|port| *port != 0);
        return known.ok_or_else(|| PortError::Unknown(shown(text)));
    }
    match text.parse() {
        Ok(0) => Err(PortError::Zero),
        Ok(port) => Ok(port),
        Err(_) => Err(PortError::TooLarge(shown(text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<Vec<u16>, PortError> {
        let service = |name: &str| match name {
            "https" => Some(443),
            "http-alt" => Some(8080),
            "nothing" => Some(0),
            _ => None,
        };
        PortSet::parse(text, &service).map(|set| set.as_slice().to_vec())
    }

    #[test]
    fn lists_ascend_and_name_each_port_once() {
        assert_eq!(list("80,22,79-81,https, http-alt"), Ok(vec![22, 79, 80, 81, 443, 8080]));
        assert_eq!(list("1-65535,1-65535").map(|ports| ports.len()), Ok(65_535));
        assert_eq!(list("7-7"), Ok(vec![7]));
        let set = PortSet::parse("1-65535", &|_| None).unwrap();
        assert_eq!(
            (set.count(), set.index_of(65_535), set.index_of(0)),
            (65_535, Some(65_534), None)
        );
        let left = set.without(&PortSet::parse("2-65534", &|_| None).unwrap());
        assert_eq!(left.as_slice(), [1, 65_535]);
    }

    #[test]
    fn each_wrong_item_has_its_reason() {
        for (text, reason) in [
            ("", "there is no port where one belongs: write ports as in 22,80,8000-8010"),
            ("80,", "there is no port where one belongs: write ports as in 22,80,8000-8010"),
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
            ("nosuch", "'nosuch' is no port number, and no service that is known here"),
            ("nothing", "'nothing' is no port number, and no service that is known here"),
            ("+80", "'+80' is no port number, and no service that is known here"),
            ("\u{1b}[2J", "'\\u{1b}[2J' is no port number, and no service that is known here"),
        ] {
            assert_eq!(list(text).map_err(|why| why.to_string()), Err(reason.to_owned()), "{text}");
        }
    }
}
