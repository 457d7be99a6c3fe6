//! The blocks of a pcapng file (draft-ietf-opsawg-pcapng), little-endian, each built whole.

use crate::net::Dir;

/// Packets begin with their IP header: LINKTYPE_RAW.
const LINKTYPE_RAW: u16 = 101;
/// No packet is longer, receive offload included.
const SNAPLEN: u32 = 1 << 18;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

const COMMENT: u16 = 1;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_DESCRIPTION: u16 = 3;
const IF_TSRESOL: u16 = 9;
const EPB_FLAGS: u16 = 2;
const ISB_STARTTIME: u16 = 2;
const ISB_ENDTIME: u16 = 3;
const ISB_IFDROP: u16 = 5;
const ISB_OSDROP: u16 = 7;
const ISB_USRDELIV: u16 = 8;

/// A block in the making.
struct Block(Vec<u8>);

impl Block {
    fn new(kind: u32) -> Self {
        let mut block = Self(Vec::with_capacity(256));
        // The total length comes last.
        block.u32(kind).u32(0);
        block
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A time as the format writes it: the upper half first, whatever the byte order.
    fn time(&mut self, nanos: u64) -> &mut Self {
        self.bytes(&time(nanos))
    }

    /// Fills up to a multiple of four, as the format wants it everywhere.
    fn pad(&mut self) -> &mut Self {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    fn option(&mut self, code: u16, value: &[u8]) -> &mut Self {
        let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
        self.u16(code).u16(len).bytes(&value[..usize::from(len)]).pad()
    }

    /// An option of text, which is left out where there is none.
    fn text(&mut self, code: u16, text: &str) -> &mut Self {
        if text.is_empty() { self } else { self.option(code, cut(text).as_bytes()) }
    }

    /// The end of the options; the total length, at both ends.
    fn finish(&mut self) -> Vec<u8> {
        self.u32(0);
        let total = u32::try_from(self.0.len() + 4).unwrap_or(u32::MAX);
        self.0[4..8].copy_from_slice(&total.to_le_bytes());
        self.u32(total);
        std::mem::take(&mut self.0)
    }
}

fn time(nanos: u64) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&((nanos >> 32) as u32).to_le_bytes());
    bytes[4..].copy_from_slice(&((nanos & 0xffff_ffff) as u32).to_le_bytes());
    bytes
}

/// As much of `text` as an option can hold.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The beginning of the file: by which program, called how.
pub(super) fn section_header(application: &str, comment: &str) -> Vec<u8> {
    let mut block = Block::new(SECTION_HEADER);
    block.u32(0x1a2b_3c4d).u16(1).u16(0);
    // The length of the section, unknown: what is there counts, however the run ends.
    block.bytes(&[0xff; 8]);
    block.text(COMMENT, comment).text(SHB_USERAPPL, application).finish()
}

/// An interface; those that follow are numbered in their order, from 0.
pub(super) fn interface_description(name: &str, description: &str) -> Vec<u8> {
    let mut block = Block::new(INTERFACE_DESCRIPTION);
    block.u16(LINKTYPE_RAW).u16(0).u32(SNAPLEN);
    block.text(IF_NAME, name).text(IF_DESCRIPTION, description);
    // Nanoseconds: ten to the power of minus nine.
    block.option(IF_TSRESOL, &[9]).finish()
}

/// A packet, `nanos` nanoseconds after the Unix epoch.
pub(super) fn packet(interface: u32, nanos: u64, dir: Dir, bytes: &[u8], comment: &str) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let direction: u32 = match dir {
        Dir::Rx => 1,
        Dir::Tx => 2,
    };
    let mut block = Block::new(ENHANCED_PACKET);
    block.u32(interface).time(nanos).u32(len).u32(len).bytes(bytes).pad();
    block.option(EPB_FLAGS, &direction.to_le_bytes()).text(COMMENT, comment).finish()
}

/// What became of an interface's packets.
#[derive(Clone, Debug, Default)]
pub(super) struct Statistics {
    /// The interface.
    pub(super) interface: u32,
    /// When the capture began, in nanoseconds after the Unix epoch.
    pub(super) start: u64,
    /// When it ended.
    pub(super) end: u64,
    /// Packets that the kernel dropped because they were not fetched in time, where that is known.
    pub(super) dropped: Option<u64>,
    /// Packets in the file.
    pub(super) delivered: u64,
    /// Comments.
    pub(super) comment: String,
}

/// The end of an interface.
pub(super) fn interface_statistics(statistics: &Statistics) -> Vec<u8> {
    let Statistics { interface, start, end, dropped, delivered, ref comment } = *statistics;
    let mut block = Block::new(INTERFACE_STATISTICS);
    block.u32(interface).time(end).text(COMMENT, comment);
    block.option(ISB_STARTTIME, &time(start)).option(ISB_ENDTIME, &time(end));
    if let Some(dropped) = dropped {
        // The second is what it is; the first is where dumpcap writes it and Wireshark reads it.
        block.option(ISB_IFDROP, &dropped.to_le_bytes());
        block.option(ISB_OSDROP, &dropped.to_le_bytes());
    }
    block.option(ISB_USRDELIV, &delivered.to_le_bytes()).finish()
}
