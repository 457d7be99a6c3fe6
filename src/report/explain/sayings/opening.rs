//! The handshake.

use super::{Saying, Text, sayings};
use crate::report::explain::terms;

sayings! {
SYN_SENT [SYN, SEQ, ISN]:
"{From} asks to open a connection: the SYN bit is set, and seq = x = {isn} is its initial sequence number. The SYN takes up one number, so its first byte of data will be {next}."
"{From}请求建立连接（第一次握手）：SYN 位为 1，初始序号 seq = x = {isn}。SYN 占用一个序号，所以它的第一个数据字节的序号将是 {next}。";

SYN_LOST [RTO]:
"If it were lost, nothing would come back, and {from} would send it again after its time-out (RTO), each time after a longer wait."
"如果它丢失，就不会有任何回应；{from}在超时（RTO）之后重发，而且一次比一次等得更久。";

SYN_CROSSED [SIMULTANEOUS_OPEN, SEQ, ISN]:
"{From} sends a SYN of its own, seq = {isn}, without ACK: it answers nothing, for both ends open at the same time."
"{From}也发出自己的 SYN，seq = {isn}，但没有 ACK 位：它不是对任何报文段的回应，而是双方在同时打开连接。";

SYN_DATA [FAST_OPEN]:
"This SYN carries {bytes} already (TCP Fast Open): they are numbers {first} to {last}, and spare a round trip where {to} takes them."
"这个 SYN 已经携带 {bytes}（TCP 快速打开），序号为 {first} 到 {last}；如果{to}接受，就省去一个往返时间。";

SYN_ACK [ACK, ACK_NUMBER]:
"{From} agrees, and opens its own direction in the same segment: the SYN bit with seq = y = {isn}; the ACK bit with ack = x + 1 = {ack}, for it has got number x and expects the next."
"{From}同意建立连接，并在同一报文段中打开自己的方向（第二次握手）：SYN 位为 1，seq = y = {isn}；ACK 位为 1，ack = x + 1 = {ack}，表示已收到序号 x，期望下一个。";

SYN_ACK_LOST [RTO]:
"If it were lost, {to} would take its SYN for lost and repeat it, and {from} would repeat the SYN-ACK."
"如果它丢失，{to}会以为自己的 SYN 丢失而重发，{from}也会重发 SYN-ACK。";

SYN_ACK_CROSSED [SIMULTANEOUS_OPEN, ACK, ACK_NUMBER]:
"{From} acknowledges the SYN that crossed its own: the same seq as before, now with the ACK bit and ack = {ack}."
"{From}确认与自己的 SYN 交错的那个 SYN：seq 与先前相同，现在加上 ACK 位，ack = {ack}。";

FINAL_ACK [HANDSHAKE]:
"{From} acknowledges the SYN of the other end: the ACK bit with ack = y + 1 = {ack}; seq = x + 1 = {seq}, since its own SYN took up one number. Now both ends know that both directions work. A pure ACK takes up no number."
"{From}确认对方的 SYN（第三次握手）：ACK 位为 1，ack = y + 1 = {ack}；由于自己的 SYN 占用了一个序号，seq = x + 1 = {seq}。至此双方都知道两个方向都通。纯 ACK 不占用序号。";

FINAL_ACK_LOST []:
"If it were lost, {to} would stay in SYN-RECEIVED and repeat its SYN-ACK; any later segment of {from} would do as well, for all carry the same acknowledgment."
"如果它丢失，{to}会停留在 SYN-RECEIVED 并重发 SYN-ACK；{from}之后的任何报文段都带有同样的确认，也能完成握手。";

DATA_OPENS [HANDSHAKE, ACK_NUMBER]:
"{From} completes the handshake and sends {bytes} at once: ack = y + 1 = {ack} acknowledges the other end's SYN, and the data have the numbers {first} to {last}."
"{From}在完成握手（第三次握手）的同时发送 {bytes}：ack = y + 1 = {ack} 确认对方的 SYN，数据的序号为 {first} 到 {last}。";
}
