/* Sends back what comes: TCP and UDP, IPv4 and IPv6, on port 7 (RFC 862). Many connections, one process. */
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT 7
#define MOST 64

static char buffer[1 << 16];

static int bound(int type)
{
	int s = socket(AF_INET6, type, 0), one = 1;
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (s < 0 || bind(s, (void *)&any, sizeof any) < 0 || (type == SOCK_STREAM && listen(s, MOST) < 0)) {
		perror("echo");
		_exit(1);
	}
	return s;
}

static int write_all(int s, ssize_t n)
{
	for (ssize_t done = 0, w; done < n; done += w)
		if ((w = write(s, buffer + done, n - done)) <= 0)
			return -1;
	return 0;
}

int main(void)
{
	struct pollfd fds[MOST] = {{bound(SOCK_STREAM), POLLIN, 0}, {bound(SOCK_DGRAM), POLLIN, 0}};
	int count = 2;

	printf("echo listens\n");
	fflush(stdout);
	for (;;) {
		poll(fds, count, -1);
		if (fds[0].revents && count < MOST) {
			fds[count].fd = accept(fds[0].fd, NULL, NULL);
			fds[count].revents = 0;
			fds[count++].events = POLLIN;
		}
		if (fds[1].revents) {
			struct sockaddr_storage from;
			socklen_t size = sizeof from;
			ssize_t n = recvfrom(fds[1].fd, buffer, sizeof buffer, 0, (void *)&from, &size);

			if (n >= 0)
				sendto(fds[1].fd, buffer, n, 0, (void *)&from, size);
		}
		for (int i = 2; i < count; i++) {
			if (!fds[i].revents)
				continue;
			ssize_t n = read(fds[i].fd, buffer, sizeof buffer);
			if (n <= 0 || write_all(fds[i].fd, n) < 0) {
				close(fds[i].fd);
				fds[i--] = fds[--count];
			}
		}
	}
}
