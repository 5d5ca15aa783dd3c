#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

enum {
    TTY_MAJOR = 4, // linux/major.h
    TTY_SERIAL_MINOR = 64,
    HVC_MAJOR = 229, // Documentation/admin-guide/devices.txt
    MAX_MOUNTS = 256,
};

static void mount_one(const char *type, const char *at, unsigned long flags, const char *options) {
    // A root file system without the directory, or a kernel that has mounted it: neither is an error.
    if (mount(type, at, type, flags, options) < 0 && errno == ENOENT && mkdir(at, 0755) == 0)
        mount(type, at, type, flags, options);
}

static void loopback_up(void) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    ioctl(fd, SIOCSIFFLAGS, &lo);
    close(fd);
}

void system_prepare(void) {
    umask(022);
    mount_one("devtmpfs", "/dev", MS_NOSUID, "mode=0755");
    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/console", O_RDWR | O_NOCTTY) < 0)
            open("/dev/null", O_RDWR);
    }
    mount_one("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    mount_one("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    mount_one("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=0620,ptmxmode=0666");
    mount_one("tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777");
    mount_one("tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755");
    mount_one("tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777");
    symlink("/proc/self/fd", "/dev/fd");
    symlink("/proc/self/fd/0", "/dev/stdin");
    symlink("/proc/self/fd/1", "/dev/stdout");
    symlink("/proc/self/fd/2", "/dev/stderr");
    loopback_up();
}

int system_console(void) {
    unsigned device;
    char path[32] = "/dev/console";
    // /dev/console cannot become a controlling terminal by name for the programs that ask ttyname(): open the terminal behind it.
    if (ioctl(STDIN_FILENO, TIOCGDEV, &device) == 0) {
        if (major(device) == TTY_MAJOR && minor(device) >= TTY_SERIAL_MINOR)
            snprintf(path, sizeof path, "/dev/ttyS%u", minor(device) - TTY_SERIAL_MINOR);
        else if (major(device) == HVC_MAJOR)
            snprintf(path, sizeof path, "/dev/hvc%u", minor(device));
    }
    int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    setsid();
    ioctl(fd, TIOCSCTTY, 0);
    struct termios tty;
    if (tcgetattr(fd, &tty) == 0) {
        tty.c_iflag |= IUTF8;
        tcsetattr(fd, TCSANOW, &tty);
    }
    return fd;
}

static bool is_memory_only(const char *type) {
    static const char *const TYPES[] = {"proc", "sysfs", "devtmpfs", "devpts", "tmpfs", "ramfs", "rootfs", "cgroup", "cgroup2", "debugfs",
                                        "tracefs", "securityfs", "mqueue", "bpf", "hugetlbfs", "configfs", "binfmt_misc", "pstore"};
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (strcmp(type, TYPES[i]) == 0)
            return true;
    return false;
}

// Last mounted first: a mount point inside another file system goes before it.
static void unmount_all(void) {
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    if (!mounts)
        return;
    char *points[MAX_MOUNTS];
    int count = 0;
    for (struct mntent *entry; count < MAX_MOUNTS && (entry = getmntent(mounts));) {
        if (!is_memory_only(entry->mnt_type) && (points[count] = strdup(entry->mnt_dir)))
            count++;
    }
    endmntent(mounts);
    while (count-- > 0) {
        if (umount2(points[count], 0) < 0)
            mount(NULL, points[count], NULL, MS_REMOUNT | MS_RDONLY, NULL);
    }
}

// Whether RB_POWER_OFF switches the machine off. Without ACPI's S5 state the kernel would halt its CPUs for ever instead.
static bool can_power_off(void) {
    static char table[256 << 10];
    int fd = open("/sys/firmware/acpi/tables/DSDT", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size_t length = 0;
    for (ssize_t n; length < sizeof table && (n = read(fd, table + length, sizeof table - length)) > 0;)
        length += (size_t)n;
    close(fd);
    return memmem(table, length, "_S5_", 4) != NULL;
}

// Takes the kernel's console away from its serial ports, so that "reboot: Power down" does not end up behind the command's output. Where
// the kernel cannot (before 5.10, and other kinds of console) the line appears.
static void silence_kernel(void) {
    char names[256];
    int fd = open("/sys/class/tty/console/active", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t length = read(fd, names, sizeof names - 1);
    close(fd);
    names[length < 0 ? 0 : length] = '\0';
    for (char *rest, *name = strtok_r(names, " \n", &rest); name; name = strtok_r(NULL, " \n", &rest)) {
        char path[300];
        snprintf(path, sizeof path, "/sys/class/tty/%s/console", name);
        if ((fd = open(path, O_WRONLY | O_CLOEXEC)) >= 0) {
            write(fd, "N", 1);
            close(fd);
        }
    }
}

_Noreturn void system_stop(enum stop_action action, int console) {
    sync();
    unmount_all();
    drain_tty(console);
    control_drain();
    silence_kernel();
    if (action == STOP_POWER_OFF && can_power_off())
        reboot(RB_POWER_OFF);
    reboot(RB_AUTOBOOT);
    // Neither exists in a container: there, ending is all that can be done.
    _exit(EXIT_FAILURE);
}
