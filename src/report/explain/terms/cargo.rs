//! What rides on a connection.

use super::{Entry, Kind, Rule, Text, entries};

entries! { Concept:
HTTP = "HTTP" "HTTP" ["hypertext transfer protocol", "http request", "http response", "超文本传输协议"] [9110 "3.4", 9112 "9.3", 9113 "5"]:
"what browsers and web servers speak: the client sends a request, the server a response to it, both as bytes of the connection"
"浏览器和网站服务器使用的协议，客户端发送请求，服务器发回响应，二者都只是连接上的字节"
"TCP knows nothing of it: a request or response may fill a part of a segment, or many segments. HTTP/1.0 closes after each response, HTTP/1.1 sends one request after the other, HTTP/2 many at a time; 'shakedown request --compare' shows what that costs."
"TCP 对它一无所知：一个请求或响应可以只占报文段的一部分，也可以分布在许多报文段中。HTTP/1.0 每次响应之后都关闭连接，HTTP/1.1 依次发送多个请求，HTTP/2 同时发送多个请求；'shakedown request --compare' 会显示各自的代价。";

TLS = "TLS" "TLS" ["transport layer security", "ssl", "https", "tls handshake", "安全传输层协议", "TLS 握手"] [8446 "2"]:
"the layer between TCP and HTTP that encrypts what is said and proves who the server is; both ends first agree on keys, in a handshake of its own"
"TCP 与 HTTP 之间的一层，负责加密并证明服务器的身份；双方先通过它自己的握手商定密钥"
"Its handshake comes behind that of TCP and takes one round trip more (TLS 1.3) or two (TLS 1.2). The segments and their headers stay readable, what they carry does not."
"它的握手在 TCP 握手之后，还需要一个（TLS 1.3）或两个（TLS 1.2）往返时间。报文段及其首部仍然可读，所携带的内容则不可读。";

ALPN = "ALPN" "ALPN" ["application-layer protocol negotiation", "应用层协议协商"] [7301 "3"]:
"application-layer protocol negotiation: in the TLS handshake the client lists the protocols that it speaks, and the server picks one"
"应用层协议协商，客户端在 TLS 握手中列出自己支持的协议，由服务器选定一个"
"So HTTP/2 ('h2') or HTTP/1.1 ('http/1.1') is settled without a round trip of its own."
"这样选定 HTTP/2（'h2'）或 HTTP/1.1（'http/1.1'）不需要额外的往返时间。";

FRAME = "frame" "帧" ["HTTP/2 frame", "settings", "goaway", "HTTP/2 帧"] [9113 "4.1", 9113 "6"]:
"the piece in which HTTP/2 sends everything: a header of 9 bytes says how long it is, of which type, and to which stream it belongs"
"HTTP/2 传送一切内容的单位，9 字节的首部说明它的长度、类型和所属的流"
"Requests and responses are HEADERS and DATA frames of their streams; the other types run the connection. A segment may carry several frames, or a part of one."
"请求和响应是各自流中的 HEADERS 帧和 DATA 帧；其他类型的帧用来管理连接。一个报文段可以携带多个帧，也可以只携带一个帧的一部分。";
}
