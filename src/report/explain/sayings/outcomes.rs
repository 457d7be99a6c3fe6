//! What the end of a run or a probe means.

use super::{Saying, Text, sayings};
use crate::report::explain::terms;

sayings! {
OPEN []:
"Somebody listens there, and the handshake went through: the service is there, as far as TCP can tell."
"有进程在那里监听，握手成功：就 TCP 所能看到的而言，服务是存在的。";

OPEN_HALF []:
"A SYN-ACK came back, so somebody listens; the connection was never completed, and the application has not noticed."
"收到了 SYN-ACK，说明有进程在监听；连接从未完成，应用进程没有察觉。";

REFUSED [REFUSED]:
"The host is there and reachable, but nobody listens on that port; or a firewall answers in its name."
"主机存在并且可达，但没有进程监听该端口；也可能是防火墙以它的名义回应。";

SILENT [FILTERED]:
"Nothing came back at all. Silence does not tell whether a firewall drops the SYNs, the network loses them, or the host is off."
"没有任何回应。无法区分是防火墙丢弃了 SYN、网络丢失了它，还是主机没有开机。";

UNREACHABLE []:
"Some router or host has said that the packet could not be delivered. The target itself has not been heard."
"某个路由器或主机说分组无法交付。目标本身没有回应。";

PROHIBITED []:
"A firewall on the way forbids it and says so; nothing is known of the target itself."
"途中的防火墙禁止并如实告知；对目标本身一无所知。";

INVALID []:
"What came back does not acknowledge our SYN, so it cannot be an answer to it: an old connection, a broken device, or a forgery."
"收到的报文段没有确认我们的 SYN，不可能是对它的回应：可能来自旧连接、有缺陷的设备，或是伪造的。";

CLOSED []:
"Both ends have sent a FIN and both FINs were acknowledged: every byte has arrived, and both ends know it."
"双方都发送了 FIN，两个 FIN 都得到确认：所有字节都已到达，双方也都知道。";

RESET []:
"The other end has ended the connection by RST: what was on its way is lost."
"对方用 RST 终止了连接：途中的数据已丢失。";

TIMED_OUT []:
"The connection was open, and then nothing was acknowledged any more: the way or the other end is gone."
"连接曾经打开，后来再也得不到确认：网络或对方已经中断。";

STILL_OPEN []:
"The other end's kernel has acknowledged our FIN, but its application never closed: it stays in CLOSE-WAIT."
"对方内核确认了我们的 FIN，但应用进程一直没有关闭：它停留在 CLOSE-WAIT。";

OTHER_SHAPE []:
"The connection was closed, but not in the way that was asked for: it takes two to choose a shape."
"连接关闭了，但方式与要求的不同：关闭的方式取决于双方。";

INTERRUPTED []:
"The run was cut short, so it says nothing of what would have come."
"运行被中断，因此不能说明后来会怎样。";

ABORTED []:
"We have ended the connection by RST, as asked: the other end's application gets an error, and nobody stays in TIME-WAIT."
"我们按要求用 RST 终止了连接：对方应用进程会得到一个错误，没有任何一端停留在 TIME-WAIT。";

ANSWERED []:
"Every request was answered to its end: the server has sent all bytes of each response, and we have acknowledged them."
"每个请求都得到了完整的响应：服务器发送了每个响应的全部字节，我们也都已确认。";

DECLINED []:
"The connection was opened, but the server does not speak the version of HTTP that was asked for: TCP has carried the bytes, and what they mean is for the applications to agree on."
"连接已经建立，但服务器不支持所要求的 HTTP 版本：TCP 送到了字节，而字节的含义要由两端的应用进程约定。";

UNTRUSTED []:
"The connection was opened, but TLS came to no agreement on it: TCP knows nothing of who the other end is, and TLS, which asks, was not convinced."
"连接已经建立，但其上的 TLS 没有达成一致：TCP 并不知道对方是谁，而负责核实身份的 TLS 没有被说服。";

BAD_STATUS []:
"The connection and the exchange were in order; the response itself says that the request failed."
"连接和数据交换都正常；是响应本身说明请求失败了。";

DISTURBED []:
"This host's own kernel took part, so that nothing can be said of the other end."
"本机内核插手了这个连接，因此不能对对方下任何结论。";
}
