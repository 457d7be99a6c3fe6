//! The system call `bpf`: a map of sockets, a program, and its link to an interface.
//!
//! All three are descriptors: whatever ends the process, they are gone, and the interface is as before.
#![allow(unsafe_code)]

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use super::program::Instruction;

/// Commands.
const MAP_CREATE: i64 = 0;
const MAP_UPDATE: i64 = 2;
const PROGRAM_LOAD: i64 = 5;
const LINK_CREATE: i64 = 28;
/// `BPF_MAP_TYPE_XSKMAP`.
const MAP_OF_SOCKETS: u32 = 17;
/// `BPF_PROG_TYPE_XDP`, and the place where it is attached.
const XDP: u32 = 6;
const AT_XDP: u32 = 37;
/// How it is attached: `XDP_FLAGS_SKB_MODE` and `XDP_FLAGS_DRV_MODE`.
const GENERIC: u32 = 1 << 1;
const DRIVER: u32 = 1 << 2;
/// The program is under our licence; the kernel wants to hear one that it knows for some functions.
const LICENSE: &std::ffi::CStr = c"Apache-2.0";

/// Bytes for what the kernel has to say about a program.
const LOG: usize = 64 << 10;

#[repr(C)]
#[derive(Default)]
struct MapCreate {
    kind: u32,
    key_size: u32,
    value_size: u32,
    most: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct MapUpdate {
    map: u32,
    _gap: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
#[derive(Default)]
struct ProgramLoad {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    place: u32,
}

#[repr(C)]
#[derive(Default)]
struct LinkCreate {
    program: u32,
    interface: u32,
    place: u32,
    flags: u32,
}

fn bpf<T>(command: i64, attributes: &T) -> io::Result<i32> {
    let from = ptr::from_ref(attributes);
    // SAFETY: the pointer and the length describe a live structure, which the kernel only reads; what
    // its addresses lead to lives until the call is back.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, from, size_of::<T>()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    i32::try_from(result).map_err(io::Error::other)
}

fn descriptor<T>(command: i64, attributes: &T) -> io::Result<OwnedFd> {
    let fd = bpf(command, attributes)?;
    // SAFETY: just opened, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

/// A map from a queue's number to the AF_XDP socket that listens there.
pub(super) fn map_of_sockets(queues: u32) -> io::Result<OwnedFd> {
    let attributes =
        MapCreate { kind: MAP_OF_SOCKETS, key_size: 4, value_size: 4, most: queues, flags: 0 };
    descriptor(MAP_CREATE, &attributes)
}

/// Puts a socket into the map.
pub(super) fn enter(map: BorrowedFd<'_>, queue: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
    let value = number(socket);
    let attributes = MapUpdate {
        map: number(map),
        key: ptr::from_ref(&queue).addr() as u64,
        value: ptr::from_ref(&value).addr() as u64,
        ..MapUpdate::default()
    };
    bpf(MAP_UPDATE, &attributes).map(drop)
}

/// Has the kernel verify a program; its reason, where it has one, goes into the error.
pub(super) fn load(program: &[Instruction]) -> io::Result<OwnedFd> {
    let error = match verify(program, &mut []) {
        Err(error) if error.raw_os_error() != Some(libc::EPERM) => error,
        result => return result,
    };
    let mut log = vec![0; LOG];
    // Whether it fits or not.
    let _ = verify(program, &mut log);
    let said = String::from_utf8_lossy(log.split(|byte| *byte == 0).next().unwrap_or(&[]));
    let reason = said.lines().rfind(|line| !line.is_empty() && !line.starts_with("processed "));
    Err(match reason {
        Some(reason) => io::Error::new(error.kind(), format!("{error}: {reason}")),
        None => error,
    })
}

fn verify(program: &[Instruction], log: &mut [u8]) -> io::Result<OwnedFd> {
    let mut name = [0; 16];
    name[..9].copy_from_slice(b"shakedown");
    let attributes = ProgramLoad {
        kind: XDP,
        count: u32::try_from(program.len()).map_err(io::Error::other)?,
        instructions: program.as_ptr().addr() as u64,
        license: LICENSE.as_ptr().addr() as u64,
        log_level: u32::from(!log.is_empty()),
        log_size: u32::try_from(log.len()).map_err(io::Error::other)?,
        log: if log.is_empty() { 0 } else { log.as_mut_ptr().addr() as u64 },
        name,
        place: AT_XDP,
        ..ProgramLoad::default()
    };
    descriptor(PROGRAM_LOAD, &attributes)
}

/// Attaches a program to an interface for as long as the link lives: by the driver where that can, else
/// a little further up. Says which.
pub(super) fn link(program: BorrowedFd<'_>, interface: u32) -> io::Result<(OwnedFd, bool)> {
    let link = |flags| {
        let attributes = LinkCreate { program: number(program), interface, place: AT_XDP, flags };
        descriptor(LINK_CREATE, &attributes)
    };
    match link(DRIVER) {
        Ok(link) => Ok((link, true)),
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok((link(GENERIC)?, false)),
        Err(error) => Err(error),
    }
}
