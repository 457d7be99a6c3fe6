//! RST in each of its meanings.

use super::{Saying, Text, sayings};
use crate::report::explain::terms;

sayings! {
RST_REFUSES [RST, REFUSED]:
"{From} refuses: nobody listens on this port. The RST bit ends the attempt, and the ACK bit with ack = x + 1 = {ack} shows which SYN is meant."
"{From}拒绝连接：没有进程监听这个端口。RST 位终止这次尝试，ACK 位和 ack = x + 1 = {ack} 说明针对的是哪个 SYN。";

RST_REFUSES_LOST []:
"If it were lost, {to} would repeat its SYN and be refused again."
"如果它丢失，{to}会重发 SYN，然后再次被拒绝。";

RST_HALF_OPEN [RST, HALF_OPEN]:
"{From} breaks the half-open connection off on purpose: RST in place of the final ACK, seq = x + 1 = {seq}, just the number that {to} expects. Its application never hears of the attempt."
"{From}有意放弃这个半打开的连接：发出 RST 而不是最后的 ACK，seq = x + 1 = {seq} 正是{to}所期望的序号。对方的应用进程根本不知道有过这次尝试。";

RST_HALF_OPEN_LOST []:
"If it were lost, {to} would stay in SYN-RECEIVED, repeat its SYN-ACK, and give up at last."
"如果它丢失，{to}会停留在 SYN-RECEIVED，重发 SYN-ACK，最后放弃。";

RST_ABORTS [RST, ABORT]:
"{From} ends the connection at once: RST with seq = {seq}, the number that {to} expects next. What is still on its way is lost, and nothing acknowledges a RST."
"{From}立即终止连接：RST，seq = {seq} 是{to}期望的下一个序号。途中的数据全部丢失，而且 RST 不会得到任何确认。";

RST_ABORTS_LOST []:
"If it were lost, {to} would know nothing of it, until its next segment is answered by another RST."
"如果它丢失，{to}就一无所知，直到它的下一个报文段得到另一个 RST。";

RST_AFTER_FIN [RST, ABORT]:
"{From} answers the other end's FIN by a RST (seq = {seq}): its application has gone, or left data unread. What it had still to say is lost, and there is no TIME-WAIT."
"{From}用 RST（seq = {seq}）回应对方的 FIN：它的应用进程已经退出，或者还有数据没有读。它没说完的话全部丢失，也不会有 TIME-WAIT。";

RST_UNKNOWN [RST]:
"{From} knows no such connection (any more): whatever comes for one that is CLOSED is answered by RST."
"{From}没有（或者已经没有）这个连接：对处于 CLOSED 的连接，收到任何报文段都回以 RST。";
}
