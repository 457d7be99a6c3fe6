//! The fields of the TCP header, and those of IP that the ladder shows.

use super::{Entry, Kind, Rule, Text, entries};

entries! { Field:
SOURCE_PORT = "source port" "源端口" ["sport", "src port", "源端口号"] [9293 "3.1"]:
"the number (16 bits) at which the sender's application is found on its host"
"发送方应用进程在其主机上的端口号（16 位）"
"The client's is usually chosen at random by its system for each connection. Both addresses and both ports together name a connection."
"客户端的端口号通常由系统为每个连接随机选取。两个地址加两个端口共同标识一个连接。";

DESTINATION_PORT = "destination port" "目的端口" ["dport", "dst port", "目的端口号", "目标端口"] [9293 "3.1"]:
"the number (16 bits) at which the receiver's application is found on its host"
"接收方应用进程在其主机上的端口号（16 位）"
"In a SYN it is the port of a service, such as 443 for HTTPS. If nobody listens there, a RST comes back."
"在 SYN 中它是某种服务的端口，例如 HTTPS 的 443。如果没有进程在该端口上监听，就会收到 RST。";

SEQ = "sequence number" "序号" ["seq", "SEG.SEQ", "sequence", "序列号"] [9293 "3.1", 9293 "3.4"]:
"seq: the number of a segment's first byte; all bytes of a direction are counted, SYN and FIN too"
"即 seq，报文段中第一个字节的编号；一个方向上的所有字节都要编号，SYN 和 FIN 也各占一个序号"
"It has 32 bits and begins again at 0 behind 4294967295. The count of each direction begins at a random number (ISN). shakedown shows numbers relative to it, unless --absolute is given."
"序号有 32 位，到 4294967295 之后又从 0 开始。每个方向都从一个随机的初始序号（ISN）开始计数。除非使用 --absolute，shakedown 显示的都是相对于 ISN 的序号。";

ACK_NUMBER = "acknowledgment number" "确认号" ["ack number", "SEG.ACK", "acknowledgement number", "确认序号"] [9293 "3.1", 9293 "3.4"]:
"ack: the number of the byte that the sender of the segment expects next; it acknowledges everything before it"
"即 ack，期望收到的下一个字节的序号；它表示此前的所有字节都已收到"
"It is valid only where the ACK bit is set, and counts the other direction. An acknowledgment says that TCP has the data, not that the application has read them."
"只有 ACK 位为 1 时确认号才有效，它针对的是另一个方向的数据。确认只说明 TCP 已收到数据，并不说明应用进程已经读取。";

DATA_OFFSET = "data offset" "数据偏移" ["doff", "header length", "offset", "首部长度"] [9293 "3.1"]:
"the length of the header in units of 4 bytes: 5 without options, 15 at most"
"首部长度，以 4 字节为单位：没有选项时为 5，最大为 15"
"It says where the data begin. Since 15 is the largest value, at most 40 bytes are left for options."
"它指出数据从哪里开始。由于最大值是 15，选项最多只能占 40 字节。";

RESERVED = "reserved" "保留" ["rsrvd", "保留位", "保留字段"] [9293 "3.1"]:
"bits without a meaning so far: sent as 0, and ignored where they come"
"目前没有含义的比特：发送时置 0，接收时忽略"
"One of the bits that were reserved for long is now AE (accurate ECN)."
"长期保留的比特中，有一个现已用作 AE（精确 ECN）。";

WINDOW = "window" "窗口" ["win", "SND.WND", "receive window", "窗口大小", "接收窗口"] [9293 "3.1", 9293 "3.8.6"]:
"win: how many more bytes, from ack on, the sender of the segment is ready to take"
"即 win，本报文段的发送方从确认号算起还能接收多少字节"
"It has 16 bits; where both ends offered window scale it is shifted left by the agreed count, but never in a SYN. A window of 0 stops the other end."
"窗口字段有 16 位；如果双方都提出了窗口扩大选项，实际窗口要按约定的位数左移，但 SYN 中的窗口从不扩大。窗口为 0 会让对方停止发送。";

CHECKSUM = "checksum" "校验和" ["检验和"] [9293 "3.1"]:
"16 bits over header, data, addresses and length, by which damage on the way is noticed"
"对首部、数据、IP 地址和长度计算出的 16 位校验值，用来发现传输途中的差错"
"A segment whose checksum is wrong is dropped without a word, so that to its sender it is as if it had been lost."
"校验和不对的报文段会被直接丢弃，对发送方来说就像丢失了一样。";

URGENT_POINTER = "urgent pointer" "紧急指针" ["urgptr", "urp"] [9293 "3.1", 9293 "3.8.5"]:
"how far the urgent data reach, counted from seq; valid only with the URG bit"
"紧急数据从 seq 算起到哪里为止；只有 URG 位为 1 时才有效"
"It does not set data apart from the stream: it only marks a place in it. New applications should not use it."
"它并不把数据从字节流中分离出来，只是在其中标出一个位置。新应用不应再使用它。";

OPTIONS = "options" "选项" ["option", "tcp options", "选项字段"] [9293 "3.2"]:
"up to 40 bytes behind the fixed header, for what the 20 bytes of 1981 have no place for"
"固定首部之后最多 40 字节，用来放 1981 年定下的 20 字节首部里放不下的内容"
"Each has a kind and a length, but for the two of a single byte. Who does not know an option passes over it. What is to hold for the whole connection is offered in the SYNs."
"除两个单字节选项外，每个选项都有类型和长度。不认识的选项会被跳过。对整个连接有效的约定都在双方的 SYN 中提出。";

TTL = "TTL" "生存时间" ["ttl", "hop limit", "time to live", "跳数限制"] [791 "3.1", 8200 "3"]:
"a field of the IP header: how many routers the packet may still pass; each takes one off"
"IP 首部的字段：分组还能经过多少个路由器；每经过一个就减 1"
"Systems begin with 64, 128 or 255, so what has arrived tells roughly how far the sender is. IPv6 calls it hop limit."
"各系统的初始值一般为 64、128 或 255，因此从到达时的值大致可以看出发送方有多远。IPv6 称之为跳数限制。";
}
