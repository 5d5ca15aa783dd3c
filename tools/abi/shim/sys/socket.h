/*
 * linux/if.h takes struct sockaddr from the C library. Neither generator nor oracle sees a C library,
 * so here is the one declaration of it that the header needs, as POSIX and Linux's ABI define it.
 */
#ifndef THIMBLE_SHIM_SYS_SOCKET_H
#define THIMBLE_SHIM_SYS_SOCKET_H

struct sockaddr {
	unsigned short sa_family;
	char sa_data[14];
};

#endif
