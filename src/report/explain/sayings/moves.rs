//! What an end is in now, what it may do there, and how that is known.

use super::{Saying, Text, sayings};
use crate::report::explain::terms;

sayings! {
LISTENS [PASSIVE_OPEN]:
"{Who} waits for the SYN of anybody (passive open). It can send nothing before one comes."
"{Who}等待任何一端发来的 SYN（被动打开）。在此之前它不能发送任何报文段。";

LISTENS_ASSUMED [PASSIVE_OPEN, ASSUMED]:
"{Who} is taken to wait for a SYN (passive open): nothing has been heard of it, and nothing can be seen from outside."
"先假定{who}正在等待 SYN（被动打开）：还没有收到它的任何消息，从外面也看不出来。";

LISTENS_AGAIN []:
"The half-open connection is gone, and {who} listens as before: it has told nobody of it."
"半打开的连接已经消失，{who}像先前一样继续监听，没有通知任何应用进程。";

OPENS_ACTIVELY [ACTIVE_OPEN]:
"{Who} opens actively: it sends a SYN now and waits for the answer. It may not send data yet."
"{Who}主动打开：现在发出 SYN 并等待回应。此时还不能发送数据。";

OPENED_ACTIVELY [ACTIVE_OPEN]:
"{Who} has opened actively and waits for the answer to its SYN."
"{Who}已主动打开，正在等待对其 SYN 的回应。";

HALF_OPENS [HALF_OPEN]:
"{Who} has got the SYN and answers it. For it the connection is half-open: it may not hand data to its application before the final ACK comes."
"{Who}已收到 SYN 并作出回应。对它来说连接是半打开的：最后的 ACK 到达之前，不能把数据交给应用进程。";

HALF_OPENS_CROSSED [SIMULTANEOUS_OPEN]:
"{Who} gets a SYN in place of the SYN-ACK that it waits for: the other end opens too. It answers with its own SYN again, now with an ACK."
"{Who}等待的是 SYN-ACK，收到的却是 SYN：对方也在打开连接。它再次发送自己的 SYN，这次带上 ACK。";

OPEN_CLIENT []:
"{Who}'s SYN is acknowledged: for it the connection is open. It may send data from now on, and has to acknowledge the SYN of the other end."
"{who}的 SYN 已得到确认：对它来说连接已打开。它从现在起可以发送数据，并且要确认对方的 SYN。";

OPEN_SERVER []:
"{Who}'s SYN is acknowledged: for it the connection is open too, and its application gets it (accept). Both may send data."
"{who}的 SYN 已得到确认：对它来说连接也已打开，可以交给应用进程（accept）。双方都可以发送数据。";

OPEN_CROSSED []:
"{Who}'s SYN is acknowledged: for it the connection is open. Both may send data."
"{who}的 SYN 已得到确认：对它来说连接已打开。双方都可以发送数据。";

CLOSES_FIRST [ACTIVE_CLOSE]:
"{Who} closes first: it sends its FIN. From now on it sends no data, but still receives and acknowledges them."
"{Who}先关闭：发出 FIN。此后它不再发送数据，但仍然接收并确认数据。";

CLOSED_BY_OTHER [PASSIVE_CLOSE]:
"{Who} has got the FIN: its application reads an end of file. It may still send, and closes its direction when it likes."
"{Who}已收到 FIN：它的应用进程会读到文件结束。它仍可以发送数据，何时关闭自己的方向由它决定。";

HALF_CLOSES [HALF_CLOSE]:
"{Who}'s FIN is acknowledged: its direction is closed, and it waits for the FIN of the other end. Data may still come in, for as long as that takes."
"{who}的 FIN 已得到确认：它的方向已关闭，现在等待对方的 FIN。在此期间仍可接收数据，不限时间。";

CROSSES [SIMULTANEOUS_CLOSE]:
"{Who} gets a FIN before its own is acknowledged: both close at once. It acknowledges it, and waits for the ACK of its own."
"{Who}在自己的 FIN 得到确认之前收到了对方的 FIN：双方同时关闭。它确认这个 FIN，并等待对自己 FIN 的确认。";

CLOSES_SECOND [PASSIVE_CLOSE]:
"{Who}'s application has closed as well: its FIN is out, and only the last acknowledgment is awaited."
"{Who}的应用进程也关闭了：FIN 已发出，只等最后的确认。";

WAITS [TWO_MSL, MSL]:
"Both directions are closed. {Who} waits 2 MSL before it forgets the connection: to acknowledge a repeated FIN, and to let old segments die before the same ports are used again."
"两个方向都已关闭。{Who}等待 2 MSL 才忘掉这个连接：以便再次确认重传的 FIN，并在同一对端口再次使用之前让旧报文段消失。";

ENDS_LAST []:
"{Who}'s FIN is acknowledged: for it the connection is over at once. It needs no TIME-WAIT, for the other end keeps that watch."
"{who}的 FIN 已得到确认：对它来说连接立即结束。它不需要 TIME-WAIT，因为由另一端来等待。";

ENDS_WAIT []:
"2 MSL have passed without a repeated FIN: {who} forgets the connection. Its ports may be used again."
"2 MSL 期满，没有再收到重传的 FIN：{who}忘掉这个连接，端口可以再次使用。";

ENDS_ABORT [ABORT]:
"{Who} ends it without waiting for anybody, and tells the other end by a RST."
"{Who}不等任何人就结束连接，并用 RST 告知对方。";

ENDS_RESET []:
"The RST ends the connection for {who} at once: there is no TIME-WAIT, and its application gets an error."
"RST 使连接对{who}来说立即结束：没有 TIME-WAIT，应用进程会得到一个错误。";

ENDS_REFUSED []:
"The attempt is over: {who} was refused. A program would get 'connection refused' (ECONNREFUSED)."
"尝试结束：{who}被拒绝。程序会得到“连接被拒绝”（ECONNREFUSED）。";

NEVER_LISTENED []:
"Only an end without a connection answers so: {who} is not listening on this port, as had been assumed."
"只有没有连接的一端才会这样回应：{who}并没有像先前假定的那样监听这个端口。";

SENT_RESET []:
"{Who} has ended the connection, and keeps nothing of it."
"{Who}已经终止连接，不再保存任何信息。";

GIVES_UP_SYN [FILTERED]:
"No repetition was answered, and {who} gives up: lost again and again, dropped by a firewall, or nobody there. A program would get 'timed out' (ETIMEDOUT)."
"多次重传都没有得到回应，{who}放弃：可能一再丢失、被防火墙丢弃，或对方根本不存在。程序会得到“连接超时”（ETIMEDOUT）。";

GIVES_UP []:
"Nothing was acknowledged through all repetitions: {who} takes the other end for gone, and gives up."
"多次重传都没有得到确认：{who}认为对方已经消失，于是放弃。";

ENDS_BY_ICMP [ICMP]:
"The ICMP error is taken for the answer to the SYN: {who} gives up the attempt."
"ICMP 差错被当作对 SYN 的回应：{who}放弃这次尝试。";

BECOMES []:
"{Who} is in {state} now."
"{Who}现在处于 {state}。";

BY_PROOF [PROVED]:
"Proved: the {segment} that came can only be sent by an end in this state."
"已证实：只有处于该状态的一端才会发出所收到的 {segment}。";

BY_EFFECT [PROVED]:
"Proved: what came shows that the {segment} had reached it."
"已证实：收到的报文段表明 {segment} 已经到达它那里。";

BY_IMPLICATION [IMPLIED]:
"Implied: the {segment} moves it there, if it arrives; nothing has come back yet that would prove it."
"推断：{segment} 如果到达，就会使它进入该状态；但还没有收到能证实这一点的报文段。";

NOW_PROVED [PROVED]:
"That {who} was in {state} had only been implied; the {segment} that came proves it."
"{who}处于 {state} 此前只是推断；现在收到的 {segment} 证实了它。";

TAKEN_BACK [IMPLIED]:
"{Who} was believed to be in {believed}; the {segment} that came shows that it is still in {state}: our segment has not reached it, and is sent again."
"本以为{who}处于 {believed}；收到的 {segment} 表明它仍在 {state}：我们的报文段没有到达，要重发。";

TAKEN_BACK_OPEN [SIMULTANEOUS_OPEN]:
"{Who} was believed to listen; the {segment} that came shows that it opens actively itself."
"本以为{who}在监听；收到的 {segment} 表明它自己也在主动打开。";
}
