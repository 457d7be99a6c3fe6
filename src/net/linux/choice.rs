//! Which clock is to stamp packets, and which clocks an interface has.

use std::os::fd::AsFd;

use socket2::{Domain, Socket, Type};

use super::sys::{self, TimestampInfo};
use crate::time::Clock;

/// `HWTSTAMP_TX_OFF`; every other mode stamps what leaves.
const TX_OFF: i32 = 0;
/// `HWTSTAMP_TX_ON`.
const TX_ON: u32 = 1;
/// `HWTSTAMP_FILTER_ALL`; the others stamp PTP or NTP alone.
const FILTER_ALL: i32 = 1;

/// Which clock the user wants.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum ClockChoice {
    /// The interface's own where it stamps both ways already, else the kernel's.
    Auto,
    /// The interface's own, or an error.
    Hardware,
    /// The kernel's, which every interface has.
    #[default]
    Kernel,
    /// This process's alone: the time of the system calls.
    User,
}

impl ClockChoice {
    /// The clock that this choice comes to on `interface`.
    ///
    /// # Errors
    /// Hardware stamps are wanted, and cannot be had.
    pub fn settle(self, interface: &str) -> Result<Clock, ClockError> {
        match self {
            Self::Kernel => Ok(Clock::Kernel),
            Self::User => Ok(Clock::User),
            Self::Auto => Ok(HardwareStamps::of(interface).automatic()),
            Self::Hardware => HardwareStamps::of(interface).demand(interface),
        }
    }
}

/// Hardware stamps are wanted, and cannot be had: one line that says why, and what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{interface} {lacks}; {remedy}")]
pub struct ClockError {
    interface: String,
    lacks: &'static str,
    remedy: String,
}

/// Whether an interface stamps packets at present. We never switch it: it would stay so when we
/// are killed, and others may rely on how it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Switch {
    /// Not all packets, both ways.
    Off,
    /// All packets, both ways.
    On,
    /// It does not say.
    #[default]
    Unknown,
}

/// What an interface's hardware can stamp, and whether it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HardwareStamps {
    /// It can stamp packets that leave.
    pub transmit: bool,
    /// It can stamp every packet that arrives.
    pub receive: bool,
    /// It can stamp some that arrive, such as those of PTP, but none of ours.
    pub receive_some: bool,
    /// The number of its clock: 0 for `/dev/ptp0`.
    pub device: Option<u32>,
    /// Whether it does.
    pub switch: Switch,
}

impl HardwareStamps {
    /// Asks an interface. One that does not answer has none. Changes nothing.
    #[must_use]
    pub fn of(interface: &str) -> Self {
        let Ok(socket) = Socket::new(Domain::UNIX, Type::DGRAM, None) else {
            return Self::default();
        };
        let Ok(info) = sys::ethtool_timestamps(socket.as_fd(), interface) else {
            return Self::default();
        };
        Self::read(info, sys::hardware_stamping(socket.as_fd(), interface).ok())
    }

    fn read(info: TimestampInfo, config: Option<(i32, i32)>) -> Self {
        let has = |flag| {
            info.modes & (flag | libc::SOF_TIMESTAMPING_RAW_HARDWARE)
                == (flag | libc::SOF_TIMESTAMPING_RAW_HARDWARE)
        };
        let arriving = has(libc::SOF_TIMESTAMPING_RX_HARDWARE);
        let receive = arriving && info.receive_filters & 1 << FILTER_ALL != 0;
        let on = |(transmit, filter)| transmit != TX_OFF && filter == FILTER_ALL;
        Self {
            transmit: has(libc::SOF_TIMESTAMPING_TX_HARDWARE)
                && info.transmit_modes & 1 << TX_ON != 0,
            receive,
            receive_some: arriving && !receive,
            device: u32::try_from(info.hardware_clock).ok(),
            switch: match config.map(on) {
                Some(true) => Switch::On,
                Some(false) => Switch::Off,
                None => Switch::Unknown,
            },
        }
    }

    /// Whether it stamps all packets both ways, at present.
    #[must_use]
    pub fn are_on(&self) -> bool {
        self.transmit && self.receive && self.switch == Switch::On
    }

    /// What [`ClockChoice::Auto`] comes to.
    #[must_use]
    pub fn automatic(&self) -> Clock {
        if self.are_on() { Clock::Hardware } else { Clock::Kernel }
    }

    /// The command that switches them on, where that is possible.
    #[must_use]
    pub fn remedy(&self, interface: &str) -> Option<String> {
        (self.transmit && self.receive && self.switch != Switch::On)
            .then(|| format!("sudo hwstamp_ctl -i {interface} -t 1 -r 1"))
    }

    fn demand(&self, interface: &str) -> Result<Clock, ClockError> {
        if self.are_on() {
            return Ok(Clock::Hardware);
        }
        let lacks = match (self.transmit, self.receive) {
            (true, true) if self.switch == Switch::Off => {
                "can stamp packets by its hardware, but that is switched off"
            }
            (true, true) => "can stamp packets by its hardware, but does not say whether it does",
            (true, false) if self.receive_some => {
                "stamps arriving packets by its hardware for PTP alone"
            }
            (true, false) => "does not stamp arriving packets by its hardware",
            (false, true) => "does not stamp leaving packets by its hardware",
            (false, false) => "cannot stamp packets by its hardware",
        };
        let remedy = match self.remedy(interface) {
            Some(command) => format!("`{command}` (linuxptp) switches it on"),
            None => "use --clock kernel".to_owned(),
        };
        Err(ClockError { interface: interface.to_owned(), lacks, remedy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u32 = libc::SOF_TIMESTAMPING_RX_HARDWARE
        | libc::SOF_TIMESTAMPING_TX_HARDWARE
        | libc::SOF_TIMESTAMPING_RAW_HARDWARE;

    /// A card that can everything.
    const ABLE: TimestampInfo = TimestampInfo {
        modes: ALL,
        hardware_clock: 0,
        transmit_modes: 0b11,
        receive_filters: 0b11,
    };

    fn said(info: TimestampInfo, config: Option<(i32, i32)>) -> String {
        HardwareStamps::read(info, config).demand("eth0").unwrap_err().to_string()
    }

    #[test]
    fn hardware_is_taken_where_it_stamps_everything_already() {
        let on = HardwareStamps::read(ABLE, Some((1, 1)));
        assert_eq!((on.demand("eth0"), on.automatic()), (Ok(Clock::Hardware), Clock::Hardware));
        for config in [None, Some((0, 0)), Some((1, 0)), Some((0, 1)), Some((1, 12))] {
            let stamps = HardwareStamps::read(ABLE, config);
            assert_eq!(stamps.automatic(), Clock::Kernel, "{config:?}");
            assert!(stamps.demand("eth0").is_err(), "{config:?}");
        }
    }

    #[test]
    fn what_is_missing_is_said_with_its_remedy() {
        assert_eq!(
            said(ABLE, Some((0, 0))),
            "eth0 can stamp packets by its hardware, but that is switched off; \
             `sudo hwstamp_ctl -i eth0 -t 1 -r 1` (linuxptp) switches it on"
        );
        assert!(said(ABLE, None).contains("does not say whether it does; `sudo hwstamp_ctl"));
        let ptp = TimestampInfo { receive_filters: 1 << 12 | 1, ..ABLE };
        assert_eq!(
            said(ptp, Some((1, 12))),
            "eth0 stamps arriving packets by its hardware for PTP alone; use --clock kernel"
        );
        let deaf = TimestampInfo { modes: ALL & !libc::SOF_TIMESTAMPING_RX_HARDWARE, ..ABLE };
        assert!(said(deaf, Some((1, 1))).starts_with("eth0 does not stamp arriving packets"));
        let dumb = TimestampInfo { transmit_modes: 1, ..ABLE };
        assert!(said(dumb, Some((0, 1))).starts_with("eth0 does not stamp leaving packets"));
        let raw = TimestampInfo { modes: ALL & !libc::SOF_TIMESTAMPING_RAW_HARDWARE, ..ABLE };
        assert!(said(raw, Some((1, 1))).starts_with("eth0 cannot stamp packets"), "not readable");
    }

    #[test]
    fn the_loopback_has_the_kernels_stamps_and_ours_alone() {
        assert_eq!(ClockChoice::default().settle("lo"), Ok(Clock::Kernel));
        assert_eq!(ClockChoice::Auto.settle("lo"), Ok(Clock::Kernel));
        assert_eq!(ClockChoice::User.settle("lo"), Ok(Clock::User));
        assert_eq!(
            ClockChoice::Hardware.settle("lo").unwrap_err().to_string(),
            "lo cannot stamp packets by its hardware; use --clock kernel"
        );
    }
}
