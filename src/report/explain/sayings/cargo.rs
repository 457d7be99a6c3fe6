//! What a segment carries for HTTP and TLS.

use super::{Saying, Text, sayings};
use crate::report::explain::terms;

sayings! {
CARRIES_TLS [TLS]:
"What it carries belongs to the TLS handshake, by which both ends agree on keys, and the server proves who it is. To TCP these are bytes like any others."
"它携带的是 TLS 握手的内容：双方借此商定密钥，服务器并证明自己的身份。对 TCP 来说，这些字节与其他字节没有区别。";

TLS_IS_READY [TLS, ALPN]:
"With it the TLS handshake is over for the client: from now on everything is encrypted, and it may send its request."
"对客户端来说，TLS 握手到此完成：此后的一切都是加密的，它可以发送请求了。";

CARRIES_REQUEST [HTTP]:
"It carries a request, or a part of one. The ACK of these bytes says that the server's kernel has them; only the response shows that the server itself has read them."
"它携带一个请求，或请求的一部分。对这些字节的确认只说明服务器的内核已收到它们；只有响应才表明服务器程序已读到请求。";

CARRIES_HEAD [HTTP]:
"Here the response begins: its status and its header fields. The time since the last byte of the request is a round trip and the server's own work."
"响应从这里开始：先是状态和首部字段。从请求的最后一个字节到此刻，用去的是一个往返时间加上服务器自己的处理时间。";

CARRIES_END [HTTP]:
"Here the response ends. TCP does not show that by itself: HTTP says it, by a length, by a mark at the end, or by closing the connection."
"响应到这里结束。TCP 本身并不表明这一点，而是由 HTTP 说明：通过长度、结尾标记，或者关闭连接。";
}
