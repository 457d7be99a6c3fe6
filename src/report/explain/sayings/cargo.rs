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

CARRIES_FRAMES [HTTP, FRAME]:
"It carries frames by which HTTP/2 runs the connection itself: SETTINGS say what each end accepts, WINDOW_UPDATE how much more it may be sent, PING whether the other is there, GOAWAY that no more requests are welcome."
"它携带的是 HTTP/2 用来管理连接本身的帧：SETTINGS 说明各端接受什么，WINDOW_UPDATE 说明还可以再发给它多少数据，PING 用来探测对方是否还在，GOAWAY 表示不再接受新的请求。";

CARRIES_TICKETS [TLS]:
"It carries tickets: a client that keeps one can make its next TLS handshake with this server shorter. This one does not keep them, so that each connection shows the whole handshake."
"它携带会话票据：保存票据的客户端下次与该服务器进行 TLS 握手时可以更短。这里不保存票据，以便每个连接都显示完整的握手。";

CARRIES_CLOSE_NOTIFY [TLS]:
"With close_notify TLS says that its sender has said all. It is encrypted and cannot be forged, as a FIN can, so that nobody can cut the end off unnoticed; the FIN follows."
"TLS 用 close_notify 表示发送方已经说完。它经过加密，不像 FIN 那样可以伪造，因此没有人能悄悄截去末尾；随后才是 FIN。";

CARRIES_ALERT [TLS]:
"It carries an alert: the client does not accept what the server has shown, and breaks the TLS handshake off. TCP's connection still stands, and is now closed."
"它携带一个警报：客户端不接受服务器所出示的内容，中断了 TLS 握手。TCP 连接依然存在，现在将被关闭。";
}
