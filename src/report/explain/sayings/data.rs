//! The open connection.

use super::{Saying, Text, sayings};
use crate::report::explain::terms;

sayings! {
DATA [SEQ, ACK_NUMBER]:
"{From} sends {bytes}: numbers {first} to {last}, so the acknowledgment will be {next}. ack = {ack} says that it has everything of {to} before that number."
"{From}发送 {bytes}，序号为 {first} 到 {last}，因此对方的确认号将是 {next}。ack = {ack} 表示它已收到{to}在该序号之前的全部数据。";

DATA_CONFIRMS [SEQ, ACK_NUMBER]:
"{From} sends {bytes}, numbers {first} to {last}, and in the same segment acknowledges {acked} of {to}: ack = {ack} is the number that it expects next."
"{From}发送 {bytes}，序号为 {first} 到 {last}，同时捎带确认{to}的 {acked}：ack = {ack} 是它期望的下一个序号。";

DATA_HALF [HALF_CLOSE]:
"{To} has closed its direction, but {from}'s is still open (half-close): it sends {bytes}, numbers {first} to {last}."
"{To}已关闭自己的方向，但{from}的方向仍然打开（半关闭）：它发送 {bytes}，序号为 {first} 到 {last}。";

DATA_LOST [RTO]:
"If it were lost, no acknowledgment would come, and {from} would send the same bytes again; what comes behind them would have to wait at {to}."
"如果它丢失，就不会得到确认，{from}会重传这些字节；其后的数据只能在{to}等待。";

PUSH [PSH]:
"The PSH bit: what {from} had to say ends here for now, {to} should hand it to its application."
"PSH 位：{from}要说的话暂时到此为止，{to}应把数据交给应用进程。";

ACK_DATA [ACK_NUMBER]:
"{From} acknowledges {acked}: ack = {ack} is the number of the byte that it expects next. There are no data in it (len = 0), so it takes up no number itself."
"{From}确认收到 {acked}：ack = {ack} 是它期望的下一个字节的序号。它不携带数据（len = 0），所以自己不占用序号。";

ACK_LOST []:
"If it were lost, the next acknowledgment would do in its place, for each acknowledges everything before it; if none followed, {to} would send again."
"如果它丢失，下一个确认可以代替它，因为每个确认都涵盖此前的全部数据；如果之后没有确认，{to}就会重传。";

ACK_AGAIN [DUPLICATE_ACK]:
"{From} repeats ack = {ack}: something arrived, but not the byte that it waits for. Three such ACKs make {to} send it again without waiting for its time-out."
"{From}再次发出 ack = {ack}：有报文段到达，但不是它等待的那个字节。收到三个这样的重复确认，{to}就会立即重传，不等超时。";

ACK_BLOCKS [SACK]:
"The SACK option lists what has arrived behind the gap: {blocks}."
"SACK 选项列出缺口之后已收到的数据：{blocks}。";

ACK_PLAIN [ACK_NUMBER]:
"{From} acknowledges nothing new and sends no data: it says once more that it expects number {ack}."
"{From}没有确认新数据，也没有发送数据：只是再次说明它期望序号 {ack}。";

WINDOW_CLOSES [ZERO_WINDOW]:
"win = 0: {from}'s buffer is full, and {to} must stop sending until the window opens again."
"win = 0：{from}的缓冲区已满，{to}必须停止发送，直到窗口重新打开。";

WINDOW_OPENS [WINDOW_UPDATE]:
"{From} acknowledges nothing new (ack = {ack} as before), but its window is larger now: its application has read, and {to} may send more. If this were lost, a window probe would ask for it."
"{From}没有确认新数据（ack = {ack} 不变），但窗口变大了：应用进程已读走数据，{to}可以继续发送。如果它丢失，零窗口探测会再次询问。";

PROBES_WINDOW [PERSIST]:
"{From} asks whether the window is still closed: {bytes} although {to} said win = 0, so that it must answer with its present window."
"{From}询问窗口是否仍然关闭：虽然{to}通告过 win = 0，仍发送 {bytes}，迫使它回应当前的窗口。";

KEEP_ALIVE [KEEPALIVE_TIMER]:
"{From} asks whether {to} is still there: seq = {seq} is one less than it should be, so this segment can say nothing new and must be answered by an ACK."
"{From}探测{to}是否还在：seq = {seq} 比应有的小 1，因此它不会带来任何新内容，却必须用 ACK 回应。";

KEEP_ALIVE_ANSWER [KEEPALIVE_TIMER]:
"{From} is still there: it answers the keep-alive by repeating ack = {ack}."
"{From}还在：它重复 ack = {ack} 来回应保活探测。";
}
