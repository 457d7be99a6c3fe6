// The peer that costs almost nothing, and the counters of both peers.
//
// respond (XDP, on the peer's end of the veth pair; or respond_tc, at its traffic control) answers TCP
// over IPv4 without any state:
//   SYN           SYN-ACK, or RST where the mode says so
//   data          a short HTTP answer, acknowledged, with FIN
//   FIN           FIN+ACK; where it also acknowledges our FIN, only the ACK
//   ACK, RST      nothing
// Its initial sequence number is a hash of the four-tuple, so that what it had said before can be told
// from the acknowledgment alone. Timestamps are echoed. Everything else goes on to the kernel.
//
// watch_in and watch_out (tc, on the same device, for the kernel as the peer) only count.
//
// Every packet is counted by kind, with the times of the first and the last, in memory that the bench
// maps: one row for each CPU, so that no two write to the same place.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/in.h>
#include <linux/tcp.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#define CPUS 64

enum kind { IN_SYN, IN_ACK, IN_DATA, IN_FIN, IN_RST, OUT_SYN_ACK, OUT_ACK, OUT_DATA, OUT_FIN, OUT_RST, BAD, KINDS = 16 };

struct count {
	__u64 packets, bytes, first, last;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, CPUS * KINDS);
	__type(key, __u32);
	__type(value, struct count);
} counts SEC(".maps");

// 0: SYNs are answered by SYN-ACK; 1: by RST; 2: by nothing.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} mode SEC(".maps");

const char page[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
#define PAGE (sizeof(page) - 1)

static __always_inline void note(enum kind kind, __u32 length, __u64 now)
{
	__u32 key = (bpf_get_smp_processor_id() & (CPUS - 1)) * KINDS + kind;
	struct count *count = bpf_map_lookup_elem(&counts, &key);
	if (!count)
		return;
	if (!count->packets)
		count->first = now;
	count->packets++;
	count->bytes += length;
	count->last = now;
}

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline __u32 mix(__u32 there, __u32 here, __u32 ports)
{
	__u64 hash = ((__u64)there << 32 | here) * 0x9e3779b97f4a7c15ull;
	hash = (hash ^ hash >> 29 ^ ports) * 0xbf58476d1ce4e5b9ull;
	return hash >> 32;
}

static __always_inline enum kind arriving(struct tcphdr *tcp, __u32 payload)
{
	return tcp->rst ? IN_RST : tcp->syn ? IN_SYN : tcp->fin ? IN_FIN : payload ? IN_DATA : IN_ACK;
}

// Turns the timestamps option round; the rest of the options is said as it was heard.
static __always_inline void echo(unsigned char *at, unsigned char *last, void *end, __u32 now)
{
	for (int i = 0; i < 12; i++) {
		if (at + 1 > last || (void *)(at + 1) > end || at[0] == 0)
			return;
		if (at[0] == 1) {
			at += 1;
			continue;
		}
		if ((void *)(at + 2) > end || at[1] < 2)
			return;
		if (at[0] == 8 && at[1] == 10) {
			if ((void *)(at + 10) > end)
				return;
			__builtin_memcpy(at + 6, at + 2, 4);
			now = bpf_htonl(now);
			__builtin_memcpy(at + 2, &now, 4);
			return;
		}
		at += at[1] & 63;
	}
}

struct answer {
	enum kind kind;
	__u32 seq, ack;
	// Bytes of the TCP header, of what follows it, and of the whole frame.
	__u32 header, length, frame;
	// Whether the frame is to have exactly that size: else the padding of short ones may stay.
	int exact;
};

// What is to be done with a packet.
enum { PASS, DROP, ANSWER };

static __always_inline int consider(void *data, void *end, __u64 now, struct answer *answer)
{
	struct ethhdr *eth = data;
	struct iphdr *ip = data + sizeof(*eth);
	struct tcphdr *tcp = (void *)ip + sizeof(*ip);
	if ((void *)(tcp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_TCP ||
	    ip->ihl != 5)
		return PASS;
	__u32 total = bpf_ntohs(ip->tot_len), header = tcp->doff * 4;
	if (header < sizeof(*tcp) || total < sizeof(*ip) + header || total > 2000) {
		note(BAD, total, now);
		return DROP;
	}
	__u32 payload = total - sizeof(*ip) - header;
	enum kind heard = arriving(tcp, payload);
	note(heard, total, now);

	__u32 zero = 0;
	__u64 *how = bpf_map_lookup_elem(&mode, &zero);
	if (heard == IN_RST || heard == IN_ACK || (how && *how == 2))
		return DROP;

	__u32 own = mix(ip->saddr, ip->daddr, (__u32)tcp->source << 16 | tcp->dest);
	__u32 seq = bpf_ntohl(tcp->seq), ack = bpf_ntohl(tcp->ack_seq), known = ack - own;
	answer->length = 0;
	if (heard == IN_SYN) {
		answer->kind = how && *how == 1 ? OUT_RST : OUT_SYN_ACK;
		answer->seq = own;
		answer->ack = seq + 1 + payload;
	} else if (known != 1 && known != 2 && known != PAGE + 2) {
		answer->kind = OUT_RST;
		answer->seq = ack;
		answer->ack = seq;
	} else {
		// One past our SYN: nothing else of us has arrived yet. Past our FIN: all has.
		answer->kind = known != 1 ? OUT_ACK : heard == IN_FIN ? OUT_FIN : OUT_DATA;
		answer->seq = ack;
		answer->ack = seq + payload + (heard == IN_FIN);
	}
	if (answer->kind == OUT_RST)
		header = sizeof(*tcp);
	if (answer->kind == OUT_DATA)
		answer->length = PAGE;
	answer->header = header;
	answer->frame = sizeof(*eth) + sizeof(*ip) + header + answer->length;
	answer->exact = payload || answer->kind == OUT_DATA || answer->kind == OUT_RST;
	return ANSWER;
}

// Makes the answer of the packet, in its place; not zero where that is impossible.
static __always_inline int rewrite(void *data, void *end, __u64 now, struct answer *answer)
{
	struct ethhdr *eth = data;
	struct iphdr *ip = data + sizeof(*eth);
	struct tcphdr *tcp = (void *)ip + sizeof(*ip);
	if ((void *)(tcp + 1) > end)
		return -1;
	unsigned char mac[ETH_ALEN];
	__builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, mac, ETH_ALEN);

	__be32 address = ip->saddr;
	ip->saddr = ip->daddr;
	ip->daddr = address;
	ip->tos = 0;
	ip->ttl = 64;
	ip->tot_len = bpf_htons(answer->frame - sizeof(*eth));
	ip->check = 0;
	__u32 *words = (void *)ip;
	ip->check = fold((__u64)words[0] + words[1] + words[2] + words[3] + words[4]);

	__be16 port = tcp->source;
	tcp->source = tcp->dest;
	tcp->dest = port;
	tcp->seq = bpf_htonl(answer->seq);
	tcp->ack_seq = bpf_htonl(answer->ack);
	words = (void *)tcp;
	enum kind kind = answer->kind;
	__u32 header = answer->header;
	// Data offset and flags, and the largest window that needs no scaling.
	__u32 flags = kind == OUT_SYN_ACK ? 0x12 : kind == OUT_RST ? 0x14 : kind == OUT_FIN ? 0x11 :
		      kind == OUT_DATA ? 0x19 : 0x10;
	words[3] = bpf_htonl((header / 4) << 28 | flags << 16 | 0xffff);
	words[4] = 0;
	unsigned char *options = (void *)(tcp + 1);
	echo(options, (void *)tcp + (header & 63), end, now / 1000000);

	// Whatever the kernel left undone of the sender's checksum, this one is made from the ground up.
	__u64 sum = (__u64)ip->saddr + ip->daddr + bpf_htons(IPPROTO_TCP) + bpf_htons(header + answer->length);
	for (__u32 i = 0; i < 15; i++) {
		if (i * 4 >= header || (void *)(words + i + 1) > end)
			break;
		sum += words[i];
	}
	if (answer->length) {
		unsigned char *text = (void *)tcp + (header & 63);
		if ((void *)(text + PAGE) > end)
			return -1;
		for (__u32 i = 0; i < PAGE; i++) {
			text[i] = page[i];
			sum += i & 1 ? (__u32)page[i] << 8 : (__u32)page[i];
		}
	}
	tcp->check = fold(sum);
	note(kind, answer->frame - sizeof(*eth), now);
	return 0;
}

SEC("xdp")
int respond(struct xdp_md *context)
{
	void *data = (void *)(long)context->data, *end = (void *)(long)context->data_end;
	__u64 now = bpf_ktime_get_ns();
	struct answer answer = { 0 };
	int what = consider(data, end, now, &answer);
	if (what != ANSWER)
		return what == PASS ? XDP_PASS : XDP_DROP;
	int more = (int)answer.frame - (int)(end - data);
	if (more > 0 || (answer.exact && more)) {
		if (bpf_xdp_adjust_tail(context, more))
			return XDP_DROP;
		data = (void *)(long)context->data;
		end = (void *)(long)context->data_end;
	}
	return rewrite(data, end, now, &answer) ? XDP_DROP : XDP_TX;
}

// The same at the kernel's traffic control, where the packet goes back in the buffer in which it came.
SEC("tc")
int respond_tc(struct __sk_buff *context)
{
	// What a kernel's TCP sends has its data, if any, in pages of its own.
	bpf_skb_pull_data(context, 0);
	void *data = (void *)(long)context->data, *end = (void *)(long)context->data_end;
	__u64 now = bpf_ktime_get_ns();
	struct answer answer = { 0 };
	int what = consider(data, end, now, &answer);
	if (what != ANSWER)
		return what == PASS ? TC_ACT_OK : TC_ACT_SHOT;
	int more = (int)answer.frame - (int)context->len;
	if (more > 0 || (answer.exact && more)) {
		if (bpf_skb_change_tail(context, answer.frame, 0))
			return TC_ACT_SHOT;
		bpf_skb_pull_data(context, answer.frame);
		data = (void *)(long)context->data;
		end = (void *)(long)context->data_end;
	}
	return rewrite(data, end, now, &answer) ? TC_ACT_SHOT : bpf_redirect(context->ifindex, 0);
}

// On the client's end: what comes back from respond is only taken where the other end polls for it.
SEC("xdp")
int pass(struct xdp_md *context)
{
	(void)context;
	return XDP_PASS;
}

static __always_inline int watch(struct __sk_buff *skb, int out)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);
	struct tcphdr *tcp = (void *)ip + sizeof(*ip);
	if ((void *)(tcp + 1) > end || skb->protocol != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_TCP)
		return TC_ACT_OK;
	__u32 total = bpf_ntohs(ip->tot_len);
	enum kind kind = arriving(tcp, total - sizeof(*ip) - tcp->doff * 4);
	if (out)
		kind = kind == IN_SYN ? OUT_SYN_ACK : kind == IN_FIN ? OUT_FIN : kind == IN_RST ? OUT_RST :
		       kind == IN_DATA ? OUT_DATA : OUT_ACK;
	note(kind, total, bpf_ktime_get_ns());
	return TC_ACT_OK;
}

SEC("tc")
int watch_in(struct __sk_buff *skb)
{
	return watch(skb, 0);
}

SEC("tc")
int watch_out(struct __sk_buff *skb)
{
	return watch(skb, 1);
}

char _license[] SEC("license") = "GPL";
