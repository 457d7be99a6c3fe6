//! The eleven states. How they follow each other is not written here: that is asked of
//! [`State::may_become`].

use super::Text;
use crate::event::Rule;
use crate::tcp::state::State;

/// What there is to say of a state.
#[derive(Debug)]
pub(in crate::report) struct StateEntry {
    pub(in crate::report) aliases: &'static [&'static str],
    /// Its section in the RFC.
    pub(in crate::report) rule: Rule,
    /// What it means, and what its end may do in it.
    pub(in crate::report) meaning: Text,
    /// Which end is in it.
    pub(in crate::report) end: Text,
    /// How it is entered, and how it is left.
    pub(in crate::report) entered: Text,
    pub(in crate::report) left: Text,
    /// How long it lasts.
    pub(in crate::report) lasts: Text,
    /// How shakedown knows it of the far end.
    pub(in crate::report) known: Text,
    /// The word of `ss state`; none where the system has nothing to show.
    pub(in crate::report) ss: Option<&'static str>,
}

const fn section(section: &'static str) -> Rule {
    Rule { rfc: 9293, section, detail: "" }
}

/// The entry of a state.
pub(in crate::report) const fn of(state: State) -> &'static StateEntry {
    match state {
        State::Closed => &CLOSED,
        State::Listen => &LISTEN,
        State::SynSent => &SYN_SENT,
        State::SynReceived => &SYN_RECEIVED,
        State::Established => &ESTABLISHED,
        State::FinWait1 => &FIN_WAIT_1,
        State::FinWait2 => &FIN_WAIT_2,
        State::CloseWait => &CLOSE_WAIT,
        State::Closing => &CLOSING,
        State::LastAck => &LAST_ACK,
        State::TimeWait => &TIME_WAIT,
    }
}

static CLOSED: StateEntry = StateEntry {
    aliases: &["no connection", "关闭"],
    rule: section("3.10.7.1"),
    meaning: Text::new(
        "There is no connection: nothing is remembered of it. Whatever arrives for it, but for a RST, is answered by a RST.",
        "没有连接，也不保存任何信息。收到属于它的任何报文段（RST 除外），都回以 RST。",
    ),
    end: Text::new("both, before and after", "双方，在连接之前和之后"),
    entered: Text::new(
        "by the ACK of our FIN in LAST-ACK, by the end of TIME-WAIT, by a RST, by giving up",
        "在 LAST-ACK 收到对我方 FIN 的确认、TIME-WAIT 期满、收到或发出 RST、或者放弃重传",
    ),
    left: Text::new(
        "by connect(), which sends a SYN, or by listen()",
        "调用 connect()（发送 SYN）或 listen()",
    ),
    lasts: Text::new("until somebody opens", "直到有人打开连接"),
    known: Text::new(
        "proved by a RST; implied by our ACK of its FIN, or by a RST of ours",
        "收到 RST 即可证实；我们确认了它的 FIN，或我们发出 RST 之后，可以推断",
    ),
    ss: None,
};

static LISTEN: StateEntry = StateEntry {
    aliases: &["listening", "监听", "收听"],
    rule: section("3.10.7.2"),
    meaning: Text::new(
        "The server waits for a SYN of anyone. It has sent nothing, and can send nothing.",
        "服务器等待任何一端发来的 SYN。它还没有发送过报文段，也不能发送数据。",
    ),
    end: Text::new("the server", "服务器"),
    entered: Text::new(
        "by listen(), a passive open; a half-open connection that is reset returns to it",
        "调用 listen()（被动打开）；半打开的连接被复位后也回到该状态",
    ),
    left: Text::new(
        "by a SYN: a new connection begins in SYN-RECEIVED, while the listener itself goes on listening; by close() to CLOSED",
        "收到 SYN：新连接从 SYN-RECEIVED 开始，监听者本身继续监听；调用 close() 进入 CLOSED",
    ),
    lasts: Text::new("as long as the server runs", "服务器运行多久就持续多久"),
    known: Text::new(
        "assumed, before our SYN: nothing can be seen of it",
        "在我们发出 SYN 之前只能假定：从外面什么也看不到",
    ),
    ss: Some("listening"),
};

static SYN_SENT: StateEntry = StateEntry {
    aliases: &["syn sent", "同步已发送"],
    rule: section("3.10.7.3"),
    meaning: Text::new(
        "The client's SYN is out, and it waits for the SYN-ACK. It may not send data yet.",
        "客户端的 SYN 已经发出，正在等待 SYN-ACK。此时还不能发送数据。",
    ),
    end: Text::new("the client; both in a simultaneous open", "客户端；同时打开时为双方"),
    entered: Text::new(
        "by connect(), an active open: the SYN is sent",
        "调用 connect()（主动打开），发出 SYN",
    ),
    left: Text::new(
        "by a SYN-ACK to ESTABLISHED, by a SYN alone to SYN-RECEIVED, by a RST or by giving up to CLOSED",
        "收到 SYN-ACK 进入 ESTABLISHED；只收到 SYN 进入 SYN-RECEIVED；收到 RST 或放弃则回到 CLOSED",
    ),
    lasts: Text::new(
        "one round trip; where nothing answers, until the repetitions are over (Linux: about two minutes)",
        "一个往返时间；没有回应时，直到重传次数用完（Linux 约两分钟）",
    ),
    known: Text::new("proved by its SYN without ACK", "收到它的不带 ACK 的 SYN 即可证实"),
    ss: Some("syn-sent"),
};

static SYN_RECEIVED: StateEntry = StateEntry {
    aliases: &[
        "syn-recv",
        "syn_recv",
        "syn-rcvd",
        "syn received",
        "half-open server",
        "同步已收到",
    ],
    rule: section("3.10.7.4"),
    meaning: Text::new(
        "A SYN has come and the SYN-ACK is out. The connection is half-open until the client's ACK arrives.",
        "已收到 SYN 并发出 SYN-ACK。在客户端的 ACK 到达之前，连接是半打开的。",
    ),
    end: Text::new("the server; both in a simultaneous open", "服务器；同时打开时为双方"),
    entered: Text::new("by a SYN", "收到 SYN"),
    left: Text::new(
        "by the ACK of the SYN-ACK to ESTABLISHED, by a RST back to LISTEN, by giving up to CLOSED",
        "收到对 SYN-ACK 的确认进入 ESTABLISHED；收到 RST 回到 LISTEN；放弃重传则进入 CLOSED",
    ),
    lasts: Text::new(
        "one round trip; where the ACK does not come, until the repetitions are over (Linux: about a minute)",
        "一个往返时间；ACK 不来时，直到 SYN-ACK 的重传次数用完（Linux 约一分钟）",
    ),
    known: Text::new("proved by its SYN-ACK", "收到它的 SYN-ACK 即可证实"),
    ss: Some("syn-recv"),
};

static ESTABLISHED: StateEntry = StateEntry {
    aliases: &["estab", "open", "已建立", "已连接"],
    rule: section("3.10.7.4"),
    meaning: Text::new(
        "The connection is open: both ends may send data and acknowledge it.",
        "连接已打开：双方都可以发送数据并互相确认。",
    ),
    end: Text::new("both", "双方"),
    entered: Text::new(
        "the client's by the SYN-ACK, the server's by the ACK of it: half a round trip later",
        "客户端收到 SYN-ACK 时进入；服务器收到对它的 ACK 时进入，晚半个往返时间",
    ),
    left: Text::new(
        "by close(), which sends a FIN, to FIN-WAIT-1; by the other end's FIN to CLOSE-WAIT; by a RST to CLOSED",
        "调用 close()（发送 FIN）进入 FIN-WAIT-1；收到对方的 FIN 进入 CLOSE-WAIT；RST 使其进入 CLOSED",
    ),
    lasts: Text::new(
        "as long as the applications like: without data nothing needs to be sent",
        "由应用进程决定：没有数据时不需要发送任何报文段",
    ),
    known: Text::new(
        "implied by our ACK of its SYN-ACK; proved by its data, or by its ACK of ours",
        "我们确认了它的 SYN-ACK 之后可以推断；收到它的数据或对我们数据的确认即可证实",
    ),
    ss: Some("established"),
};

static FIN_WAIT_1: StateEntry = StateEntry {
    aliases: &["fin wait 1", "终止等待 1"],
    rule: section("3.6"),
    meaning: Text::new(
        "This end has sent its FIN and waits for the acknowledgment. It sends no more data, but still receives.",
        "本端已发出 FIN，正在等待确认。它不再发送数据，但仍然接收。",
    ),
    end: Text::new("the end that closes first", "先关闭的一端"),
    entered: Text::new(
        "by close() or shutdown(): the FIN is sent",
        "调用 close() 或 shutdown()，发出 FIN",
    ),
    left: Text::new(
        "by the ACK of the FIN to FIN-WAIT-2, by the other end's FIN to CLOSING, by both in one to TIME-WAIT, by a RST to CLOSED",
        "FIN 得到确认进入 FIN-WAIT-2；收到对方的 FIN 进入 CLOSING；二者合在一个报文段中则进入 TIME-WAIT；收到 RST 则进入 CLOSED",
    ),
    lasts: Text::new(
        "one round trip: the other end's kernel acknowledges the FIN at once",
        "一个往返时间：对方内核会立即确认 FIN",
    ),
    known: Text::new("proved by its FIN", "收到它的 FIN 即可证实"),
    ss: Some("fin-wait-1"),
};

static FIN_WAIT_2: StateEntry = StateEntry {
    aliases: &["fin wait 2", "终止等待 2"],
    rule: section("3.6"),
    meaning: Text::new(
        "This end's FIN is acknowledged, and it waits for the other's. The connection is half-closed: data still come in.",
        "本端的 FIN 已得到确认，正在等待对方的 FIN。连接处于半关闭状态：仍可接收数据。",
    ),
    end: Text::new("the end that closes first", "先关闭的一端"),
    entered: Text::new("by the ACK of the FIN", "FIN 得到确认"),
    left: Text::new(
        "by the other end's FIN to TIME-WAIT, by a RST to CLOSED",
        "收到对方的 FIN 进入 TIME-WAIT；收到 RST 则进入 CLOSED",
    ),
    lasts: Text::new(
        "as long as the other application takes to close; Linux gives up on it after 60 seconds if nobody reads",
        "取决于对方应用进程何时关闭；如果本端已无进程读取，Linux 在 60 秒后放弃",
    ),
    known: Text::new("implied by our ACK of its FIN", "我们确认了它的 FIN 之后可以推断"),
    ss: Some("fin-wait-2"),
};

static CLOSE_WAIT: StateEntry = StateEntry {
    aliases: &["close wait", "关闭等待"],
    rule: section("3.6"),
    meaning: Text::new(
        "The other end's FIN has come and is acknowledged. This end may still send; its application has yet to close.",
        "已收到并确认对方的 FIN。本端仍可发送数据，尚待应用进程关闭连接。",
    ),
    end: Text::new("the end that closes second", "后关闭的一端"),
    entered: Text::new("by the other end's FIN", "收到对方的 FIN"),
    left: Text::new(
        "by close(), which sends the FIN, to LAST-ACK; by a RST to CLOSED",
        "调用 close()（发送 FIN）进入 LAST-ACK；收到 RST 则进入 CLOSED",
    ),
    lasts: Text::new(
        "until the application closes; very many of them are a sign of a program that forgets to",
        "直到应用进程关闭；如果数量很多，说明程序忘了关闭连接",
    ),
    known: Text::new(
        "implied by our FIN; proved by its ACK of that FIN",
        "我们发出 FIN 之后可以推断；收到它对该 FIN 的确认即可证实",
    ),
    ss: Some("close-wait"),
};

static CLOSING: StateEntry = StateEntry {
    aliases: &["正在关闭"],
    rule: section("3.6"),
    meaning: Text::new(
        "Both FINs have crossed: this end has got the other's, and waits for the acknowledgment of its own.",
        "双方的 FIN 交错：本端已收到对方的 FIN，正在等待对自己 FIN 的确认。",
    ),
    end: Text::new("both, in a simultaneous close", "同时关闭时的双方"),
    entered: Text::new(
        "by the other end's FIN, before our own is acknowledged",
        "自己的 FIN 得到确认之前，先收到了对方的 FIN",
    ),
    left: Text::new(
        "by the ACK of its own FIN to TIME-WAIT, by a RST to CLOSED",
        "自己的 FIN 得到确认后进入 TIME-WAIT；收到 RST 则进入 CLOSED",
    ),
    lasts: Text::new("one round trip at most", "最多一个往返时间"),
    known: Text::new(
        "implied by our FIN after its own; proved by its ACK of that FIN",
        "它发出 FIN 之后又收到我们的 FIN 时可以推断；收到它对我们 FIN 的确认即可证实",
    ),
    ss: Some("closing"),
};

static LAST_ACK: StateEntry = StateEntry {
    aliases: &["last ack", "最后确认"],
    rule: section("3.6"),
    meaning: Text::new(
        "This end has closed second: its FIN is out, and it waits for the last acknowledgment.",
        "本端后关闭：已发出 FIN，正在等待最后的确认。",
    ),
    end: Text::new("the end that closes second", "后关闭的一端"),
    entered: Text::new(
        "by close() in CLOSE-WAIT: the FIN is sent",
        "在 CLOSE-WAIT 调用 close()，发出 FIN",
    ),
    left: Text::new(
        "by the ACK of the FIN to CLOSED, without any wait",
        "FIN 得到确认后立即进入 CLOSED，不用等待",
    ),
    lasts: Text::new(
        "one round trip; the FIN is repeated until the ACK comes",
        "一个往返时间；ACK 不来就重传 FIN",
    ),
    known: Text::new(
        "proved by its FIN, once it has acknowledged ours",
        "它确认我们的 FIN 之后又发来 FIN，即可证实",
    ),
    ss: Some("last-ack"),
};

static TIME_WAIT: StateEntry = StateEntry {
    aliases: &["time wait", "timewait", "时间等待"],
    rule: section("3.6.1"),
    meaning: Text::new(
        "Both ends have closed. This end waits 2 MSL, to acknowledge a repeated FIN and to let old segments die.",
        "双方都已关闭。本端等待 2 MSL，以便再次确认重传的 FIN，并让旧报文段在网络中消失。",
    ),
    end: Text::new(
        "the end that closes first; both in a simultaneous close",
        "先关闭的一端；同时关闭时为双方",
    ),
    entered: Text::new(
        "by the other end's FIN, when ours is acknowledged",
        "自己的 FIN 已得到确认，又收到对方的 FIN",
    ),
    left: Text::new(
        "by the end of 2 MSL; a new SYN with a later number may open the connection again",
        "2 MSL 期满；序号更大的新 SYN 可以重新打开该连接",
    ),
    lasts: Text::new(
        "2 MSL: 4 minutes by the RFC, 60 seconds on Linux; shakedown's own is shortened on purpose (--msl)",
        "2 MSL：RFC 规定 4 分钟，Linux 为 60 秒；shakedown 自己的有意缩短（--msl）",
    ),
    known: Text::new(
        "implied by our FIN in answer to its own; proved by its ACK of that FIN",
        "我们以 FIN 回应它的 FIN 之后可以推断；收到它对我们 FIN 的确认即可证实",
    ),
    ss: Some("time-wait"),
};
