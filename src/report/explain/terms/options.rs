//! The options.

use super::{Entry, Kind, Rule, Text, entries};

entries! { Option:
MSS = "MSS" "最大报文段长度" ["maximum segment size", "mss", "最大报文段大小"] [9293 "3.7.1", 6691 ""]:
"maximum segment size: how many bytes of data a segment to this end may hold at most"
"发给本端的报文段中最多可以放多少字节的数据"
"Option kind 2, in a SYN only. It follows from the MTU: 1500 less 40 bytes of headers is 1460 for IPv4, and 1440 for IPv6. It is no negotiation, each end states its own. Where it is missing, 536 (IPv4) or 1220 (IPv6) is assumed."
"选项类型 2，只出现在 SYN 中。它由 MTU 得出：IPv4 为 1500 减去 40 字节首部，即 1460；IPv6 为 1440。这不是协商，而是双方各自声明。如果没有该选项，IPv4 按 536、IPv6 按 1220 处理。";

WINDOW_SCALE = "window scale" "窗口扩大" ["wscale", "ws", "window scaling", "窗口扩大因子", "窗口缩放"] [7323 "2"]:
"by how many bits the window field of all later segments is to be shifted left, so that windows can exceed 65535 bytes"
"此后所有报文段的窗口字段要左移多少位，使窗口可以超过 65535 字节"
"Option kind 3, in a SYN only, and only in use where both ends offer it. The largest shift is 14: windows of up to 1 GiB. The window of a SYN itself is never shifted."
"选项类型 3，只出现在 SYN 中，双方都提出才生效。最大移位为 14，即窗口最大可达 1 GiB。SYN 本身的窗口从不移位。";

SACK_PERMITTED = "SACK permitted" "允许选择确认" ["sackOK", "sack-permitted", "允许 SACK"] [2018 "2"]:
"this end understands selective acknowledgments and would like to get them"
"本端支持选择确认（SACK），并希望对方使用"
"Option kind 4, in a SYN only. If both ends offer it, either may then send SACK options."
"选项类型 4，只出现在 SYN 中。双方都提出之后，任何一端都可以发送 SACK 选项。";

SACK = "SACK" "选择确认" ["selective acknowledgment", "selective acknowledgement"] [2018 "3"]:
"selective acknowledgment: the blocks that arrived beyond a gap, so that only what is missing is sent again"
"列出缺口之后已经收到的数据块，使发送方只需重传缺失的部分"
"Option kind 5, up to four blocks, each from its first byte to the one behind its last. The acknowledgment number itself stays at the gap."
"选项类型 5，最多四个数据块，每块给出第一个字节和最后一个字节的下一个序号。确认号本身停在缺口处。";

TIMESTAMPS = "timestamps" "时间戳" ["ts", "tsopt", "TSval", "TSecr", "timestamp option", "时间戳选项"] [7323 "3"]:
"TS val is the sender's clock, ecr the last value that it got from the other end; round trips can be measured by it and old segments told"
"TS val 是发送方的时钟，ecr 是它最近从对方收到的值；可用来测量往返时间并识别过时的报文段"
"Option kind 8. If both SYNs have it, every later segment except RST must have it. It also tells which copy of a repeated segment was answered, and protects against wrapped sequence numbers (PAWS)."
"选项类型 8。如果双方的 SYN 都带有它，此后除 RST 外的每个报文段都必须携带。它还能说明对方回应的是重发报文段的哪一份，并防止序号回绕造成混淆（PAWS）。";

FAST_OPEN = "TCP Fast Open" "TCP 快速打开" ["tfo", "fast open", "fastopen", "tcp fast open cookie", "快速打开"] [7413 "4"]:
"a cookie by which a client that was here before may send data in its SYN already; an empty one asks for a cookie"
"一种 cookie：以前来过的客户端凭它可以在 SYN 中就携带数据；空的选项表示索要 cookie"
"Option kind 34. It saves one round trip. Data in a SYN may reach the application twice, so it is for requests that may be repeated."
"选项类型 34，可以节省一个往返时间。SYN 中的数据可能被应用收到两次，因此只适合可以重复的请求。";

NOP = "NOP" "无操作" ["no-operation", "nop option", "无操作选项"] [9293 "3.2"]:
"no operation: one byte that only moves the next option to a convenient place"
"一个字节，只用来使后面的选项对齐"
"Option kind 1."
"选项类型 1。";

EOL = "EOL" "选项表结束" ["end of option list", "end-of-option-list", "选项结束"] [9293 "3.2"]:
"end of option list: the options end here although the header goes on to its next multiple of 4 bytes"
"选项到此为止，首部其余部分填充到 4 字节的整数倍"
"Option kind 0. The padding behind it is zero."
"选项类型 0，其后的填充为 0。";
}
