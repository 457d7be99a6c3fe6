//! The close.

use super::{Saying, Text, sayings};
use crate::report::explain::terms;

sayings! {
FIN_FIRST [FIN, GRACEFUL_CLOSE]:
"{From} has nothing more to send: the FIN bit, seq = u = {fin}. The FIN takes up this number like a byte, so that ack = u + 1 = {next} can acknowledge it. It closes this direction only."
"{From}没有数据要发送了：FIN 位为 1，seq = u = {fin}。FIN 像一个字节那样占用这个序号，因此可用 ack = u + 1 = {next} 来确认。它只关闭这一个方向。";

FIN_DATA [FIN, GRACEFUL_CLOSE]:
"{From} sends its last {bytes}, numbers {first} to {last}, and closes its direction in the same segment: the FIN bit takes up number u = {fin}, and ack = u + 1 = {next} will acknowledge it all."
"{From}发送最后的 {bytes}，序号为 {first} 到 {last}，并在同一报文段中关闭自己的方向：FIN 占用序号 u = {fin}，ack = u + 1 = {next} 将一并确认。";

FIN_SECOND [FIN]:
"{From} closes its direction too: the FIN bit, number w = {fin}; ack = w + 1 = {next} will acknowledge it. Then both directions are closed."
"{From}也关闭自己的方向：FIN 位为 1，占用序号 w = {fin}；将由 ack = w + 1 = {next} 确认。此后两个方向都关闭。";

FIN_SECOND_DATA [FIN, HALF_CLOSE]:
"{From} sends its last {bytes}, numbers {first} to {last}, and closes its direction too: the FIN takes up number w = {fin}, and ack = w + 1 = {next} will acknowledge it all."
"{From}发送最后的 {bytes}，序号为 {first} 到 {last}，并且也关闭自己的方向：FIN 占用序号 w = {fin}，将由 ack = w + 1 = {next} 一并确认。";

FIN_MERGED [FIN]:
"{From} acknowledges the other end's FIN (ack = {ack}) and closes its own direction in the same segment: the FIN takes up number w = {fin}. It had nothing left to send, so the close needs three segments in place of four."
"{From}在同一报文段中确认对方的 FIN（ack = {ack}）并关闭自己的方向：FIN 占用序号 w = {fin}。它没有剩余数据要发送，所以关闭只需三个报文段，而不是四个。";

FIN_CROSSED [SIMULTANEOUS_CLOSE, FIN]:
"{From}'s own FIN (number {fin}) leaves before it has got the other end's: ack = {ack} does not acknowledge that one. The two FINs cross on their way."
"{From}在收到对方的 FIN 之前发出自己的 FIN（序号 {fin}）：ack = {ack} 并没有确认对方的 FIN。两个 FIN 在途中交错。";

FIN_LOST [RTO]:
"If it were lost, no acknowledgment would come, and {from} would send it again after its RTO."
"如果它丢失，就不会得到确认，{from}会在 RTO 之后重发。";

ACK_OF_FIN [HALF_CLOSE]:
"{From} acknowledges the FIN: ack = u + 1 = {ack}. It knows that no more data will come from {to}; its own direction stays open (half-close) until it sends a FIN itself."
"{From}确认 FIN：ack = u + 1 = {ack}。它知道{to}不会再发送数据；在自己发出 FIN 之前，自己的方向仍然打开（半关闭）。";

ACK_OF_FIN_LOST []:
"If it were lost, {to} would repeat its FIN, and {from} would acknowledge it again."
"如果它丢失，{to}会重发 FIN，{from}会再次确认。";

ACK_OF_CROSSED [SIMULTANEOUS_CLOSE]:
"{From} acknowledges the FIN that crossed its own: ack = {ack}."
"{From}确认与自己的 FIN 交错的那个 FIN：ack = {ack}。";

LAST_ACK [TWO_MSL]:
"{From} acknowledges the second FIN: ack = w + 1 = {ack}. This is the last segment of the connection, and nobody acknowledges it."
"{From}确认第二个 FIN：ack = w + 1 = {ack}。这是该连接的最后一个报文段，没有人再确认它。";

LAST_ACK_LOST []:
"If it were lost, {to} would repeat its FIN from LAST-ACK; it is for this that {from} stays in TIME-WAIT, to acknowledge it again."
"如果它丢失，{to}会在 LAST-ACK 重发 FIN；{from}停留在 TIME-WAIT 正是为了能再次确认。";
}
