#include "buttons.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { UEVENT_GROUP = 1 }; // messages of the kernel itself; udev's are in group 2

static int uevents = -1;
static int devices[BUTTONS_MAX_FDS - 1];
static int device_count;
static bool control_down, alt_down;

static bool has_key(const uint8_t *keys, int key) {
    return keys[key / 8] >> key % 8 & 1;
}

static void open_device(const char *name) {
    char path[64];
    if (device_count == BUTTONS_MAX_FDS - 1 || strncmp(name, "event", 5) != 0)
        return;
    snprintf(path, sizeof path, "/dev/input/%.32s", name);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return;
    uint8_t keys[KEY_CNT / 8] = {0};
    if (ioctl(fd, EVIOCGBIT(EV_KEY, sizeof keys), keys) >= 0 && (has_key(keys, KEY_POWER) || has_key(keys, KEY_DELETE)))
        devices[device_count++] = fd;
    else
        close(fd);
}

void buttons_open(void) {
    // The watch comes first, so that a device that appears during the scan is seen at least once.
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = UEVENT_GROUP};
    uevents = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
    if (uevents >= 0 && bind(uevents, (struct sockaddr *)&address, sizeof address) < 0) {
        close(uevents);
        uevents = -1;
    }
    DIR *directory = opendir("/dev/input");
    if (!directory)
        return;
    for (struct dirent *entry; (entry = readdir(directory));)
        open_device(entry->d_name);
    closedir(directory);
}

int buttons_poll(struct pollfd *fds) {
    fds[0] = (struct pollfd){.fd = uevents, .events = POLLIN};
    for (int i = 0; i < device_count; i++)
        fds[1 + i] = (struct pollfd){.fd = devices[i], .events = POLLIN};
    return 1 + device_count;
}

// "add@/devices/...\0ACTION=add\0DEVPATH=...\0SUBSYSTEM=input\0DEVNAME=input/event1\0..."
static void read_uevent(void) {
    static const char NAME[] = "DEVNAME=input/";
    char message[2048 + 1];
    struct sockaddr_nl sender;
    socklen_t sender_length = sizeof sender;
    ssize_t n = recvfrom(uevents, message, sizeof message - 1, 0, (struct sockaddr *)&sender, &sender_length);
    if (n <= 0 || sender.nl_pid != 0 || strncmp(message, "add@", 4) != 0)
        return;
    message[n] = 0;
    for (const char *at = message; at < message + n; at += strlen(at) + 1)
        if (strncmp(at, NAME, sizeof NAME - 1) == 0)
            open_device(at + sizeof NAME - 1);
}

static void read_device(int index, button_handler *handler) {
    struct input_event events[16];
    ssize_t n = read(devices[index], events, sizeof events);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        close(devices[index]);
        devices[index] = devices[--device_count];
        return;
    }
    for (ssize_t i = 0; i < n / (ssize_t)sizeof *events; i++) {
        bool down = events[i].value != 0;
        if (events[i].type != EV_KEY)
            continue;
        switch (events[i].code) {
        case KEY_LEFTCTRL:
        case KEY_RIGHTCTRL:
            control_down = down;
            break;
        case KEY_LEFTALT:
        case KEY_RIGHTALT:
            alt_down = down;
            break;
        case KEY_DELETE:
        case KEY_KPDOT:
            if (down && control_down && alt_down)
                handler(STOP_REBOOT, CAUSE_CTRL_ALT_DEL);
            break;
        case KEY_POWER:
            if (down)
                handler(STOP_POWER_OFF, CAUSE_POWER_BUTTON);
            break;
        }
    }
}

void buttons_read(const struct pollfd *fds, int count, button_handler *handler) {
    // Backwards, because a device that is gone is replaced by the last one.
    for (int i = count - 2; i >= 0; i--)
        if (fds[1 + i].revents)
            read_device(i, handler);
    if (fds[0].revents)
        read_uevent();
}
