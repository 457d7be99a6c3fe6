//! Why a segment changed nothing: RFC 9293 §3.10.7 and RFC 5961, in plain words.

use super::{Saying, Text, sayings};
use crate::report::explain::terms;

sayings! {
OTHER_CONNECTION []:
"its ports are those of another connection."
"它的端口属于另一个连接。";

NO_CONNECTION []:
"there is no such connection (any more)."
"这里没有（或已经没有）这个连接。";

RESET_OF_LISTENER []:
"a listener has nothing that a RST could end."
"监听者没有什么可以被 RST 终止。";

ACK_OF_LISTENER []:
"it acknowledges something, but a listener has sent nothing. It is answered by a RST."
"它在确认什么，但监听者没有发送过任何报文段。回以 RST。";

NO_SYN []:
"a connection begins with a SYN, and this is none."
"连接要从 SYN 开始，而它不是 SYN。";

ACK_NOT_OF_SYN []:
"its ack is not our SYN's number plus one, so it belongs to some other connection. It is answered by a RST."
"它的确认号不是我们 SYN 的序号加一，因此属于别的连接。回以 RST。";

RESET_NOT_OF_SYN []:
"a RST counts here only if it acknowledges our SYN; this one may be forged or old."
"此时的 RST 只有确认了我们的 SYN 才算数；这一个可能是伪造的，也可能是过时的。";

NEITHER []:
"before the handshake is over only a SYN or a RST means anything."
"握手完成之前，只有 SYN 或 RST 才有意义。";

BEFORE_WINDOW []:
"all of its numbers have been received before. It is answered by an ACK that says what is expected."
"它的所有序号以前都收到过。回以 ACK，说明期望的序号。";

BEYOND_WINDOW []:
"its numbers lie beyond the receive window: nobody was allowed to send them yet."
"它的序号超出了接收窗口：还没有允许任何人发送这些字节。";

STAMP_MISSING [TIMESTAMPS]:
"timestamps were agreed on, and it has none."
"双方约定使用时间戳，而它没有携带。";

STAMP_OLD [PAWS]:
"its timestamp is older than the last one: it comes from the past."
"它的时间戳比最近收到的还旧：它来自过去。";

RESET_OUTSIDE []:
"the number of this RST is outside the window: it may be forged, or be of an older connection."
"这个 RST 的序号在窗口之外：可能是伪造的，也可能属于旧连接。";

RESET_INSIDE [CHALLENGE_ACK]:
"a RST must have exactly the number that is expected next; one that is merely inside the window may be guessed, and is answered by a challenge ACK."
"RST 的序号必须恰好等于所期望的下一个序号；只是落在窗口之内的可能是猜出来的，回以挑战 ACK。";

RESET_IN_TIME_WAIT []:
"a RST may not cut TIME-WAIT short, or old segments could get into a new connection."
"RST 不得缩短 TIME-WAIT，否则旧报文段可能混入新连接。";

SYN_AGAIN [CHALLENGE_ACK]:
"a SYN has no place on an open connection: it is answered by a challenge ACK."
"已打开的连接上不应再有 SYN：回以挑战 ACK。";

WITHOUT_ACK []:
"behind the first SYN every segment must have the ACK bit."
"除第一个 SYN 外，每个报文段都必须置 ACK 位。";

ACK_OF_OTHER_SYN []:
"it does not acknowledge our SYN-ACK. It is answered by a RST."
"它没有确认我们的 SYN-ACK。回以 RST。";

ACK_OF_UNSENT []:
"it acknowledges what was never sent."
"它确认了从未发送过的内容。";

ACK_ANCIENT []:
"its acknowledgment is older than any that can still be on its way: a guess of somebody else."
"它的确认号比任何可能还在途中的都旧：多半是别人猜的。";

BEHIND_FIN []:
"it has data behind the FIN, after which there can be none."
"它在 FIN 之后还带有数据，而 FIN 之后不可能再有数据。";

STRANGER []:
"it comes from an address or port that was not asked."
"它来自我们没有询问过的地址或端口。";

BAD_CHECKSUM [CHECKSUM]:
"its checksum is wrong, so something in it was damaged on the way."
"它的校验和不对，说明途中有内容损坏。";

OTHER_REASON []:
"it is not acceptable at this point of the connection."
"在连接的这个阶段不能接受它。";
}

/// The saying for a reason, as [`Note::Rejected`](crate::event::Note::Rejected) words it.
pub(in crate::report::explain) fn reason(words: &str) -> &'static Saying {
    REASONS
        .iter()
        .find(|(beginning, _)| words.starts_with(beginning))
        .map_or(&OTHER_REASON, |(_, saying)| *saying)
}

/// The beginning of each reason. A reason that is missing here is explained in general terms; a test
/// (`tests/explain.rs`) asks for all those of the machine.
static REASONS: &[(&str, &Saying)] = &[
    ("ports of another connection", &OTHER_CONNECTION),
    ("no such connection", &NO_CONNECTION),
    ("RST while listening", &RESET_OF_LISTENER),
    ("ACK while listening", &ACK_OF_LISTENER),
    ("no SYN while listening", &NO_SYN),
    ("ack is not of our SYN-ACK", &ACK_OF_OTHER_SYN),
    ("ack is not of our SYN", &ACK_NOT_OF_SYN),
    ("RST that does not acknowledge our SYN", &RESET_NOT_OF_SYN),
    ("neither SYN nor RST", &NEITHER),
    ("before the receive window", &BEFORE_WINDOW),
    ("beyond the receive window", &BEYOND_WINDOW),
    ("timestamps agreed on but missing", &STAMP_MISSING),
    ("timestamp older than the last", &STAMP_OLD),
    ("RST outside the window", &RESET_OUTSIDE),
    ("RST in the window", &RESET_INSIDE),
    ("RST in TIME-WAIT", &RESET_IN_TIME_WAIT),
    ("SYN on an open connection", &SYN_AGAIN),
    ("no ACK bit", &WITHOUT_ACK),
    ("ack of what was never sent", &ACK_OF_UNSENT),
    ("ack older than the largest window", &ACK_ANCIENT),
    ("data after FIN", &BEHIND_FIN),
    ("from an address or port", &STRANGER),
    ("wrong checksum", &BAD_CHECKSUM),
];
