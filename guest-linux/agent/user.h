// Users and groups by name or number.
#ifndef THIMBLE_USER_H
#define THIMBLE_USER_H

#include "command.h"

// What a program's environment gets from its user unless it says otherwise.
struct account {
    struct user user;
    char name[64];
    char home[256];
};

// Finds USER or USER:GROUP, each a name of /etc/passwd or /etc/group or a number. Without a group, the user's own and those it is a
// member of. Returns NULL, or what is wrong.
const char *user_find(struct account *account, const char *text);

#endif
