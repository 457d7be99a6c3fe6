//! Timers, and the times by which they are set.

use super::{Entry, Kind, Rule, Text, entries};

entries! { Timer:
RTO = "RTO" "超时重传时间" ["retransmission timeout", "retransmission time-out", "retransmission timer", "重传超时", "重传定时器"] [6298 "2", 6298 "5"]:
"retransmission time-out: how long an end waits for an acknowledgment before it sends the same again; doubled each time"
"等待确认多久之后重传同一报文段；每重传一次就加倍"
"It begins at 1 second and then follows the measured round trip: smoothed RTT plus four times its variation, at least 1 second by the RFC (Linux: 200 ms). After a number of repetitions the end gives up: a SYN of Linux after about two minutes."
"初始值为 1 秒，之后根据测得的往返时间计算：平滑 RTT 加上四倍的偏差，RFC 规定至少 1 秒（Linux 为 200 毫秒）。重传若干次仍无确认就放弃：Linux 的 SYN 大约在两分钟后放弃。";

RTT = "RTT" "往返时间" ["round-trip time", "round trip time", "往返时延"] [6298 "3", 7323 "4"]:
"round-trip time: from the sending of a segment to the arrival of its acknowledgment"
"从发出报文段到收到其确认所经过的时间"
"A segment that was sent twice gives no measurement, since nobody can tell which copy was acknowledged (Karn's algorithm), unless timestamps tell."
"重传过的报文段不能用来测量，因为分不清被确认的是哪一份（Karn 算法），除非有时间戳选项可以区分。";

MSL = "MSL" "报文最大生存时间" ["maximum segment lifetime", "最长报文段寿命", "最大报文段生存时间"] [9293 "3.4.2"]:
"maximum segment lifetime: how long a segment may wander about the network at most; 2 minutes by the RFC"
"报文段在网络中最多能存活多久；RFC 规定为 2 分钟"
"No router measures it, it is an assumption. Linux and most systems wait 60 seconds in TIME-WAIT, as if it were 30. shakedown's --msl shortens it on purpose."
"没有路由器真正测量它，这只是一个假定。Linux 等系统在 TIME-WAIT 中等待 60 秒，相当于 MSL 取 30 秒。shakedown 用 --msl 有意缩短它。";

TWO_MSL = "2MSL" "2MSL" ["2 msl", "2msl timer", "time-wait timer", "time-wait timeout", "2MSL 定时器", "时间等待定时器"] [9293 "3.6.1", 9293 "3.10.8"]:
"twice the maximum segment lifetime: the time that an end stays in TIME-WAIT"
"报文最大生存时间的两倍，即在 TIME-WAIT 状态停留的时间"
"One MSL for our last ACK to arrive or die, one for the repeated FIN that its loss would bring. A FIN that comes meanwhile is acknowledged again and starts the time anew."
"一个 MSL 让我们最后的 ACK 到达对方或消失，另一个 MSL 让因它丢失而重传的 FIN 到达。在此期间收到 FIN 就再次确认，并重新开始计时。";

KEEPALIVE_TIMER = "keep-alive" "保活" ["keepalive", "keep-alive timer", "keepalive timer", "so_keepalive", "保活定时器", "保活探测"] [9293 "3.8.4"]:
"a segment that asks whether the other end is still there: its number is one too small, so that it must be answered"
"保活探测：询问对方是否还在的报文段；它的序号比应有的小 1，所以对方必须回应"
"Off by default, and sent after two hours of silence at the earliest by default. After several without an answer the connection is given up. A RST in answer says that the other end has been restarted."
"默认关闭；打开后默认也要在两小时没有任何数据之后才发送。连续多次没有回应就放弃连接。如果回应是 RST，说明对方已经重启过。";

PERSIST = "persist timer" "持续定时器" ["persist", "persistence timer", "zero-window probe", "window probe", "零窗口探测", "坚持定时器"] [9293 "3.8.6.1"]:
"the timer of the window probe: while the other end's window is 0, one byte is sent from time to time to ask for it"
"零窗口探测的定时器：对方窗口为 0 期间，隔一段时间发送一个字节来询问窗口"
"Without it a lost window update would leave both ends waiting for each other for ever. The intervals double, as those of retransmissions do."
"如果没有它，一旦窗口更新丢失，双方就会永远互相等待。探测间隔像重传一样逐次加倍。";

DELAYED_ACK = "delayed ACK" "延迟确认" ["delack", "delayed acknowledgment", "delayed ack timer", "推迟确认"] [9293 "3.8.6.3", 5681 "4.2"]:
"an acknowledgment that waits a little, for data to ride on or for a second segment to acknowledge"
"稍等片刻再发确认，以便随数据一起发送，或一次确认两个报文段"
"At most 500 ms by the RFC, 40 ms on Linux; at least every second full segment is acknowledged at once."
"RFC 规定最多延迟 500 毫秒，Linux 为 40 毫秒；至少每两个满长的报文段要立即确认一次。";

USER_TIMEOUT = "user timeout" "用户超时" ["uto", "tcp_user_timeout"] [9293 "3.9.1", 5482 ""]:
"how long data may stay without an acknowledgment before the connection is given up"
"数据多久得不到确认就放弃连接"
"5 minutes in the RFC's example; on Linux it follows from the number of retransmissions, about 15 minutes."
"RFC 中举例为 5 分钟；Linux 由重传次数决定，约 15 分钟。";
}
