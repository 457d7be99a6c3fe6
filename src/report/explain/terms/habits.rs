//! What belongs to an open connection: reliability, flow, congestion.

use super::{Entry, Kind, Rule, Text, entries};

entries! { Concept:
RETRANSMISSION = "retransmission" "重传" ["retransmit", "resend", "重发"] [9293 "3.8.1", 6298 "5"]:
"the same segment again, since no acknowledgment of it came in time"
"没有按时收到确认，于是把同一报文段再发一次"
"It has the same sequence number, so that a receiver that has it already notices. The waiting time doubles from one to the next."
"重传的报文段序号不变，接收方如果已经收到过就能发现。每次重传的等待时间都加倍。";

DUPLICATE = "duplicate" "重复报文段" ["duplicate segment", "重复"] [9293 "3.10.7.4"]:
"a segment of which everything had been received before; it is dropped and acknowledged again"
"其中的内容以前全都收到过；丢弃它，并再次确认"
"It comes of a retransmission whose first copy had arrived after all, since the acknowledgment was late or lost; seldom of the network itself."
"多半是因为确认迟到或丢失，而第一份其实已经到达；很少是网络本身造成的。";

DUPLICATE_ACK = "duplicate ACK" "重复确认" ["dupack", "dup ack", "重复 ACK"] [5681 "2"]:
"the same acknowledgment number again: something arrived, but not what is missing"
"确认号与前一个相同，说明有数据到达，但不是所缺的那部分"
"Three of them make the sender repeat what is missing at once."
"收到三个重复确认时，发送方会立即重传缺失的部分。";

FAST_RETRANSMIT = "fast retransmit" "快重传" ["fast recovery", "快速重传", "快恢复", "快速恢复"] [5681 "3.2", 6675 "5"]:
"to send what is missing again at the third duplicate ACK, without waiting for the time-out"
"收到第三个重复确认时立即重传缺失的报文段，不等超时"
"Fast recovery then goes on at half the rate, rather than from the beginning."
"随后的快恢复以一半的速率继续发送，而不是从头开始。";

SLIDING_WINDOW = "sliding window" "滑动窗口" ["flow control", "流量控制"] [9293 "3.8.6", 9293 "3.4"]:
"a sender may have as many bytes on their way as the receiver's window allows; each acknowledgment moves it on"
"发送方未被确认的数据不能超过接收方的窗口；每个确认都使窗口向前滑动"
"So a slow reader slows its sender down: that is TCP's flow control."
"因此读得慢的一方会使发送方慢下来：这就是 TCP 的流量控制。";

ZERO_WINDOW = "zero window" "零窗口" ["closed window", "win=0", "窗口关闭"] [9293 "3.8.6.1"]:
"win = 0: the receiver's buffer is full, and the sender must stop until the window opens"
"接收方缓冲区已满，发送方必须停止，直到窗口重新打开"
"The sender asks from time to time by a window probe."
"发送方会不时用零窗口探测来询问。";

WINDOW_UPDATE = "window update" "窗口更新" ["window opening", "窗口通告"] [9293 "3.8.6.2"]:
"an ACK that acknowledges nothing new, and whose window is larger than before"
"没有确认新数据，但窗口比以前大的 ACK"
"It is sent when the application has read enough. As a pure ACK it is not repeated when lost; the window probe makes up for that."
"应用进程读走足够的数据后发送。它是纯 ACK，丢失后不会重传，由零窗口探测来弥补。";

CONGESTION_WINDOW = "congestion window" "拥塞窗口" ["cwnd", "congestion control", "slow start", "拥塞控制", "慢开始", "慢启动"] [5681 "3.1"]:
"how many bytes a sender allows itself to have on their way, by what it thinks the network can bear"
"发送方根据网络的承受能力，允许自己有多少字节在途中未被确认"
"It begins at up to ten segments, doubles each round trip (slow start), then grows slowly, and shrinks when something is lost. It is not in any header."
"初始最多十个报文段，每个往返时间翻一番（慢开始），之后缓慢增长，发生丢失时缩小。它不出现在任何首部中。";

OUT_OF_ORDER = "out of order" "失序" ["reordering", "out-of-order", "乱序"] [9293 "3.10.7.4"]:
"a segment that arrived before one that was sent earlier, which may be lost or late"
"比先发送的报文段更早到达；先发送的可能丢失，也可能只是迟到"
"It is kept, and the last acknowledgment is sent again at once."
"接收方把它保存起来，并立即再发一次上一个确认。";

KARN = "Karn's algorithm" "Karn 算法" ["karn", "karn's rule"] [6298 "3"]:
"the round trip of a segment that was sent twice is not measured, since its acknowledgment may be of either copy"
"重传过的报文段不用来测量往返时间，因为其确认可能针对任何一份"
"The timestamp option lifts the doubt."
"时间戳选项可以消除这种歧义。";

PAWS = "PAWS" "防止序号回绕" ["protection against wrapped sequences", "序号绕回保护"] [7323 "5"]:
"protection against wrapped sequence numbers: a segment whose timestamp is older than the last is dropped"
"时间戳比最近收到的还旧的报文段会被丢弃"
"At 10 gigabits a second the 32 bits of sequence numbers come round in 3.4 seconds, so an old segment could pass for a new one."
"在 10 Gbit/s 的速率下，32 位序号 3.4 秒就会绕回，旧报文段可能被误认为新的。";

NAGLE = "Nagle's algorithm" "Nagle 算法" ["nagle", "tcp_nodelay"] [9293 "3.7.4"]:
"a small segment waits while an earlier one has not been acknowledged"
"前面的数据还没有被确认时，小报文段先等一等"
"It saves packets, and together with delayed ACKs it may cost 40 ms. TCP_NODELAY switches it off."
"它可以减少分组数量，但与延迟确认相遇时可能多花 40 毫秒。TCP_NODELAY 可以关闭它。";

ECN = "ECN" "显式拥塞通知" ["explicit congestion notification"] [3168 ""]:
"explicit congestion notification: routers mark packets in place of dropping them"
"路由器给分组打标记，而不是丢弃它"
"Offered in the SYN by ECE and CWR, granted in the SYN-ACK by ECE."
"在 SYN 中用 ECE 和 CWR 提出，在 SYN-ACK 中用 ECE 同意。";

MTU = "MTU" "最大传输单元" ["maximum transmission unit", "path mtu", "pmtu", "路径 MTU"] [9293 "3.7.2", 1191 ""]:
"maximum transmission unit: the largest packet, in bytes, that a link carries; 1500 on Ethernet"
"链路能够传送的最大分组长度（字节）；以太网为 1500"
"Where a link on the way has a smaller one, a router says so by ICMP; firewalls that swallow that message make connections hang."
"途中如果有 MTU 更小的链路，路由器会用 ICMP 告知；如果防火墙吞掉这个消息，连接就会卡住。";

ICMP = "ICMP error" "ICMP 差错" ["icmp", "destination unreachable", "ICMP 差错报文", "目的不可达"] [792 "", 4443 "", 5927 "4"]:
"a message of a router or host that a packet could not be delivered; it quotes the beginning of that packet"
"路由器或主机发来的消息，说明某个分组无法交付；其中引用了该分组的开头部分"
"Anyone can forge one, so it counts only if the sequence number that it quotes is really on its way. On an open connection it is a hint, not an end."
"任何人都可以伪造它，所以只有它引用的序号确实在途中时才算数。对已打开的连接，它只是提示，并不会终止连接。";
}
