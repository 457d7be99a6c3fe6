// flood INTERFACE PORT COUNT: waits for the first SYN-ACK that leaves INTERFACE for PORT, then sends COUNT
// frames to where it went, as fast as this host can, in turn
//   a SYN-ACK and a RST with a random acknowledgment, from random addresses of 10.0.0.0/8
//   a SYN-ACK with a wrong checksum, and one whose data offset lies beyond its end
//   the SYN-ACK itself, word for word
// and prints how many of each have left, in how long, as JSON.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH 64
#define FRAME (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct tcphdr))

static uint64_t state;

static uint32_t chance(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 16;
}

static uint32_t sum(const void *data, size_t length)
{
	const unsigned char *bytes = data;
	uint32_t total = 0;
	for (size_t i = 0; i + 1 < length; i += 2)
		total += bytes[i] << 8 | bytes[i + 1];
	return total;
}

static uint16_t folded(uint32_t total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return htons(~total & 0xffff);
}

// A forgery of one kind, made of the true answer.
static void forge(unsigned char *frame, const unsigned char *truth, int kind)
{
	memcpy(frame, truth, FRAME);
	struct iphdr *ip = (struct iphdr *)(frame + sizeof(struct ethhdr));
	struct tcphdr *tcp = (struct tcphdr *)(ip + 1);
	ip->saddr = htonl(0x0a000000 | (chance() & 0xffffff));
	ip->tot_len = htons(sizeof(*ip) + sizeof(*tcp));
	ip->check = 0;
	ip->check = folded(sum(ip, sizeof(*ip)));
	tcp->seq = chance();
	tcp->ack_seq = chance();
	tcp->doff = kind == 3 ? 15 : 5;
	if (kind == 1) {
		tcp->syn = 0;
		tcp->rst = 1;
	}
	tcp->check = 0;
	uint32_t pseudo = sum(&ip->saddr, 8) + IPPROTO_TCP + sizeof(*tcp);
	tcp->check = folded(pseudo + sum(tcp, sizeof(*tcp)));
	if (kind == 2)
		tcp->check ^= htons(0x0101);
}

// Waits for the answer; gives its length.
static size_t answer(int fd, int port, unsigned char *frame, size_t room)
{
	for (;;) {
		ssize_t got = recv(fd, frame, room, 0);
		const struct iphdr *ip = (const struct iphdr *)(frame + sizeof(struct ethhdr));
		const struct tcphdr *tcp = (const struct tcphdr *)(ip + 1);
		if (got < 0 && errno != EINTR)
			return 0;
		if (got >= (ssize_t)FRAME && ip->version == 4 && ip->ihl == 5 && ip->protocol == IPPROTO_TCP &&
		    tcp->syn && tcp->ack && tcp->dest == htons(port))
			return got;
	}
}

int main(int count, char **words)
{
	if (count != 4)
		return fprintf(stderr, "usage: flood INTERFACE PORT COUNT\n"), 2;
	int port = atoi(words[2]), one = 1, room = 4 << 20;
	unsigned long wanted = strtoul(words[3], NULL, 10), left[5] = {0};
	struct sockaddr_ll there = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
				     .sll_ifindex = if_nametoindex(words[1]) };
	int in = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	int out = socket(AF_PACKET, SOCK_RAW, 0);
	if (in < 0 || out < 0 || bind(in, (struct sockaddr *)&there, sizeof(there)))
		return perror("flood"), 2;
	there.sll_protocol = 0;
	if (bind(out, (struct sockaddr *)&there, sizeof(there)) ||
	    setsockopt(out, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)))
		return perror("flood"), 2;
	setsockopt(out, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	printf("waiting\n");
	fflush(stdout);
	static unsigned char truth[2048], frames[BATCH][2048];
	size_t length = answer(in, port, truth, sizeof(truth));
	if (!length)
		return perror("flood"), 2;
	// Its checksum is unfinished in memory, as the interface would finish it.
	struct iphdr *ip = (struct iphdr *)(truth + sizeof(struct ethhdr));
	struct tcphdr *tcp = (struct tcphdr *)(ip + 1);
	unsigned bytes = ntohs(ip->tot_len) - sizeof(*ip);
	if (sizeof(struct ethhdr) + sizeof(*ip) + bytes > length)
		return fprintf(stderr, "flood: a packet that is cut\n"), 2;
	tcp->check = 0;
	tcp->check = folded(sum(&ip->saddr, 8) + IPPROTO_TCP + bytes + sum(tcp, bytes));
	struct mmsghdr messages[BATCH] = {0};
	struct iovec parts[BATCH];
	struct timespec begin, end;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	state = begin.tv_nsec | 1;
	for (unsigned long sent = 0; sent < wanted;) {
		for (int i = 0; i < BATCH; i++) {
			int kind = i % 5;
			if (kind == 4)
				memcpy(frames[i], truth, length);
			else
				forge(frames[i], truth, kind);
			parts[i] = (struct iovec){ frames[i], kind == 4 ? length : FRAME };
			messages[i].msg_hdr.msg_iov = &parts[i];
			messages[i].msg_hdr.msg_iovlen = 1;
		}
		int gone = sendmmsg(out, messages, BATCH, 0);
		if (gone < 0 && errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
			return perror("flood"), 2;
		for (int i = 0; i < gone; i++)
			left[i % 5]++;
		sent += gone > 0 ? gone : 0;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	double seconds = end.tv_sec - begin.tv_sec + (end.tv_nsec - begin.tv_nsec) / 1e9;
	printf("{\"seconds\": %.6f, \"cookie\": %lu, \"reset\": %lu, \"checksum\": %lu, \"offset\": %lu, \"repeated\": %lu}\n",
	       seconds, left[0], left[1], left[2], left[3], left[4]);
	return 0;
}
