//! The flags of the header: RFC 9293's "control bits".

use super::{Entry, Kind, Rule, Text, entries};

entries! { Flag:
SYN = "SYN" "SYN" ["synchronize", "同步位", "同步"] [9293 "3.1", 9293 "3.5"]:
"synchronize: the bit that opens one direction and says with which number its count begins"
"同步位，用来打开一个方向的传输，并告诉对方该方向的序号从哪里开始计数"
"A SYN takes up one sequence number, as if it were a byte, so that it can be acknowledged and sent again. It stands in the first segment of each end and nowhere else; options such as MSS and window scale may only be offered beside it. On an open connection a SYN is answered by a challenge ACK (RFC 5961)."
"SYN 像一个字节那样占用一个序号，因此可以被确认、也可以被重传。它只出现在双方各自的第一个报文段中；MSS、窗口扩大等选项只能随它一起提出。在已经打开的连接上收到 SYN 时，应回以挑战 ACK（RFC 5961）。";

ACK = "ACK" "ACK" ["acknowledgment", "acknowledgement", "确认位", "确认"] [9293 "3.1", 9293 "3.10.7.4"]:
"acknowledgment: the bit that makes the acknowledgment number valid; set in every segment after the first"
"确认位，置 1 时确认号字段才有效；除第一个报文段外，所有报文段都置 1"
"A segment that has nothing but this bit takes up no sequence number, so it is itself never acknowledged and never sent again. Acknowledgments are cumulative: each one acknowledges everything before its number, so a lost one is made up for by the next."
"只置 ACK 位的报文段不占用序号，因此它本身不会被确认，也不会被重传。确认是累积的：每个确认都确认了该确认号之前的全部数据，所以丢失的确认可由下一个来弥补。";

FIN = "FIN" "FIN" ["finish", "终止位", "终止"] [9293 "3.1", 9293 "3.6"]:
"finish: the bit by which an end says that it will send nothing more; it closes one direction only"
"终止位，一端用它表示自己不再发送数据；它只关闭一个方向"
"A FIN takes up one sequence number behind the last byte, so that it can be acknowledged and sent again. Its sender may still receive. A connection is closed gracefully when both ends have sent a FIN and both were acknowledged."
"FIN 在最后一个字节之后占用一个序号，因此可以被确认、也可以被重传。发送 FIN 的一端仍可接收数据。只有双方都发出 FIN 且都得到确认，连接才算正常关闭。";

RST = "RST" "RST" ["reset", "复位位", "复位"] [9293 "3.5.2", 9293 "3.5.3", 5961 "3"]:
"reset: the bit that ends a connection at once, or says that there is none"
"复位位，立即终止连接，或者表示这里根本没有这个连接"
"Where nobody listens a SYN is answered by a RST; an application that dies or does not read its data ends its connection by one; and whatever arrives for an unknown connection is answered by one. It is never acknowledged and never sent again, data on their way are lost, and a RST never answers a RST. It is believed only if its number is exactly the next one expected (RFC 5961)."
"没有进程监听的端口用 RST 回应 SYN；异常退出或没有读完数据的应用会用它终止连接；收到不属于任何连接的报文段时也回以 RST。RST 不会被确认、也不会被重传，途中的数据会丢失，而且绝不会用 RST 回应 RST。只有序号恰好等于所期望的下一个序号时，RST 才会被接受（RFC 5961）。";

PSH = "PSH" "PSH" ["push", "推送位", "推送"] [9293 "3.9.1.2"]:
"push: the bit by which the sender says that what it had to say ends here, so that the receiver should hand it over"
"推送位，发送方用它表示要说的话到此为止，接收方应尽快把数据交给应用进程"
"It takes up no number and marks no border in the stream: the application still reads bytes, not messages. Most systems set it on the last segment of each write."
"PSH 不占用序号，也不在字节流中划出边界：应用读到的仍是字节，而不是消息。多数系统会在每次写入的最后一个报文段上置 PSH。";

URG = "URG" "URG" ["urgent", "紧急位", "紧急"] [9293 "3.8.5", 6093 ""]:
"urgent: the bit that makes the urgent pointer valid"
"紧急位，置 1 时紧急指针字段才有效"
"Its meaning was never agreed upon, and middleboxes often clear it. New applications should not use it (RFC 6093)."
"各系统对它的解释从未统一，中间设备也常常把它清零。新应用不应再使用它（RFC 6093）。";

ECE = "ECE" "ECE" ["ECN-Echo", "ecn echo"] [3168 "6.1"]:
"ECN-Echo: in a SYN it asks for explicit congestion notification; later it reports that a router has marked a packet"
"ECN 回显，在 SYN 中表示请求使用显式拥塞通知；之后用来报告有路由器给分组打了拥塞标记"
"A SYN with both ECE and CWR offers ECN, a SYN-ACK with ECE alone grants it. From then on a receiver of marked packets sets ECE until it sees CWR."
"同时置 ECE 和 CWR 的 SYN 表示提出使用 ECN，只置 ECE 的 SYN-ACK 表示同意。此后，收到带标记分组的一方会一直置 ECE，直到看到 CWR 为止。";

CWR = "CWR" "CWR" ["congestion window reduced", "拥塞窗口减小"] [3168 "6.1"]:
"congestion window reduced: the answer to ECE, by which the sender says that it has slowed down"
"拥塞窗口减小，对 ECE 的回应，表示发送方已经降低了发送速率"
"In a SYN, together with ECE, it belongs to the offer of ECN and has no meaning of its own."
"在 SYN 中，它与 ECE 一起构成使用 ECN 的提议，本身没有单独的含义。";

AE = "AE" "AE" ["NS", "accurate ecn", "accecn", "精确 ECN"] [9768 "3.1"]:
"accurate ECN: with ECE and CWR a counter of marked packets; in a SYN the three together offer it"
"精确 ECN，与 ECE、CWR 一起构成带标记分组的计数器；在 SYN 中三者同时置 1 表示提出使用它"
"The same bit was once called NS. Where the other end does not know it, the connection falls back to classic ECN or to none."
"这一位以前称为 NS。如果对方不支持，连接会退回到传统的 ECN，或不使用 ECN。";
}
