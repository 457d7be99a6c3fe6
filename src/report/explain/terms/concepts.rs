//! What belongs to the opening and the close of connections.

use super::{Entry, Kind, Rule, Text, entries};

entries! { Concept:
SEGMENT = "segment" "报文段" ["tcp segment", "tcp header", "header", "TCP 报文段", "TCP 首部", "首部"] [9293 "3.1"]:
"what TCP sends at a time: a header of 20 to 60 bytes, with data behind it or without"
"TCP 一次发送的单位：20 到 60 字节的首部，后面可以带数据，也可以不带"
"One IP packet carries one segment. 'shakedown explain segment' draws its header."
"一个 IP 分组携带一个报文段。'shakedown explain segment' 会画出它的首部。";

CONNECTION = "connection" "连接" ["socket pair", "four-tuple", "4-tuple", "套接字对", "四元组"] [9293 "3.3.1"]:
"two directions of bytes between two ends, named by both addresses and both ports"
"两端之间双向的字节流，由两个地址和两个端口共同标识"
"It exists only in the memory of the two ends; the network between knows nothing of it, apart from firewalls and address translators."
"连接只存在于两端的内存中；除防火墙和地址转换设备外，中间的网络对它一无所知。";

HANDSHAKE = "three-way handshake" "三次握手" ["handshake", "3-way handshake", "three way handshake", "三报文握手", "握手"] [9293 "3.5"]:
"SYN, SYN-ACK, ACK: each end tells its first number and has it acknowledged"
"SYN、SYN-ACK、ACK，双方各自告诉对方自己的初始序号，并得到确认"
"Two segments would not do: the server could not know that its own number has arrived, and an old SYN that wandered about could open a connection nobody wants. The middle one holds two steps in one."
"两次握手是不够的：服务器无法知道自己的初始序号是否已被收到，而且滞留在网络中的旧 SYN 可能打开一个谁也不要的连接。中间的 SYN-ACK 把两步合成了一步。";

ISN = "ISN" "初始序号" ["initial sequence number", "iss", "irs", "初始序列号"] [9293 "3.4.1", 6528 "3"]:
"initial sequence number: where the count of a direction begins, chosen so that nobody else can guess it"
"一个方向开始计数的序号，其选取方式使别人无法猜到"
"If it could be guessed, a stranger could forge segments of the connection; if it began at 0 each time, segments of an older connection could pass for new ones. Textbooks call the client's x and the server's y."
"如果能被猜到，第三方就可以伪造该连接的报文段；如果每次都从 0 开始，旧连接的报文段就可能被当成新的。教科书通常把客户端的初始序号记作 x，把服务器的记作 y。";

ACTIVE_OPEN = "active open" "主动打开" ["active opener", "connect"] [9293 "3.9.1.1"]:
"to begin a connection by sending a SYN, as a client does by connect()"
"通过发送 SYN 发起连接，客户端调用 connect() 时就是这样"
"CLOSED becomes SYN-SENT."
"状态由 CLOSED 变为 SYN-SENT。";

PASSIVE_OPEN = "passive open" "被动打开" ["passive opener"] [9293 "3.9.1.1"]:
"to wait for whoever comes, as a server does by listen()"
"等待别人来连接，服务器调用 listen() 时就是这样"
"CLOSED becomes LISTEN. One listener serves any number of clients; each gets a connection of its own."
"状态由 CLOSED 变为 LISTEN。一个监听者可以服务任意多个客户端，每个客户端各有自己的连接。";

SIMULTANEOUS_OPEN = "simultaneous open" "同时打开" [] [9293 "3.5"]:
"both ends send a SYN before either has got the other's: one connection results, not two"
"双方都在收到对方的 SYN 之前发出了 SYN；结果是一个连接，而不是两个"
"Both go from SYN-SENT to SYN-RECEIVED, and four segments are needed. It is rare: both must use ports that were agreed upon. 'shakedown listen --simultaneous-open' brings it about."
"双方都从 SYN-SENT 进入 SYN-RECEIVED，共需四个报文段。这种情况很少见：双方必须使用事先约定的端口。'shakedown listen --simultaneous-open' 可以造成这种情形。";

HALF_OPEN = "half-open" "半打开" ["half-open connection", "half open", "embryonic", "半连接", "半开连接"] [9293 "3.5.1", 4987 "2"]:
"a connection that only one end holds for open; also one whose handshake lacks its last ACK"
"只有一端认为已打开的连接；也指三次握手还差最后一个 ACK 的连接"
"The first arises when an end crashes: whatever the other then sends is answered by a RST. The second is what 'shakedown probe' makes on purpose and then resets, so that no application hears of it."
"第一种是由于一端崩溃造成的：此后另一端发来的任何报文段都会得到 RST。第二种是 'shakedown probe' 有意造成、随后又复位的，因此应用进程根本不知道有过这次连接。";

SYN_FLOOD = "SYN flood" "SYN 洪泛" ["syn flooding", "backlog", "SYN 泛洪", "半连接队列"] [4987 "3"]:
"an attack by very many SYNs that are never completed, to fill the server's table of half-open connections"
"用大量永不完成握手的 SYN 占满服务器的半连接队列的攻击"
"The answers are a larger table, shorter waits, and SYN cookies."
"对策是加大队列、缩短等待时间，以及使用 SYN cookie。";

SYN_COOKIE = "SYN cookie" "SYN cookie" ["syn cookies", "syncookies", "syncookie"] [4987 "3.6"]:
"an ISN into which a server has put everything that it would have to remember of a SYN, so that it keeps nothing"
"服务器把需要记住的 SYN 信息都编码在自己的初始序号中，从而不必保存任何状态"
"The final ACK brings it back (ack less 1), and only then the connection takes memory. Options that do not fit into it are lost, unless timestamps carry them."
"最后的 ACK 会把它带回来（ack 减 1），此时才为连接分配内存。放不下的选项会丢失，除非由时间戳选项携带。";

GRACEFUL_CLOSE = "graceful close" "正常关闭" ["close", "four-way close", "four-way handshake", "connection termination", "四次挥手", "四次握手", "连接释放"] [9293 "3.6"]:
"each end sends a FIN and has it acknowledged, so that no byte is lost: four segments, or three"
"双方各发一个 FIN 并得到确认，不会丢失任何字节；共四个报文段，有时为三个"
"Each direction is closed by itself. Three segments suffice where the second end has nothing left to send: its ACK and its own FIN are then one."
"两个方向各自独立关闭。如果后关闭的一端没有数据要发，它的 ACK 和自己的 FIN 可以合在一起，这时只需三个报文段。";

ACTIVE_CLOSE = "active close" "主动关闭" ["active closer"] [9293 "3.6"]:
"to be the end that sends the first FIN: FIN-WAIT-1, FIN-WAIT-2, TIME-WAIT"
"先发送 FIN 的一端，依次经过 FIN-WAIT-1、FIN-WAIT-2、TIME-WAIT"
"Who closes first has to bear TIME-WAIT. A busy server therefore likes to let its clients close first."
"先关闭的一端要承受 TIME-WAIT，因此繁忙的服务器更愿意让客户端先关闭。";

PASSIVE_CLOSE = "passive close" "被动关闭" ["passive closer"] [9293 "3.6"]:
"to be the end that answers a FIN: CLOSE-WAIT, LAST-ACK, CLOSED"
"对 FIN 作出回应的一端，依次经过 CLOSE-WAIT、LAST-ACK、CLOSED"
"The kernel acknowledges the FIN at once; how long CLOSE-WAIT lasts is up to the application."
"内核会立即确认 FIN；CLOSE-WAIT 持续多久则取决于应用进程。";

SIMULTANEOUS_CLOSE = "simultaneous close" "同时关闭" [] [9293 "3.6"]:
"both ends send a FIN before either has got the other's: both pass through CLOSING"
"双方都在收到对方的 FIN 之前发出了 FIN，因此都经过 CLOSING"
"Both also stay in TIME-WAIT."
"双方最后都要停留在 TIME-WAIT。";

HALF_CLOSE = "half-close" "半关闭" ["half close", "half-closed", "shutdown", "shut_wr"] [9293 "3.6"]:
"one direction is closed by a FIN, the other goes on: who has closed may still receive"
"一个方向已由 FIN 关闭，另一个方向仍可继续；已关闭的一端还能接收数据"
"Programs do it by shutdown(SHUT_WR), to say that their request is complete and to read the answer. Some servers take it for the end of everything."
"程序通过 shutdown(SHUT_WR) 实现，表示请求已发完，接着读取应答。有些服务器会误以为整个连接都结束了。";

ABORT = "abort" "异常终止" ["abortive close", "reset connection", "异常关闭", "异常释放"] [9293 "3.9.1.5"]:
"to end a connection by RST: at once, with everything lost that is on its way"
"用 RST 结束连接；立即生效，途中的数据全部丢失"
"Programs do it by SO_LINGER with a time of 0, or by closing a socket before its data were read."
"程序把 SO_LINGER 的时间设为 0，或在没有读完数据时就关闭套接字，都会造成异常终止。";

REFUSED = "refused" "连接被拒绝" ["connection refused", "econnrefused", "closed port", "拒绝"] [9293 "3.10.7.1"]:
"a RST answered the SYN: the host is there, and nobody listens on that port"
"SYN 得到的回应是 RST，说明主机在，但没有进程监听该端口"
"A firewall may answer so too. It is quicker and more honest than silence."
"防火墙也可能这样回应。这比不作回应更快，也更坦率。";

FILTERED = "filtered" "被过滤" ["no answer", "dropped", "timeout", "无应答"] [9293 "3.8.3"]:
"nothing answers, through all repetitions: lost, dropped by a firewall, or nobody there"
"多次重传都没有任何回应，可能是丢失、被防火墙丢弃，或对方根本不存在"
"Silence cannot tell these apart. Repetition makes plain loss unlikely."
"没有回应时，无法区分这几种情况。多次重传可以基本排除偶然丢失。";

CHALLENGE_ACK = "challenge ACK" "挑战 ACK" ["challenge", "challenge acknowledgment", "质询 ACK"] [5961 "3.2", 5961 "4.2", 5961 "7"]:
"an ACK in place of obedience: a RST or SYN that might be forged is answered by what the true sender can prove"
"遇到可能是伪造的 RST 或 SYN 时，不照办，而是回一个 ACK 让对方证明自己"
"The real other end, if it has lost the connection, answers by a RST whose number is exactly right; a stranger cannot, since the ACK never reaches him. They are limited in number."
"如果真正的对方确实丢失了连接，它会回一个序号完全正确的 RST；伪造者收不到这个 ACK，也就做不到。挑战 ACK 的数量有限制。";

OWN = "own" "自己的状态" ["known"] [9293 "3.3.2"]:
"it is our own state: shakedown's machine knows it"
"由 shakedown 自己的状态机得知"
"One of the four ways in which shakedown knows a state: own, proved, implied, assumed."
"shakedown 得知状态的四种方式之一：own（自己的）、proved（已证实）、implied（推断）、assumed（假定）。";

PROVED = "proved" "已证实" ["proven", "证实"] [9293 "3.3.2"]:
"a segment came that only an end in this state can have sent"
"收到了只有处于该状态的一端才会发出的报文段"
"A SYN-ACK proves SYN-RECEIVED, an ACK of our FIN proves CLOSE-WAIT. The time is an estimate: half a round trip before the arrival."
"SYN-ACK 证实 SYN-RECEIVED，对我们的 FIN 的确认证实 CLOSE-WAIT。时间是估计值：到达时刻减去半个往返时间。";

IMPLIED = "implied" "推断" ["inferred", "推断的"] [9293 "3.3.2"]:
"concluded from a segment of ours, and not seen yet: the far end's next segment proves it, or takes it back"
"由我们发出的报文段推知，尚未得到证实；对方的下一个报文段会证实它，或使它被撤回"
"Our segment must have moved it there, if it has arrived. A repetition of the far end's last segment shows that ours was lost."
"我们的报文段如果到达，对方必然进入该状态。如果对方重发上一个报文段，说明我们的报文段丢失了。";

ASSUMED = "assumed" "假定" ["presumed", "假定的"] [9293 "3.3.2"]:
"taken for granted, since nothing has been heard yet"
"还没有收到任何消息，只能先这样认为"
"Only the LISTEN of a server before our SYN is known in this way."
"只有在我们发出 SYN 之前，服务器的 LISTEN 是这样得知的。";
}
