/* Servers of every kind on lwIP, as Debian packages it, behind the TAP device of the first argument.
 *
 * Says "ready" once it serves. For each line on standard input it lists its connections but for
 * those in TIME-WAIT, one a line, "PORT STATE", and then a line with a dot. Ends with its input. */

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lwip/ip6_addr.h"
#include "lwip/netif.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"
#include "lwip/tcpip.h"
#include "netif/etharp.h"
#include "lwip/ethip6.h"

enum { BULK = 100000, PAGE = 3000, LINE = 26 };

/* The numbers are those of the ports. */
enum kind { ECHO = 7, SINK = 9, CLOSES_FIRST = 13, BULK_SENDER = 19, ANSWERS = 21, HTTP = 80 };

static const enum kind kinds[] = { ECHO, SINK, CLOSES_FIRST, BULK_SENDER, ANSWERS, HTTP };

struct connection {
    enum kind kind;
    /* What is to be said and lwIP has not taken yet. */
    char *words;
    size_t length;
    /* How much of "\r\n\r\n" was heard last. */
    size_t matched;
    int heard, spoke, over;
};

static void say(struct connection *c, const char *words, size_t length) {
    c->words = realloc(c->words, c->length + length + 1);
    if (words)
        memcpy(c->words + c->length, words, length);
    else
        memset(c->words + c->length, 'w', length);
    c->length += length;
}

static void say_once(struct connection *c, size_t length, int when) {
    if (when && !c->spoke) {
        c->spoke = 1;
        say(c, NULL, length);
    }
}

static void hear(struct connection *c, const char *data, size_t length) {
    static const char end[] = "\r\n\r\n";
    c->heard = 1;
    for (size_t i = 0; i < length && c->matched < 4; i++)
        c->matched = data[i] == end[c->matched] ? c->matched + 1 : data[i] == end[0];
    if (c->kind == ECHO)
        say(c, data, length);
}

static void forget(struct connection *c) {
    free(c->words);
    free(c);
}

/* Speaks and closes as its kind does. */
static err_t work(struct connection *c, struct tcp_pcb *pcb) {
    say_once(c, LINE, c->kind == CLOSES_FIRST || (c->kind == ANSWERS && c->over));
    say_once(c, BULK, c->kind == BULK_SENDER);
    say_once(c, PAGE + 40, c->kind == HTTP && (c->matched == 4 || (c->over && c->heard)));
    while (c->length > 0 && tcp_sndbuf(pcb) > 0) {
        size_t part = LWIP_MIN(c->length, tcp_sndbuf(pcb));
        if (tcp_write(pcb, c->words, (u16_t)part, TCP_WRITE_FLAG_COPY) != ERR_OK)
            break;
        memmove(c->words, c->words + part, c->length - part);
        c->length -= part;
    }
    tcp_output(pcb);
    int closes = c->kind == SINK ? 0 : c->kind == CLOSES_FIRST ? 1 : c->kind == HTTP ? c->spoke || c->over : c->over;
    if (closes && c->length == 0) {
        tcp_arg(pcb, NULL);
        tcp_recv(pcb, NULL);
        tcp_sent(pcb, NULL);
        tcp_err(pcb, NULL);
        tcp_poll(pcb, NULL, 0);
        if (tcp_close(pcb) != ERR_OK) {
            tcp_abort(pcb);
            forget(c);
            return ERR_ABRT;
        }
        forget(c);
    }
    return ERR_OK;
}

static err_t on_receive(void *arg, struct tcp_pcb *pcb, struct pbuf *data, err_t error) {
    struct connection *c = arg;
    (void)error;
    if (data == NULL) {
        c->over = 1;
    } else {
        for (struct pbuf *part = data; part != NULL; part = part->next)
            hear(c, part->payload, part->len);
        tcp_recved(pcb, data->tot_len);
        pbuf_free(data);
    }
    return work(c, pcb);
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t length) {
    (void)length;
    return work(arg, pcb);
}

static err_t on_poll(void *arg, struct tcp_pcb *pcb) {
    return work(arg, pcb);
}

static void on_error(void *arg, err_t error) {
    (void)error;
    forget(arg);
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t error) {
    if (error != ERR_OK || pcb == NULL)
        return ERR_VAL;
    struct connection *c = calloc(1, sizeof *c);
    c->kind = *(const enum kind *)arg;
    tcp_arg(pcb, c);
    tcp_recv(pcb, on_receive);
    tcp_sent(pcb, on_sent);
    tcp_err(pcb, on_error);
    tcp_poll(pcb, on_poll, 1);
    return work(c, pcb);
}

static void serve(void) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_ANY);
        if (tcp_bind(pcb, IP_ANY_TYPE, kinds[i]) != ERR_OK)
            exit(1);
        pcb = tcp_listen_with_backlog(pcb, 255);
        tcp_arg(pcb, (void *)&kinds[i]);
        tcp_accept(pcb, on_accept);
    }
}

/* The package has a driver of its own, but that one writes any frame of more than 592 bytes beyond
 * the end of a buffer. */
static int device;

static err_t transmit(struct netif *netif, struct pbuf *frame) {
    char buffer[1600];
    u16_t length = pbuf_copy_partial(frame, buffer, sizeof buffer, 0);
    (void)netif;
    return write(device, buffer, length) == length ? ERR_OK : ERR_IF;
}

static void *receive(void *arg) {
    struct netif *netif = arg;
    char buffer[1600];
    ssize_t length;
    while ((length = read(device, buffer, sizeof buffer)) > 0) {
        struct pbuf *frame = pbuf_alloc(PBUF_RAW, (u16_t)length, PBUF_RAM);
        pbuf_take(frame, buffer, (u16_t)length);
        /* Its queue may be full for a moment. Nothing is lost on this link. */
        while (netif->input(frame, netif) != ERR_OK)
            usleep(1000);
    }
    exit(1);
}

static err_t attach(struct netif *netif) {
    static const u8_t address[] = { 2, 0, 0, 0, 0, 2 };
    netif->name[0] = 't';
    netif->name[1] = 'p';
    netif->output = etharp_output;
    netif->output_ip6 = ethip6_output;
    netif->linkoutput = transmit;
    netif->mtu = 1500;
    netif->hwaddr_len = sizeof address;
    memcpy(netif->hwaddr, address, sizeof address);
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_MLD6 | NETIF_FLAG_LINK_UP;
    return ERR_OK;
}

static int open_device(const char *name) {
    struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
    strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
    device = open("/dev/net/tun", O_RDWR);
    return device >= 0 && ioctl(device, TUNSETIFF, &request) >= 0;
}

static void list(void) {
    for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb != NULL; pcb = pcb->next)
        printf("%u %s\n", pcb->remote_port, tcp_debug_state_str(pcb->state));
    printf(".\n");
}

int main(int count, char **arguments) {
    pthread_t thread;
    static struct netif netif;
    ip4_addr_t address, mask, gateway;
    ip6_addr_t address6;
    s8_t index = -1;
    char line[16];

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (count != 2 || !open_device(arguments[1]))
        return 1;
    tcpip_init(NULL, NULL);
    IP4_ADDR(&address, 192, 0, 2, 2);
    IP4_ADDR(&mask, 255, 255, 255, 0);
    IP4_ADDR(&gateway, 0, 0, 0, 0);
    IP6_ADDR(&address6, PP_HTONL(0x20010db8), 0, 0, PP_HTONL(2));
    ip6_addr_clear_zone(&address6);
    LOCK_TCPIP_CORE();
    if (netif_add(&netif, &address, &mask, &gateway, NULL, attach, tcpip_input) == NULL)
        return 1;
    netif_set_default(&netif);
    netif_set_up(&netif);
    netif_create_ip6_linklocal_address(&netif, 1);
    netif_ip6_addr_set_state(&netif, 0, IP6_ADDR_PREFERRED);
    if (netif_add_ip6_address(&netif, &address6, &index) != ERR_OK)
        return 1;
    netif_ip6_addr_set_state(&netif, index, IP6_ADDR_PREFERRED);
    serve();
    UNLOCK_TCPIP_CORE();
    if (pthread_create(&thread, NULL, receive, &netif) != 0)
        return 1;
    printf("ready\n");
    while (fgets(line, sizeof line, stdin) != NULL) {
        LOCK_TCPIP_CORE();
        list();
        UNLOCK_TCPIP_CORE();
    }
    return 0;
}
