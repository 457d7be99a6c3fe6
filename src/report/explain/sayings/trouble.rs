//! Repetitions, what was rejected, what was withheld, ICMP errors.

use super::{Saying, Text, sayings};
use crate::report::explain::terms;

sayings! {
AGAIN_SYN [RETRANSMISSION, RTO]:
"No answer came in time, so {from} sends its SYN again{gap}: the same seq = {seq}, so that {to} can tell that it is the same request. The SYN or its answer was lost, or something drops it silently."
"没有按时得到回应，{from}重发 SYN{gap}：seq = {seq} 不变，因此{to}知道这是同一个请求。可能是 SYN 或对它的回应丢失，也可能被悄悄丢弃。";

AGAIN_SYN_ACK [RETRANSMISSION, RTO]:
"{From} sends its SYN-ACK again{gap}, with the same numbers: the ACK of {to} has not reached it. It was lost, or is withheld."
"{From}重发 SYN-ACK{gap}，序号不变：它还没有收到{to}的 ACK，可能丢失了，也可能被扣住没有发出。";

AGAIN_DATA [RETRANSMISSION, RTO]:
"{From} sends these bytes again{gap}, with the same numbers from {seq} on: they were not acknowledged in time, or duplicate ACKs say that they are missing."
"{From}重传这些字节{gap}，仍从序号 {seq} 开始：它们没有按时得到确认，或者重复确认表明它们缺失了。";

AGAIN_FIN [RETRANSMISSION, RTO]:
"{From} sends its FIN again{gap}, with the same number {fin}: it was not acknowledged in time."
"{From}重发 FIN{gap}，序号 {fin} 不变：它没有按时得到确认。";

AGAIN_ACK []:
"{From} acknowledges once more what it has: ack = {ack}."
"{From}再次确认已收到的内容：ack = {ack}。";

GAP [RETRANSMISSION]:
" {time} after the time before"
"（距上一次 {time}）";

TWICE_SYN [DUPLICATE]:
"{From} repeats its SYN{gap}: the answer has not reached it yet. It gets the same SYN-ACK again."
"{From}重发 SYN{gap}：回应还没有到达它那里。它会再次得到同样的 SYN-ACK。";

TWICE_SYN_ACK [DUPLICATE]:
"{From} repeats its SYN-ACK{gap}, though {to} has it: the final ACK has not reached it, and it is still in SYN-RECEIVED. It gets the same ACK again."
"{From}重发 SYN-ACK{gap}，而{to}早已收到：说明最后的 ACK 没有到达，它仍在 SYN-RECEIVED。它会再次得到同样的 ACK。";

TWICE_DATA [DUPLICATE]:
"{From} sends bytes again{gap} that {to} has already: the acknowledgment was lost or came too late. They are dropped and acknowledged again."
"{From}重传{gap}{to}已经收到的字节：确认丢失或来得太晚。这些字节被丢弃，并再次确认。";

TWICE_FIN [DUPLICATE]:
"{From} repeats its FIN{gap}: the acknowledgment has not reached it. {To} acknowledges it again, and where it is in TIME-WAIT, begins its 2 MSL anew."
"{From}重发 FIN{gap}：确认没有到达它那里。{To}再次确认；如果正处于 TIME-WAIT，就重新开始 2 MSL 计时。";

TWICE_ACK [DUPLICATE]:
"Nothing in this segment is new to {to}."
"这个报文段对{to}来说没有任何新内容。";

EARLY [OUT_OF_ORDER]:
"It came too early: {to} waits for number {expected}, and this begins at {seq}. It is kept, and the last acknowledgment is repeated at once."
"它到得太早：{to}等待的是序号 {expected}，而它从 {seq} 开始。先把它保存起来，并立即重复上一个确认。";

REJECTED []:
"{To} drops this segment, and nothing changes: {why}"
"{To}丢弃这个报文段，什么也不改变：{why}";

OF_KERNEL [RST]:
"This host's own kernel sent this, not shakedown and not the other end: it knows nothing of the connection, and the guard that keeps it quiet has failed. The run proves nothing."
"这是本机内核发出的，不是 shakedown，也不是对方：内核不知道有这个连接，而使它保持沉默的守护失效了。这次运行不能说明任何问题。";

HELD_SYN []:
"The SYN has arrived, and is kept from the listening machine on purpose, as if it were lost or late, to see what {from} does."
"SYN 已经到达，但有意不交给监听的状态机，就像丢失或迟到一样，以观察{from}的反应。";

HELD_FIN [SIMULTANEOUS_CLOSE]:
"{From}'s FIN (number {fin}) has arrived, and is kept from our machine until our own FIN has left, so that the two cross."
"{From}的 FIN（序号 {fin}）已经到达，但在我们的 FIN 发出之前先不交给状态机，使两个 FIN 交错。";

HELD_OTHER []:
"It is kept back on purpose, and does not reach {to} now."
"它被有意扣住，现在不会到达{to}。";

CHALLENGE [CHALLENGE_ACK]:
"{From} does not simply obey what came: it answers by an ACK that says what it expects (ack = {ack}). Only the true other end gets to see this and can answer it."
"{From}并不直接照办，而是回一个 ACK 说明自己期望什么（ack = {ack}）。只有真正的对方能看到它并作出回应。";

LATE []:
"It comes after the connection has ended: nothing is known of it any more, so a RST is the answer, unless it is one itself."
"它到达时连接已经结束：这里已没有该连接的任何信息，因此回以 RST（除非它本身就是 RST）。";

ICMP_UNREACHABLE [ICMP]:
"{router} says that it cannot deliver the packet: no way to that host or network, for now at least. A client may take this for the answer to its SYN; an open connection has to bear it."
"{router} 说它无法交付这个分组：至少目前没有到该主机或网络的路。客户端可以把它当作对 SYN 的回应；已打开的连接则必须忍受。";

ICMP_PORT [ICMP, REFUSED]:
"{router} says that nobody takes TCP segments at that port or protocol: a refusal, by ICMP in place of RST."
"{router} 说该端口或协议没有接收者：这也是一种拒绝，只是用 ICMP 而不是 RST。";

ICMP_PROHIBITED [ICMP]:
"{router} is or speaks for a firewall that forbids this packet, and says so. The attempt ends here, without a word of the target itself."
"{router} 是防火墙（或代表防火墙），它禁止这个分组通过，并如实告知。尝试到此结束，目标本身并没有说过话。";

ICMP_EXPIRED [ICMP, TTL]:
"{router} dropped the packet because its TTL came to 0: it went in a circle, or the TTL was too small for the way."
"{router} 丢弃了这个分组，因为它的 TTL 减到了 0：可能在兜圈子，也可能 TTL 对这条路来说太小。";

ICMP_TOO_BIG [ICMP, MTU]:
"{router} says that the packet is too big for the next link: the sender has to send smaller ones."
"{router} 说这个分组对下一段链路来说太大：发送方必须改用更小的分组。";

ICMP_OTHER [ICMP]:
"{router} says that something is wrong with the packet."
"{router} 说这个分组有问题。";

ICMP_FORGED []:
"It changes nothing: what it quotes is not on its way, so anybody could have written it."
"它不起任何作用：它引用的报文段并不在途中，任何人都可能伪造它。";
}
